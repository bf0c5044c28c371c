"""A provider played in this process for one history: what may happen to it, what it answers, and what it holds."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any, Protocol

import msgspec

from libs.common.events.source import SourceType
from libs.common.provider.http import Outbound
from libs.common.provider.webhooks import RawWebhook


class NotPossible(Exception):
    """This act finds nothing to act on in the world as it is now."""


class Thing(msgspec.Struct, frozen=True, kw_only=True):
    """What a faithful copy holds of one object. `metadata` names only what has to agree; `parts` are bodies by key.

    `revision` "" is not compared.
    """

    type: SourceType
    name: str
    body: str
    path: str | None = None
    revision: str = ""
    parts: Mapping[str, str] = {}
    metadata: Mapping[str, Any] = {}


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, in the provider's words, and the deliveries that it caused."""

    told: Mapping[str, Any] = {}
    deliveries: tuple[RawWebhook, ...] = ()


Truth = dict[str, dict[str, Thing]]  # resource's external id → key → thing


class Play(Protocol):
    """One small world of one history. `acts` are names and how often each is chosen beside the others.

    `references` is what a user connects with; `features` the choices a history may switch between, whole one first.
    """

    acts: Mapping[str, float]
    features: tuple[tuple[str, ...], ...]
    references: tuple[str, ...]
    config: Mapping[str, Any]
    api_url: str
    base_url: str
    token: str

    @property
    def wire(self) -> Outbound:
        """Answers as the provider does now."""
        ...

    def do(self, act: str, dice: Random) -> Act:
        """Raises NotPossible."""
        ...

    def truth(self) -> Truth:
        """Everything there is, also what is out of sight now and what was out of sight when it was last there."""
        ...

    def hidden(self) -> frozenset[str]:
        """Resources that are out of sight."""
        ...

    def heal(self) -> None:
        """All that can be seen again is; what was deleted stays so."""
        ...


class Stage(Protocol):
    """Where the plays of one provider are given, one after the other; `open_stage(state)` of its `tests.play`."""

    def play(self, dice: Random) -> Play:
        """A new world beside the earlier ones, which stay untouched."""
        ...

    def close(self) -> None: ...
