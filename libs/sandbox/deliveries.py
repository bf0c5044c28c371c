"""Hook deliveries to the application under test: sent once, recorded, and never beyond loopback."""

from __future__ import annotations

import asyncio
import http.client
import ipaddress
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from libs.sandbox.contract import ControlRefused

# Providers wait about this long for an answer before they count a delivery as failed.
ANSWER_WITHIN_SECONDS = 10.0


class Delivery(msgspec.Struct, rename="camel", kw_only=True):
    """One attempt. `status` is what the receiver answered, 0 while under way or when it could not be reached."""

    id: int
    guid: str
    event: str
    url: str
    headers: dict[str, str]
    body: str
    action: str | None = None
    hook_id: int | None = None
    repository_id: int | None = None
    redelivery: bool = False
    time: float = 0.0
    seconds: float = 0.0
    status: int = 0
    state: str = "pending"
    error: str | None = None


class NotLoopback(Exception):
    pass


def loopback_of(url: str) -> str | None:
    """The loopback address that an http URL names, else None. No name is ever looked up: localhost is 127.0.0.1."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "http" or not host:
        return None
    if host == "localhost" or host.endswith(".localhost"):
        return "127.0.0.1"
    try:
        return host if ipaddress.ip_address(host).is_loopback else None
    except ValueError:
        return None


class Deliveries:
    """The journal of deliveries and the sender; failures are recorded, nothing is tried again by itself."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._all: dict[int, Delivery] = {d.id: d for d in _read(path)}
        self._last = max(self._all, default=0)
        self._threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="hook")
        self._under_way: set[asyncio.Task[None]] = set()

    def send(
        self, *, guid: str, event: str, url: str, headers: dict[str, str], body: bytes,
        action: str | None = None, hook_id: int | None = None, repository_id: int | None = None,
        redelivery: bool = False, muted: str | None = None,
    ) -> Delivery:  # fmt: skip
        """Starts one delivery on the running loop and returns at once; `muted` records it without sending."""
        self._last += 1
        delivery = Delivery(
            id=self._last, guid=guid, event=event, url=url, headers=headers, body=body.decode(), action=action,
            hook_id=hook_id, repository_id=repository_id, redelivery=redelivery, time=round(time.time(), 3),
        )  # fmt: skip
        self._all[delivery.id] = delivery
        if muted:
            delivery.state, delivery.error = "failed", muted
            self._record(delivery)
        else:
            self._start(delivery)
        return delivery

    def again(
        self, delivery_id: int, *, headers: dict[str, str | None] | None = None, muted: str | None = None
    ) -> Delivery:
        """Sends a recorded delivery once more, same guid and body; `headers` replaces some, None removes one."""
        first = self.one(delivery_id)
        sent = {**first.headers, **(headers or {})}
        return self.send(
            guid=first.guid, event=first.event, url=first.url, body=first.body.encode(), action=first.action,
            headers={name: value for name, value in sent.items() if value is not None},
            hook_id=first.hook_id, repository_id=first.repository_id, redelivery=True, muted=muted,
        )  # fmt: skip

    def one(self, delivery_id: int) -> Delivery:
        if delivery_id not in self._all:
            raise ControlRefused(f"no delivery {delivery_id}", status=404)
        return self._all[delivery_id]

    def listed(self, *, hook_id: int | None = None) -> list[Delivery]:
        return [d for d in self._all.values() if hook_id is None or d.hook_id == hook_id]

    async def settled(self) -> None:
        """Returns when nothing is under way."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def close(self) -> None:
        await self.settled()
        self._threads.shutdown(wait=False)

    def _start(self, delivery: Delivery) -> None:
        task = asyncio.get_running_loop().create_task(self._attempt(delivery))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _attempt(self, delivery: Delivery) -> None:
        began = time.perf_counter()
        loop = asyncio.get_running_loop()
        try:
            delivery.status = await loop.run_in_executor(self._threads, _post, delivery)
            delivery.state = "delivered" if 200 <= delivery.status < 300 else "failed"
        except (OSError, http.client.HTTPException, NotLoopback) as failed:
            delivery.state, delivery.error = "failed", f"{type(failed).__name__}: {failed}"
        delivery.seconds = round(time.perf_counter() - began, 4)
        self._record(delivery)

    def _record(self, delivery: Delivery) -> None:
        with self._path.open("ab") as journal:
            journal.write(msgspec.json.encode(delivery) + b"\n")


def _post(delivery: Delivery) -> int:
    """Posts the exact bytes that were signed."""
    address = loopback_of(delivery.url)
    if address is None:
        raise NotLoopback("the sandbox sends to loopback only")
    parts = urlsplit(delivery.url)
    connection = http.client.HTTPConnection(address, parts.port or 80, timeout=ANSWER_WITHIN_SECONDS)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    try:
        connection.request("POST", target, delivery.body.encode(), {"Host": parts.netloc, **delivery.headers})
        answer = connection.getresponse()
        answer.read(65536)
        return answer.status
    finally:
        connection.close()


def _read(path: Path) -> list[Delivery]:
    if not path.exists():
        return []
    whole = path.read_bytes()
    end = whole.rfind(b"\n") + 1
    if end != len(whole):
        path.write_bytes(whole[:end])
    return [msgspec.json.decode(line, type=Delivery) for line in whole[:end].splitlines()]
