"""What every process answers its operators: that it lives, whether it is ready, and its figures."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field

from libs.common.errors import SluiceError
from libs.common.http.health import Health
from libs.common.telemetry.metrics import render

Ready = Callable[[], Awaitable[dict[str, bool]]]

READY_SECONDS = 3.0
PATHS = frozenset({"/healthz", "/readyz", "/metrics"})


@dataclass(frozen=True)
class Operations:
    """`ready` checks what the service needs, and `health` is the supervisor's. The service is ready without its
    `tolerated` checks, which are shown all the same."""

    name: str
    ready: Ready
    tolerated: Collection[str] = ()
    health: Health = field(default_factory=Health)

    def alive(self) -> dict[str, str]:
        return {"service": self.name, "status": "alive"}

    async def readiness(self) -> tuple[bool, dict[str, object]]:
        checks = self.health.as_dict() | await self._checked()
        up = all(well for check, well in checks.items() if check not in self.tolerated)
        return up, {"service": self.name, "ready": up, "checks": checks}

    def figures(self) -> bytes:
        return render()

    async def _checked(self) -> dict[str, bool]:
        """A check that fails or hangs is a "no", not an error page."""
        try:
            async with asyncio.timeout(READY_SECONDS):
                return await self.ready()
        except (SluiceError, TimeoutError, OSError):
            return {"checks": False}
