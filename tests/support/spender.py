"""A replica in a process of its own: workers that call a metered provider through the gate, until told to stop.

One JSON line a fact on stdout: `ready`, `told` (a Retry-After reached this process, so nobody may call), at last `end`.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Any

from libs.common.clock import SystemClock
from libs.common.errors import PassingFailure, RetryAfter
from libs.common.http.client import OutboundClient, Response
from libs.common.ids import new_id
from libs.common.limits.ledger import Ledger
from libs.common.limits.rules import Answer, Flow
from libs.common.limits.shared import Place, Shared
from libs.common.provider.budgets import Budgets, Credential
from libs.common.provider.gate import Gates
from libs.common.provider.http import GrantedHttp
from libs.common.provider.manifest import Limits

ASKED: ContextVar[str] = ContextVar("ASKED")  # of this worker: when it asked last, and whether it is the probe


def tell(fact: str, **more: Any) -> None:
    print(json.dumps({"fact": fact, **more}), flush=True)


def show_and_die() -> None:
    for task in asyncio.all_tasks():
        task.print_stack(file=sys.stderr)
    sys.stderr.flush()
    os._exit(70)


class NotingLedger(Ledger):
    async def take(self, place: Place, ticket: str, flow: Flow, *, holder: str) -> Answer:
        asked = time.time()
        answer = await super().take(place, ticket, flow, holder=holder)
        ASKED.set(f"{asked!r} {answer.probe}")
        return answer


class Stamping:
    """Implements Outbound: says in each request when the caller asked for what let it through."""

    def __init__(self, client: OutboundClient) -> None:
        self.client = client

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, content: bytes | None = None
    ) -> Response:
        return await self.client.request(method, url, headers={"x-asked": ASKED.get()}, content=content)


class Spender:
    def __init__(self, order: dict[str, Any]) -> None:
        self.order = order
        self.client = OutboundClient([order["url"].removeprefix("http://")], attempts=1)
        shared = Shared(order["redis"], order["patience"])
        ledger = NotingLedger(shared, SystemClock(), f"spender-{new_id()}", replicas=order["replicas"])
        self.gates = Gates(Budgets(ledger))
        limits = Limits(
            requests_per_hour=order["per_hour"], window_seconds=order["window"], concurrency=order["concurrency"]
        )
        self.credential = Credential(provider="metered", account=order["account"], holder=new_id(), limits=limits)
        self.stop = asyncio.Event()

    async def run(self) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, show_and_die)
        beating = asyncio.create_task(self.beat())
        await self.gates.beat()
        tell("ready")
        flows = self.order["flows"]
        async with asyncio.TaskGroup() as group:
            for workspace, lane in flows:
                group.create_task(self.work(workspace, lane))
            await asyncio.to_thread(sys.stdin.readline)
            self.stop.set()
        beating.cancel()
        tell("end")
        await self.gates.close()
        await self.client.aclose()

    async def beat(self) -> None:
        while True:
            await self.gates.beat()
            await asyncio.sleep(0.5)

    async def work(self, workspace: str, lane: Any) -> None:
        http = GrantedHttp(Stamping(self.client), api_url=self.order["url"], base_url=self.order["url"])
        http.gate = self.gates.open(self.credential, workspace=workspace, lane=lane)
        while not self.stop.is_set():
            try:
                await self.call(http)
            except RetryAfter as wait:
                await self.pause((wait.until - datetime.now(UTC)).total_seconds())
            except PassingFailure:
                await self.pause(self.order["rest"])

    async def call(self, http: GrantedHttp) -> None:
        answer = await http.request("GET", "/")
        if answer.status == 429:
            http.note_limit(datetime.now(UTC) + timedelta(seconds=int(answer.headers["retry-after"])))
            await asyncio.wait(http.gate._leaving)  # type: ignore[union-attr]  # when Redis has it, all have it
            tell("told", at=time.time(), seconds=int(answer.headers["retry-after"]))
        await self.pause(self.order["rest"])

    async def pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(max(seconds, 0)):
                await self.stop.wait()
        except TimeoutError:
            return


if __name__ == "__main__":
    asyncio.run(Spender(json.loads(sys.argv[1])).run())
