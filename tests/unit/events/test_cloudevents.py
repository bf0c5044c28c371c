"""Our headers against the CloudEvents project's own library: what we write it reads, what it writes we read."""

from datetime import UTC, datetime

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary, to_binary
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from libs.common.errors import UnreadableMessage
from libs.common.events.cloudevents import Attributes, decode, encode, source_of

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
WHOLE = Attributes(
    id="0199e4a2-7c31", source=source_of("sync"), type="source.changed", subject="src-1",
    time=datetime(2026, 3, 2, 9, 30, 15, 123456, tzinfo=UTC), traceparent=TRACE,
)  # fmt: skip


def test_the_projects_own_library_reads_what_we_write() -> None:
    read = from_binary(KafkaMessage(dict(encode(WHOLE)), b"k", b'{"a": 1}'), JSONFormat(), CloudEvent)
    assert read.get_specversion() == "1.0"
    assert read.get_id() == WHOLE.id
    assert read.get_source() == "/sluice/sync"
    assert read.get_type() == "source.changed"
    assert read.get_subject() == "src-1"
    assert read.get_time() == WHOLE.time
    assert read.get_datacontenttype() == "application/json"
    assert read.get_data() == {"a": 1}


def test_we_read_what_the_projects_own_library_writes() -> None:
    theirs = CloudEvent(
        {"id": "1", "source": "/elsewhere", "type": "source.changed", "specversion": "1.0", "subject": "s",
         "time": WHOLE.time, "datacontenttype": "application/json", "partitionkey": "k"},
        {"a": 1},
    )  # fmt: skip
    read = decode(to_binary(theirs, JSONFormat()).headers.items())
    assert read == Attributes(id="1", source="/elsewhere", type="source.changed", subject="s", time=WHOLE.time)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("ce_specversion", b"0.3", "ce_specversion"),
        ("ce_specversion", None, "ce_specversion"),
        ("ce_id", None, "ce_id"),
        ("ce_id", b"", "ce_id"),
        ("ce_id", b"\xff\xfe", "ce_id"),
        ("ce_source", None, "ce_source"),
        ("ce_type", None, "ce_type"),
        ("ce_time", None, "ce_time"),
        ("ce_time", b"yesterday", "ce_time"),
        ("ce_time", b"2026-03-02T09:30:15", "ce_time"),
        ("ce_subject", b"\xc3\x28", "ce_subject"),
        ("content-type", b"application/xml", "content-type"),
        ("content-type", None, "content-type"),
        ("ce_extension", b"\xff", "ce_extension"),
    ],
)
def test_a_header_at_fault_is_named_and_never_quoted(name: str, value: bytes | None, told: str) -> None:
    headers = dict(encode(WHOLE)) | {name: value}
    with pytest.raises(UnreadableMessage) as raised:
        decode((key, found) for key, found in headers.items() if found is not None)
    assert told in raised.value.detail
    assert "yesterday" not in raised.value.detail


def test_a_doubled_attribute_is_refused_because_nobody_knows_which_is_meant() -> None:
    with pytest.raises(UnreadableMessage, match="twice"):
        decode([*encode(WHOLE), ("ce_id", b"another")])


def test_headers_of_others_are_no_concern_of_ours() -> None:
    assert decode([*encode(WHOLE), ("b3", b"\xff"), ("x", b"")]) == WHOLE


@pytest.mark.parametrize("text", [b"", b"nonsense", b"00-0-0-0"])
def test_a_lost_trace_does_not_lose_the_event(text: bytes) -> None:
    headers = dict(encode(WHOLE)) | {"traceparent": text}
    assert decode(headers.items()).traceparent is None
