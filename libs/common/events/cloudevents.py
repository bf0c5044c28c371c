"""CloudEvents 1.0 in Kafka's binary mode: attributes are headers, the JSON body is the event and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

import msgspec

from libs.common.errors import UnreadableMessage

SPEC_VERSION = "1.0"
CONTENT_TYPE = "application/json"
TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

Headers = Iterable[tuple[str, bytes]]


class Attributes(msgspec.Struct, frozen=True, kw_only=True):
    """`type` is the topic, `source` the owner's `/sluice/<service>`, `subject` the aggregate; `time` has an offset."""

    id: str
    source: str
    type: str
    time: datetime
    subject: str = ""
    traceparent: str | None = None


def source_of(service: str) -> str:
    return f"/sluice/{service}"


def encode(attributes: Attributes) -> list[tuple[str, bytes]]:
    texts = {
        "ce_specversion": SPEC_VERSION,
        "ce_id": attributes.id,
        "ce_source": attributes.source,
        "ce_type": attributes.type,
        "ce_time": attributes.time.isoformat(),
        "ce_subject": attributes.subject,
        "content-type": CONTENT_TYPE,
        "traceparent": attributes.traceparent or "",
    }
    return [(name, text.encode()) for name, text in texts.items() if text]


def decode(headers: Headers) -> Attributes:
    """Raises UnreadableMessage that names the header at fault, never its value."""
    texts = _texts(headers)
    if texts.get("ce_specversion") != SPEC_VERSION:
        raise UnreadableMessage(f"ce_specversion is not {SPEC_VERSION}")
    if texts.get("content-type", "").partition(";")[0].strip().lower() != CONTENT_TYPE:
        raise UnreadableMessage(f"content-type is not {CONTENT_TYPE}")
    return Attributes(
        id=_required(texts, "ce_id"),
        source=_required(texts, "ce_source"),
        type=_required(texts, "ce_type"),
        time=_time(_required(texts, "ce_time")),
        subject=texts.get("ce_subject", ""),
        traceparent=_traceparent(texts.get("traceparent")),
    )


def _texts(headers: Headers) -> dict[str, str]:
    texts: dict[str, str] = {}
    for name, value in headers:
        known = name.lower()
        if known in texts and known.startswith("ce_"):
            raise UnreadableMessage(f"the header {_shown(known)} stands twice")
        # Only what we read must be readable: a foreign header that another tool added is not our concern.
        if known.startswith("ce_") or known in ("content-type", "traceparent"):
            texts[known] = _text(known, value)
    return texts


def _text(name: str, value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except (UnicodeDecodeError, AttributeError) as error:
        raise UnreadableMessage(f"the header {_shown(name)} is not UTF-8") from error


def _required(texts: dict[str, str], name: str) -> str:
    if not texts.get(name):
        raise UnreadableMessage(f"the header {name} is missing")
    return texts[name]


def _time(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UnreadableMessage("ce_time is not a time of RFC 3339") from error
    if found.tzinfo is None:
        raise UnreadableMessage("ce_time has no offset")
    return found


def _traceparent(text: str | None) -> str | None:
    """A malformed one starts a new trace: losing a trace is no reason to lose an event."""
    return text if text and TRACEPARENT.fullmatch(text) else None


def _shown(name: str) -> str:
    return name if re.fullmatch(r"[a-z0-9_-]{1,40}", name) else "of a CloudEvents attribute"
