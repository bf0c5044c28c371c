"""Attempts of hook deliveries as GitHub tells them: what became of each, newest first by cursor, for three days."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from libs.providers.github.sandbox import shapes
from libs.providers.github.sandbox.call import Call, Refused
from libs.providers.github.sandbox.listing import MOST_PER_PAGE, number
from libs.sandbox.contract import Answer
from libs.sandbox.deliveries import Delivery

KEPT_SECONDS = 3 * 24 * 3600  # docs: "Redelivering webhooks"
CODES = {"success": range(200, 400), "failure": range(400, 600)}  # docs: REST "Repository webhook deliveries"
CURSOR = "v1_"


def kept(deliveries: Sequence[Delivery], now: float) -> list[Delivery]:
    return [one for one in deliveries if one.time > now - KEPT_SECONDS]


def page(call: Call, deliveries: Sequence[Delivery]) -> Answer:
    """`status=success|failure` as asked; the cursor names the attempt that its page begins with."""
    codes, size = CODES.get(call.query.get("status", "")), number(call.query.get("per_page"), 30)
    size = min(max(size, 1), MOST_PER_PAGE)
    begin = _begin(call.query.get("cursor"))
    rows = sorted((one for one in deliveries if begin is None or one.id <= begin), key=lambda one: -one.id)
    rows = [one for one in rows if codes is None or outcome(one)[0] in codes]
    headers = {}
    if len(rows) > size:
        kept_query = f"&status={call.query['status']}" if codes else ""
        path = f"{shapes.API}/repositories/{call.shelf.repo.id}{call.params['suffix']}"
        url = f"{path}?per_page={size}{kept_query}&cursor={CURSOR}{rows[size].id}"
        headers["link"] = f'<{url}>; rel="next"'
    return Answer(200, msgspec.json.encode([shape(one) for one in rows[:size]]), headers)


def outcome(it: Delivery) -> tuple[int, str]:
    """The code and the words: where nobody answered GitHub tells a gateway's code of its own."""
    if it.state == "pending":
        return 0, "pending"
    if it.status:
        return it.status, "OK" if it.state == "delivered" else f"Invalid HTTP Response: {it.status}"
    timed_out = (it.error or "").startswith("TimeoutError")
    return (504, "timed out") if timed_out else (502, "failed to connect to host")


def shape(it: Delivery) -> dict[str, Any]:
    code, words = outcome(it)
    return {
        "id": it.id, "guid": it.guid, "delivered_at": shapes.iso(int(it.time)), "redelivery": it.redelivery,
        "duration": it.seconds, "status": words, "status_code": code, "event": it.event, "action": it.action,
        "installation_id": None, "repository_id": it.repository_id, "throttled_at": None,
    }  # fmt: skip


def _begin(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    digits = cursor.removeprefix(CURSOR)
    if not digits.isdecimal():
        raise Refused(400, "Invalid cursor")
    return int(digits)
