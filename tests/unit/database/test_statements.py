"""Named parameters become the driver's numbered ones, and nothing else of a statement changes."""

import pytest

from libs.common.database.transaction import _statement


@pytest.mark.parametrize(
    ("sql", "text", "names"),
    [
        ("SELECT 1", "SELECT 1", ()),
        ("WHERE id = :id AND epoch = :epoch", "WHERE id = $1 AND epoch = $2", ("id", "epoch")),
        ("VALUES (:a, :b, :a)", "VALUES ($1, $2, $1)", ("a", "b")),
        ("CAST(:ids AS text[]), x::bigint", "CAST($1 AS text[]), x::bigint", ("ids",)),
        ("ARRAY[1, 2][1:2]", "ARRAY[1, 2][1:2]", ()),
    ],
)
def test_names_become_places_in_their_order(sql: str, text: str, names: tuple[str, ...]) -> None:
    assert _statement(sql) == (text, names)
