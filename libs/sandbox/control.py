"""The control routes: what anyone may ask of the sandbox from outside to drive and to check it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from libs.sandbox.contract import Answer, Control, ControlRefused, StandIn, as_json
from libs.sandbox.deliveries import Deliveries
from libs.sandbox.faults import Fault, Faults
from libs.sandbox.request_log import RequestLog
from libs.sandbox.wire import Scope


@dataclass(frozen=True, slots=True)
class Mount:
    stand_in: StandIn
    faults: Faults
    log: RequestLog
    deliveries: Deliveries


class Resend(msgspec.Struct, forbid_unknown_fields=True):
    id: int
    headers: dict[str, str | None] = {}


def controlled(mount: Mount | None, scope: Scope, route: str, body: bytes) -> Answer:
    """Answers one control call; a refusal says what was wrong with it."""
    try:
        if mount is None:
            raise ControlRefused("no such provider is mounted", status=404)
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        verb = f"{scope['method']} {route.strip('/')}"
        return Answer(200, as_json(_verb(mount, verb)(Control(_object(body), query))))
    except ControlRefused as refused:
        return Answer(refused.status, as_json({"error": str(refused)}))
    except msgspec.ValidationError as wrong:
        return Answer(422, as_json({"error": str(wrong)}))


def _verb(mount: Mount, verb: str) -> Callable[[Control], object]:
    own: dict[str, Callable[[Control], object]] = {
        "GET faults": lambda _: {"items": mount.faults.listed()},
        "POST faults": lambda call: mount.faults.arm(msgspec.convert(call.body, Fault)),
        "DELETE faults": lambda _: {"removed": mount.faults.clear()},
        "GET requests": lambda call: _requests(mount.log, call),
        "DELETE requests": lambda _: {"removed": mount.log.clear()},
        "GET deliveries": lambda call: _deliveries(mount.deliveries, call),
        "POST deliveries": lambda call: _again(mount.deliveries, msgspec.convert(call.body, Resend)),
    }
    found = own.get(verb) or mount.stand_in.controls().get(verb)
    if found is None:
        raise ControlRefused(f"no control route {verb}", status=404)
    return found


def _requests(log: RequestLog, call: Control) -> dict[str, object]:
    entries = log.since(_number(call, "since"), call.query.get("match"))
    counts = Counter(entry.status for entry in entries)
    summary = {"total": len(entries), "notModified": counts[304], "byStatus": {str(s): n for s, n in counts.items()}}
    return {"items": [] if call.query.get("items") == "0" else entries, "last": log.last, "counts": summary}


def _deliveries(deliveries: Deliveries, call: Control) -> dict[str, object]:
    since = _number(call, "since")
    return {"items": [delivery for delivery in deliveries.listed() if delivery.id > since]}


def _again(deliveries: Deliveries, resend: Resend) -> object:
    return deliveries.again(resend.id, headers=resend.headers)


def _number(call: Control, name: str) -> int:
    try:
        return int(call.query.get(name, "0"))
    except ValueError as wrong:
        raise ControlRefused(f"{name} is not a number") from wrong


def _object(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as wrong:
        raise ControlRefused(f"the body is not a JSON object: {wrong}", status=400) from wrong
