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

# One document instead of four arrays: of each element of an array the driver asks twice whether it is a container.
INSERT = """
INSERT INTO outbox (event_id, workspace_id, topic, key, payload, traceparent)
SELECT event_id, workspace_id, topic, key, payload, $1
FROM ROWS FROM (
  json_to_recordset($2::json) AS (event_id text, workspace_id text, topic text, key text),
  unnest($3::bytea[])) WITH ORDINALITY
  AS given(event_id, workspace_id, topic, key, payload, place)
ORDER BY place
"""
# An event is thin; one that the broker refuses for its size would stand in the relay's way for ever.
LARGEST = 512 * 1024
_encoder = msgspec.json.Encoder()


class _Row(msgspec.Struct, frozen=True, gc=False):
    event_id: str
    workspace_id: str
    topic: str
    key: str


async def write(tx: Transaction, events: Sequence[Event]) -> None:
    """One statement, in the order given. Refuses an event that another service owns: one owner a topic."""
    topics = [_topic_name(tx.service, event) for event in events]
    rows = [_Row(new_id(), event.workspace_id, topic, event.key) for topic, event in zip(topics, events, strict=True)]
    payloads = [_payload(topic, event) for topic, event in zip(topics, events, strict=True)]
    driver = await tx.driver()
    await driver.execute(INSERT, current_traceparent(), _encoder.encode(rows).decode(), payloads)


def _topic_name(service: str, event: Event) -> str:
    topic = topic_of(event)
    if topic.owner != service:
        raise ValueError(f"{topic.name} is owned by {topic.owner}, not by {service}")
    return topic.name


def _payload(topic: str, event: Event) -> bytes:
    payload = _encoder.encode(event)
    if len(payload) > LARGEST:
        raise ValueError(f"{topic} of {len(payload)} bytes: an event says which thing, never its content")
    return payload
