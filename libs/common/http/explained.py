"""One shape for what each service knows of the way from a provider's object to a search: a step, when, and why."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from libs.common.http.wire import Wire

Outcome = Literal["passed", "waiting", "stopped", "noted"]


class Step(Wire):
    """`stopped`: it goes no further until what `detail` says is mended. `waiting`: it goes on by itself. `noted`: so it
    is, whatever comes of it. `code` is for programs, `facts` are the values behind it.
    """

    step: str
    outcome: Outcome
    code: str
    detail: str
    at: datetime | None = None
    facts: dict[str, Any] = msgspec.field(default_factory=dict)


class Steps(Wire):
    """In the order in which they are gone."""

    steps: list[Step]
