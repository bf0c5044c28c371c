"""Events become rows of the transaction that made them true."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from libs.common.events.catalog import topic_of
from libs.common.events.event import Event
from libs.common.ids import new_id
from libs.common.telemetry.tracing import current_traceparent

if TYPE_CHECKING:
    from libs.common.database.transaction import Transaction

INSERT = """
INSERT INTO outbox (event_id, workspace_id, topic, key, payload, traceparent)
VALUES (:event_id, :workspace_id, :topic, :key, :payload, :traceparent)
"""
# An event is thin; one that the broker refuses for its size would stand in the relay's way for ever.
LARGEST = 512 * 1024
_encoder = msgspec.json.Encoder()


async def write(tx: Transaction, events: Sequence[Event]) -> None:
    """Refuses an event that another service owns: one owner a topic."""
    traceparent = current_traceparent()
    await tx.execute_many(INSERT, [_row(tx.service, event, traceparent) for event in events])


def _row(service: str, event: Event, traceparent: str | None) -> dict[str, object]:
    topic = topic_of(event)
    if topic.owner != service:
        raise ValueError(f"{topic.name} is owned by {topic.owner}, not by {service}")
    payload = _encoder.encode(event)
    if len(payload) > LARGEST:
        raise ValueError(f"{topic.name} of {len(payload)} bytes: an event says which thing, never its content")
    return {
        "event_id": new_id(),
        "workspace_id": event.workspace_id,
        "topic": topic.name,
        "key": event.key,
        "payload": payload,
        "traceparent": traceparent,
    }
