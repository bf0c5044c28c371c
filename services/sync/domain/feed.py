"""The change feed without any I/O: what a fact is about, which facts are wanted, what a page of them amounts to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec

from libs.common.events.source import Cause, Change, SourceType

LARGEST_SEQ = 2**63 - 1


class Position(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a reader of this workspace goes on: after `seq`; with `source`, first in the snapshot after that id."""

    workspace: str
    seq: Annotated[int, msgspec.Meta(ge=0, le=LARGEST_SEQ)]
    source: Annotated[str, msgspec.Meta(max_length=64)] | None = None


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What filters read of an event. A fact of the snapshot has no cause: a row does not keep why it last changed."""

    source_id: str
    integration_id: str
    resource_id: str
    provider: str
    type: SourceType
    change: Change
    cause: Cause | None = None


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """`place` is where a reader goes on after it: the seq of the log, the source's id in a snapshot."""

    place: int | str
    seq: int | None
    event_id: str | None
    topic: str
    occurred_at: datetime
    event: msgspec.Raw
    about: About


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Every field that is set narrows. `since` is our time of the change, not the provider's."""

    integration: str | None = None
    resource: str | None = None
    provider: str | None = None
    type: SourceType | None = None
    change: Change | None = None
    cause: Cause | None = None
    since: datetime | None = None

    @property
    def narrows(self) -> bool:
        return any(getattr(self, name) is not None for name in self.__struct_fields__)

    def takes(self, fact: Fact) -> bool:
        about = fact.about
        pairs = (
            (self.integration, about.integration_id), (self.resource, about.resource_id),
            (self.provider, about.provider), (self.type, about.type), (self.change, about.change),
            (self.cause, about.cause),
        )  # fmt: skip
        return all(wanted is None or wanted == found for wanted, found in pairs) and (
            self.since is None or fact.occurred_at >= self.since
        )


class Scan(msgspec.Struct, frozen=True):
    """Facts in order, from the place where a page begins; `more` says that others follow."""

    facts: Sequence[Fact]
    more: bool


class Cut(msgspec.Struct, frozen=True):
    """`place` None: nothing was scanned, so the reader stays where it is."""

    facts: Sequence[Fact]
    place: int | str | None
    more: bool


def cut(scan: Scan, wanted: Filter, limit: int, *, compact: bool) -> Cut:
    """The page goes on after its last fact, or after everything scanned when no wanted fact is left behind."""
    kept = [fact for fact in (newest_of_each(scan.facts) if compact else scan.facts) if wanted.takes(fact)]
    if len(kept) > limit:
        return Cut(kept[:limit], kept[limit - 1].place, True)
    return Cut(kept, scan.facts[-1].place if scan.facts else None, scan.more)


def newest_of_each(facts: Sequence[Fact]) -> list[Fact]:
    """One a source, at its own place: what is left out is repeated by what stays, which comes later."""
    last = {fact.about.source_id: at for at, fact in enumerate(facts)}
    return [fact for at, fact in enumerate(facts) if last[fact.about.source_id] == at]
