"""The ASGI application: each provider's stand-in under its name, and the control routes beside them."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from pathlib import Path
from typing import Any

import libs.providers
from libs.sandbox.contract import Answer, Place, Request, StandInFactory, as_json
from libs.sandbox.control import Mount, controlled
from libs.sandbox.deliveries import Deliveries
from libs.sandbox.faults import SPOKEN, Fault, Faults
from libs.sandbox.request_log import RequestLog
from libs.sandbox.wire import Receive, Scope, Send, break_wire, read_body, send_answer, wait_until_gone

Asgi = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]
]


def stand_ins() -> dict[str, StandInFactory]:
    """Every provider folder that brings a sandbox with a STAND_IN; nothing central lists them."""
    found: dict[str, StandInFactory] = {}
    for module in pkgutil.iter_modules(libs.providers.__path__):
        name = f"libs.providers.{module.name}.sandbox"
        if module.ispkg and importlib.util.find_spec(name):
            found[module.name] = importlib.import_module(name).STAND_IN
    return found


class Sandbox:
    """Plain ASGI on purpose: the stand-ins must never be the slow side of a measured sync."""

    def __init__(self, root: Path, state: Path, factories: dict[str, StandInFactory] | None = None) -> None:
        self.mounts: dict[str, Mount] = {}
        for name, factory in (stand_ins() if factories is None else factories).items():
            home = state / name
            home.mkdir(parents=True, exist_ok=True)
            deliveries = Deliveries(home / "deliveries.jsonl")
            self.mounts[name] = Mount(
                stand_in=factory(Place(root=root, state=home, deliveries=deliveries)),
                faults=Faults(),
                log=RequestLog(home / "requests.jsonl"),
                deliveries=deliveries,
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        head, _, rest = scope["path"].lstrip("/").partition("/")
        if head == "healthz":
            await send_answer(send, Answer(200, as_json({"status": "ok", "providers": sorted(self.mounts)})))
        elif head == "_control":
            name, _, route = rest.partition("/")
            await send_answer(send, controlled(self.mounts.get(name), scope, route, await read_body(receive)))
        elif head in self.mounts:
            await self._play(self.mounts[head], head, scope, receive, send)
        elif rooted := self._rooted(scope["path"]):
            await self._play(rooted, "", scope, receive, send)
        else:
            await send_answer(send, Answer(404, as_json({"error": f"nothing is mounted at /{head}"})))

    def _rooted(self, path: str) -> Mount | None:
        """Some files belong to the whole host, whatever is mounted on it: the stand-in that says so answers them."""
        return next((m for m in self.mounts.values() if path in getattr(m.stand_in, "root_paths", ())), None)

    async def close(self) -> None:
        for mount in self.mounts.values():
            mount.faults.clear()
            await mount.deliveries.close()
            mount.log.close()
            mount.stand_in.close()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _play(self, mount: Mount, name: str, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        request = _request(scope, name, await read_body(receive))
        shown = f"{scope['path']}?{request.query}" if request.query else scope["path"]
        fault = mount.faults.due(request.method, shown)
        answer = _answer(mount, request, fault)
        hit = None if "if-none-match" not in request.headers else "hit" if answer.status == 304 else "miss"
        sent = fault is None or fault.kind not in ("reset", "hang")
        # Logged before it leaves, so that whoever has the answer finds it in the log.
        mount.log.add(
            method=request.method, path=shown, status=answer.status if sent else 0,
            size=len(answer.body) if sent else 0, began=began, etag=hit, fault=fault.kind if fault else None,
        )  # fmt: skip
        if fault is None or fault.kind in SPOKEN or fault.kind == "status":
            await send_answer(send, answer)
        elif fault.kind == "hang":
            await wait_until_gone(receive, mount.faults.cleared)
            await break_wire(scope, send, None)
        elif fault.kind == "slow":
            await send_answer(send, answer, after=fault.seconds)
        else:
            await break_wire(scope, send, answer if fault.kind == "truncate" else None)


def _answer(mount: Mount, request: Request, fault: Fault | None) -> Answer:
    """A fault that never lets the answer out also never lets the request in: nothing changes behind a reset."""
    if fault is None or fault.kind in ("slow", "truncate"):
        return mount.stand_in.answer(request)
    if fault.kind in SPOKEN:
        return mount.stand_in.refuse(fault, request)
    headers = {"retry-after": str(fault.retry_after)} if fault.retry_after is not None else {}
    return Answer(fault.status, as_json({"message": "fault"}), headers)


def _request(scope: Scope, mount: str, body: bytes) -> Request:
    headers = _headers(scope["headers"])
    host = headers.get("host") or "127.0.0.1"
    return Request(
        method=scope["method"],
        path=(scope["path"][len(mount) + 1 :] if mount else scope["path"]) or "/",
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        body=body,
        origin=f"{scope.get('scheme', 'http')}://{host}/{mount}".rstrip("/"),
    )


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in raw}
