"""What the kit and a provider's stand-in promise each other."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from libs.sandbox.deliveries import Deliveries
    from libs.sandbox.faults import Fault


@dataclass(frozen=True, slots=True)
class Request:
    """One request as the provider would see it; `path` is inside the mount, `origin` is scheme, host and mount."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    origin: str


@dataclass(slots=True)
class Answer:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Control:
    """One call of a control route: the JSON body (an object) and the query parameters."""

    body: dict[str, Any]
    query: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stand-in lives: the checkout it copies, the folder it may write, and the way out for its hooks."""

    root: Path
    state: Path
    deliveries: Deliveries


class ControlRefused(Exception):
    """A control call that cannot be done as asked; the message is for whoever drives the sandbox."""

    def __init__(self, message: str, status: int = 422) -> None:
        super().__init__(message)
        self.status = status


class StandIn(Protocol):
    """A provider played locally. `controls` maps "POST change" style keys to the verbs only this provider has."""

    def answer(self, request: Request) -> Answer: ...

    def refuse(self, fault: Fault, request: Request) -> Answer:
        """The provider's own way to say rate_limit, secondary_limit or unauthorized."""
        ...

    def controls(self) -> Mapping[str, Callable[[Control], object]]: ...

    def close(self) -> None: ...


StandInFactory = Callable[[Place], StandIn]


def pattern(expression: str | None) -> re.Pattern[str] | None:
    """A caller's regular expression; a broken one is the caller's mistake, not ours."""
    if not expression:
        return None
    try:
        return re.compile(expression)
    except re.error as broken:
        raise ControlRefused(f"not a regular expression: {broken}") from broken


def as_json(value: object) -> bytes:
    return msgspec.json.encode(value)
