"""How fresh a copy is, and whether that is what was promised."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from libs.common.database.transaction import Row
from libs.common.http.wire import Wire


class FreshnessWire(Wire):
    """As of `freshAsOf` the copy is whole: then began the last look that read every stream to its end, without an error
    or an item in quarantine; as of `sweptAsOf` that holds for deletions too. `objectiveMet` is null where nobody looks
    by itself, and nothing is promised.
    """

    fresh_as_of: datetime | None
    swept_as_of: datetime | None
    staleness_seconds: int | None
    objective_seconds: int | None
    objective_met: bool | None


class FreshnessSummaryWire(FreshnessWire):
    """The worst of each; `lateResources` are those beyond their objective."""

    resources: int
    late_resources: int


def freshness_wire(row: Row) -> FreshnessWire:
    return FreshnessWire(
        fresh_as_of=row["fresh_as_of"], swept_as_of=row["swept_as_of"], staleness_seconds=row["staleness_seconds"],
        objective_seconds=row["objective_seconds"], objective_met=row["objective_met"],
    )  # fmt: skip


def summary_wire(rows: Sequence[Row]) -> FreshnessSummaryWire:
    told = [freshness_wire(row) for row in rows]
    met = [one.objective_met for one in told if one.objective_met is not None]
    return FreshnessSummaryWire(
        fresh_as_of=_earliest([one.fresh_as_of for one in told]),
        swept_as_of=_earliest([one.swept_as_of for one in told]),
        staleness_seconds=_greatest([one.staleness_seconds for one in told]),
        objective_seconds=max((one.objective_seconds for one in told if one.objective_seconds), default=None),
        objective_met=all(met) if met else None, resources=len(told), late_resources=met.count(False),
    )  # fmt: skip


def _earliest(times: Sequence[datetime | None]) -> datetime | None:
    """None when one of them is unknown: the worst is."""
    known = [at for at in times if at is not None]
    return min(known) if known and len(known) == len(times) else None


def _greatest(seconds: Sequence[int | None]) -> int | None:
    known = [one for one in seconds if one is not None]
    return max(known) if known and len(known) == len(seconds) else None
