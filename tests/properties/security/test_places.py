"""What a value is sealed to is told apart from every other place, however their parts are spelled."""

from hypothesis import given
from hypothesis import strategies as st

from libs.common.security.vault import place


@given(st.lists(st.text(max_size=6), min_size=4, max_size=4), st.lists(st.text(max_size=6), min_size=4, max_size=4))
def test_places_are_equal_only_if_every_part_is(one: list[str], other: list[str]) -> None:
    assert (place(one[0], one[1], one[2], one[3], 1) == place(other[0], other[1], other[2], other[3], 1)) == (
        one == other
    )
