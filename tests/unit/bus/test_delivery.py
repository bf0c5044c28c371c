"""What is a message, and what are only bytes."""

import msgspec
import pytest

from libs.common.bus.consume import Consumers
from libs.common.bus.dead_letters import ReplayedRecord
from libs.common.bus.delivery import read
from libs.common.errors import DependencyDown, NotFound, UnreadableMessage
from libs.common.events import IntegrationConnected, SourceIndexed, WorkspaceDeleted
from tests.integration.bus.rig import connected, headers

consumers = Consumers("unit")
calls: list[str] = []


@consumers.consume(IntegrationConnected)
async def on_connected(event: IntegrationConnected, deps: Exception | None) -> None:
    calls.append(event.integration_id)
    if deps is not None:
        raise deps


def record(value: bytes | None = None, topic: str = "integration.connected", **changed: bytes) -> ReplayedRecord:
    body = msgspec.json.encode(connected("k", 1)) if value is None else value
    return ReplayedRecord(topic, 0, 5, 0, b"k", body, tuple(headers(**changed)))


def test_a_whole_record_is_a_typed_event() -> None:
    message = read(record(), consumers.routes)
    assert message.event == connected("k", 1)
    assert message.attributes.type == "integration.connected"


@pytest.mark.parametrize(
    "spoiled",
    [
        record(b""),
        record(b"{"),
        record(b"nonsense"),
        record(b"[]"),
        record(b'{"workspace_id": "w"}'),
        record(msgspec.json.encode(connected("k", 1)).replace(b'"version":1', b'"version":"1"')),
        record(msgspec.json.encode(connected("k", 1)).replace(b'"k"', b'"\xff"')),
        record(b"[" * 100_000),
        record(b'{"workspace_id": NaN}'),
        record(b"\xef\xbb\xbf" + msgspec.json.encode(connected("k", 1))),
        record(ce_id=b""),
        record(ce_id=b"\xff"),
        record(ce_specversion=b"0.3"),
        record(ce_type=b"integration.updated"),
        record(ce_time=b"yesterday"),
        record(**{"content-type": b"text/plain"}),
    ],
)
def test_anything_else_is_unreadable_and_is_not_quoted(spoiled: ReplayedRecord) -> None:
    with pytest.raises(UnreadableMessage) as raised:
        read(spoiled, consumers.routes)
    assert "ws-bus" not in raised.value.detail
    assert len(raised.value.detail) < 120


def test_unknown_fields_are_ignored() -> None:
    body = {**msgspec.to_builtins(connected("k", 1)), "tomorrow": 1}
    assert read(record(msgspec.json.encode(body)), consumers.routes).event == connected("k", 1)


def test_one_handler_a_topic() -> None:
    with pytest.raises(ValueError, match=r"integration\.connected"):
        consumers.consume(IntegrationConnected)(on_connected)


def test_a_group_is_named_after_its_service() -> None:
    assert Consumers("sync").group == "sluice-sync"


async def test_a_replay_tells_done_from_failed_and_does_not_judge_an_absence() -> None:
    assert await consumers.try_once(record(), None) is None
    assert await consumers.try_once(record(), NotFound()) is None
    assert isinstance(await consumers.try_once(record(), KeyError("x")), KeyError)
    assert isinstance(await consumers.try_once(record(b"{"), None), UnreadableMessage)
    with pytest.raises(DependencyDown):
        await consumers.try_once(record(), DependencyDown())
    assert calls == ["k"] * 4


async def test_a_letter_of_a_topic_that_nobody_hears_stays_a_letter() -> None:
    others = Consumers("other")

    @others.consume(WorkspaceDeleted)
    async def on_deleted(event: WorkspaceDeleted, deps: None) -> None: ...

    assert isinstance(await others.try_once(record(), None), UnreadableMessage)
    assert SourceIndexed not in {route.event for route in others.routes.values()}
