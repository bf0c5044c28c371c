"""What narrows a search, as the one subquery that both rankings are held to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from services.chunker.domain.searching import Filters

COLUMNS = {
    "types": "s.type",
    "providers": "s.provider",
    "integrations": "s.integration_id",
    "resources": "s.resource_id",
    "authors": "s.author",
}
# Chunks that hold every word of the phrases; whether the phrases stand there is seen in their text alone.
QUOTED = """
k.pk IN (
  SELECT chunk_pk FROM posting WHERE lexeme = ANY(CAST(:quoted AS text[]))
  GROUP BY chunk_pk HAVING count(*) = cardinality(CAST(:quoted AS text[]))
)
"""
PHRASE = r"position(lower(CAST(:phrase_{n} AS text)) IN lower(regexp_replace(k.text, '\s+', ' ', 'g'))) > 0"


class Narrowing(msgspec.Struct, frozen=True):
    """A query for the `pk` of every chunk that may be found, with its parameters; and what it was made of."""

    sql: str
    values: dict[str, Any]
    filters: Filters = Filters()
    quoted: tuple[str, ...] = ()


def narrowing(filters: Filters, phrases: Sequence[str] = (), quoted: Sequence[str] = ()) -> Narrowing | None:
    """None when nothing narrows. `quoted` are the lexemes of the phrases."""
    conditions, values = conditions_of(filters)
    if quoted:
        conditions.append(QUOTED)
        values["quoted"] = list(quoted)
    for n, phrase in enumerate(phrases):
        conditions.append(PHRASE.format(n=n))
        values[f"phrase_{n}"] = phrase
    if not conditions:
        return None
    where = " AND ".join(conditions)
    sql = f"SELECT k.pk FROM indexed_source s JOIN chunk k ON k.source_id = s.id WHERE {where}"
    return Narrowing(sql, values, filters, tuple(quoted))


def within(narrow: Narrowing | None, sources: Sequence[str]) -> Narrowing:
    """The same, of these sources alone."""
    among = "SELECT k.pk FROM chunk k WHERE k.source_id = ANY(CAST(:within AS text[]))"
    if narrow is None:
        return Narrowing(among, {"within": list(sources)})
    sql = f"{narrow.sql} AND s.id = ANY(CAST(:within AS text[]))"
    return msgspec.structs.replace(narrow, sql=sql, values={**narrow.values, "within": list(sources)})


def conditions_of(filters: Filters) -> tuple[list[str], dict[str, Any]]:
    """Conditions on `indexed_source s`, and their parameters."""
    conditions: list[str] = []
    values: dict[str, Any] = {}
    for name, column in COLUMNS.items():
        if wanted := getattr(filters, name):
            conditions.append(f"{column} = ANY(CAST(:{name} AS text[]))")
            values[name] = list(wanted)
    if filters.path is not None:
        conditions.append("starts_with(s.path, :path)")
        values["path"] = filters.path
    for name, sign in (("updated_after", ">="), ("updated_before", "<")):
        if (moment := getattr(filters, name)) is not None:
            conditions.append(f"s.updated_at {sign} :{name}")
            values[name] = moment
    return conditions, values
