"""An event becomes a row of its own service's outbox, or the transaction fails."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from libs.common.events import Hint, WebhookReceived
from libs.common.outbox import writer
from libs.common.telemetry.tracing import current_traceparent, span, use_traceparent
from tests.integration.bus.rig import connected

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class FakeTransaction:
    """Keeps what the last statement wrote; it is its own driver."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.written: dict[str, Any] = {}

    async def driver(self) -> FakeTransaction:
        return self

    async def execute(self, sql: str, traceparent: str | None, rows: str, payloads: list[bytes]) -> None:
        told = msgspec.json.decode(rows, type=list[dict[str, str]])
        self.written = {f"{name}s": [row[name] for row in told] for name in told[0]}
        self.written |= {"traceparent": traceparent, "payloads": payloads}


async def test_a_row_carries_key_workspace_and_trace() -> None:
    tx = FakeTransaction("auth")
    event = connected("k-1", 3)
    with use_traceparent(TRACE), span("a change"):
        expected = current_traceparent()
        await writer.write(tx, [event, event])
    assert tx.written["keys"] == ["k-1", "k-1"]
    assert tx.written["workspace_ids"] == [event.workspace_id] * 2
    assert tx.written["topics"] == ["integration.connected"] * 2
    assert tx.written["traceparent"] == expected
    assert [msgspec.json.decode(payload, type=type(event)) for payload in tx.written["payloads"]] == [event, event]
    assert len(set(tx.written["event_ids"])) == 2


async def test_only_the_owner_of_a_topic_may_write_it() -> None:
    tx = FakeTransaction("sync")
    with pytest.raises(ValueError, match="owned by auth"):
        await writer.write(tx, [connected("k", 1)])
    assert tx.written == {}


async def test_an_event_that_carries_content_is_refused_before_the_broker_would() -> None:
    keys = tuple(f"key-{number:08}" for number in range(60_000))
    hint = Hint(resource_external_id="r", stream="s", keys=keys)
    event = WebhookReceived(
        workspace_id="w", integration_id="i", delivery_id="d", provider="p", event="e", hints=(hint,),
        received_at="2026-03-02T09:30:15Z",
    )  # fmt: skip
    with pytest.raises(ValueError, match="bytes"):
        await writer.write(FakeTransaction("webhooks"), [event])
