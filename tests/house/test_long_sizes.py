"""A long size that `make chaos` does not run is one that nobody has ever seen pass."""

from __future__ import annotations

from pathlib import Path

from tests.support.chaos import PARTS
from tests.support.suites import ROOT

HERE = Path(__file__)
SAYS_HOW_LARGE = ("sized(", "long_run()")


def test_every_test_that_has_a_long_size_is_in_exactly_one_part_of_chaos() -> None:
    tests = [*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "libs" / "providers").rglob("test_*.py")]
    long = {path for path in tests if any(word in path.read_text() for word in SAYS_HOW_LARGE)} - {HERE}
    places = [ROOT / path for part in PARTS.values() for path in part.paths]
    run = {path: [place for place in places if path.is_relative_to(place)] for path in tests}
    assert {str(path.relative_to(ROOT)): len(run[path]) for path in long if len(run[path]) != 1} == {}


def test_every_fault_test_of_the_installation_is_run_long() -> None:
    places = [ROOT / path for part in PARTS.values() for path in part.paths]
    tests = (ROOT / "tests" / "chaos").rglob("test_*.py")
    assert [path.name for path in tests if not any(path.is_relative_to(place) for place in places)] == []
