"""Pages that have come and are not committed yet: what each cost, and which may be committed as one."""

from __future__ import annotations

from datetime import datetime

import msgspec

from libs.common.provider.sync import Item, Observed, Page, PartSeen
from services.sync.repository.runs import Counts

Key = tuple[str, ...]


class Used(msgspec.Struct, frozen=True):
    """What a page cost and the validators it learned: taken before the next one is asked for, which has its own."""

    spent: Counts
    learned: dict[str, str]

    def __add__(self, later: Used) -> Used:
        return Used(self.spent + later.spent, self.learned | later.learned)


class Pulled(msgspec.Struct, frozen=True, kw_only=True):
    """One page, or several as one. `since` is the database's time before the request: what another lane wrote later may
    be newer.

    `keys` are those of a plain page: it needs its provider no more, and says of its objects only what they are. None
    for any other.
    """

    page: Page
    since: datetime
    used: Used
    keys: frozenset[Key] | None

    @property
    def is_plain(self) -> bool:
        return self.keys is not None

    def joined(self, later: Pulled) -> Pulled | None:
        """None unless the two are plain and have nothing in common: then what they leave behind is the same as one
        after the other."""
        if self.keys is None or later.keys is None or not self.keys.isdisjoint(later.keys):
            return None
        return Pulled(
            page=_both(self.page, later.page), since=self.since, used=self.used + later.used,
            keys=self.keys | later.keys,
        )  # fmt: skip


def pulled(page: Page, since: datetime, used: Used) -> Pulled:
    one = msgspec.structs.replace(used, spent=used.spent + Counts(pages=1))
    return Pulled(page=page, since=since, used=one, keys=_keys(page))


def _both(page: Page, later: Page) -> Page:
    """What the later one does not say, the earlier one has said."""
    return msgspec.structs.replace(
        later, items=page.items + later.items, resource=later.resource or page.resource,
        estimate=page.estimate if later.estimate is None else later.estimate,
    )  # fmt: skip


def _keys(page: Page) -> frozenset[Key] | None:
    if page.full_listing is not None:
        return None
    keys = [_key(item) for item in page.items]
    return frozenset(key for key in keys if key) if all(keys) else None


def _key(item: Item) -> Key | None:
    """None where more is said than what the object is: that it moved, that these are all of its parts."""
    if isinstance(item, PartSeen):
        return (item.parent_key, item.part.key)
    plain = isinstance(item, Observed) and item.previous_key is None and item.parts is None
    return (item.key,) if plain else None
