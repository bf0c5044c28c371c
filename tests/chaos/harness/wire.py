"""The way to a provider, broken on purpose at one request, or used by something else in the middle of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from libs.common.errors import ProviderUnavailable
from libs.common.provider.http import Outbound, Response
from tests.chaos.harness.history import Trouble
from tests.chaos.harness.life import ASKED, Life

SECONDARY = b'{"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}'


@dataclass(frozen=True)
class Broken:
    status: int
    body: bytes = b'{"message": "fault"}'
    headers: Mapping[str, str] = field(default_factory=dict)
    url: str = ""


Fault = Callable[[Outbound, str, str, dict[str, Any]], Awaitable[Response]]


def _says(status: int, body: bytes = b'{"message": "fault"}', **headers: str) -> Fault:
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def answer(_: Outbound, method: str, url: str, given: dict[str, Any]) -> Response:
        return Broken(status, body, named, url)

    return answer


def _cut(share: float) -> Fault:
    """The body ends early, as a proxy that counts nothing lets it through."""

    async def answer(wire: Outbound, method: str, url: str, given: dict[str, Any]) -> Response:
        whole = await wire.request(method, url, **given)
        if whole.status != 200:
            return whole
        return Broken(whole.status, whole.body[: int(len(whole.body) * share)], dict(whole.headers), whole.url)

    return answer


async def _reset(_: Outbound, method: str, url: str, given: dict[str, Any]) -> Response:
    """As OutboundClient tells a connection that was reset, or a page that did not come in time."""
    raise ProviderUnavailable("no answer came")


FAULTS: dict[str, Fault] = {
    "401": _says(401), "403": _says(403), "404": _says(404), "410": _says(410), "429": _says(429, retry_after="7"),
    "secondary": _says(403, SECONDARY), "500": _says(500), "502": _says(502), "503": _says(503),
    "cut": _cut(0.6), "empty": _cut(0.0), "reset": _reset,
}  # fmt: skip


class BreakableWire:
    """Implements Outbound over a play's own wire. `fired` counts the troubles that happened by kind."""

    def __init__(self, wire: Outbound, life: Callable[[], Life]) -> None:
        self.wire, self._life = wire, life
        self.asked = 0
        self.fired: Counter[str] = Counter()
        self._armed: tuple[int, Trouble] | None = None
        self._meanwhile: Callable[[], Awaitable[None]] | None = None

    def arm(self, trouble: Trouble) -> None:
        self._armed = (self.asked, trouble)

    def meanwhile(self, trouble: Trouble, what: Callable[[], Awaitable[None]]) -> None:
        """`what` happens while the request is under way that the trouble names."""
        self._armed, self._meanwhile = (self.asked, trouble), what

    def heal(self) -> None:
        self._armed = self._meanwhile = None

    async def request(self, method: str, url: str, **given: Any) -> Response:
        self.asked += 1
        kind = self._due()
        self._life().pass_by(ASKED)
        if kind in FAULTS:
            self.fired[kind] += 1
            return await FAULTS[kind](self.wire, method, url, given)
        answer = await self.wire.request(method, url, **given)
        if kind and self._meanwhile is not None:
            what, self._meanwhile = self._meanwhile, None
            self.fired[kind] += 1
            await what()
        return answer

    def _due(self) -> str:
        if self._armed is None:
            return ""
        start, trouble = self._armed
        return trouble.kind if start + trouble.at <= self.asked < start + trouble.at + trouble.times else ""
