"""A crash point ends the process at the hit that was asked for, and is nothing otherwise."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from libs.common.testing.crashpoints import ProcessDied, crashpoint, crashpoints, watching


def test_every_crash_point_of_the_source_is_listed(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text('crashpoint("one.a")\n\ndef f():\n    crashpoint("one.b")\n')
    assert crashpoints([tmp_path]) == {"one.a": f"{tmp_path}/a.py:1", "one.b": f"{tmp_path}/a.py:4"}


@pytest.mark.parametrize("source", ['crashpoint("x")\ncrashpoint("x")\n', "crashpoint(name)\n", "crashpoint()\n"])
def test_name_that_is_doubled_or_not_literal_is_refused(tmp_path: Path, source: str) -> None:
    (tmp_path / "a.py").write_text(source)
    with pytest.raises(ValueError, match="crash point"):
        crashpoints([tmp_path])


def test_our_own_source_names_each_place_once() -> None:
    assert isinstance(crashpoints([Path("libs"), Path("services")]), dict)


async def test_watched_task_and_those_it_starts_tell_each_point_and_may_die_there() -> None:
    told: list[str] = []

    def arrived(name: str) -> None:
        told.append(name)
        if len(told) == 2:
            raise ProcessDied(name)

    async def work() -> None:
        crashpoint("here")

    with watching(arrived):
        await asyncio.create_task(work())
        with pytest.raises(ProcessDied):
            await asyncio.create_task(work())
    crashpoint("here")
    assert told == ["here", "here"]
