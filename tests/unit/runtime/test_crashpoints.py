"""A crash point ends the process at the hit that was asked for, and is nothing otherwise."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from libs.common.testing.crashpoints import ProcessDied, crashpoint, crashpoints, watching

PROGRAM = """
from libs.common.testing.crashpoints import crashpoint
for number in range(5):
    print(number, flush=True)
    crashpoint("test.page")
    crashpoint("test.other")
"""


@pytest.mark.parametrize(
    ("setting", "printed", "code"),
    [
        ("test.page:3", 3, -signal.SIGKILL),
        ("test.other:1", 1, -signal.SIGKILL),
        ("test.page:9", 5, 0),
        ("test.pag:1", 5, 0),
        ("test.page", 5, 0),
        ("", 5, 0),
    ],
)
def test_process_dies_at_the_wanted_hit(setting: str, printed: int, code: int) -> None:
    env = {**os.environ, "SLUICE_CRASHPOINT": setting, "PYTHONPATH": "."}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=env, capture_output=True, timeout=30, check=False)
    assert (len(done.stdout.split()), done.returncode) == (printed, code)


ORDERED = """
import os, pathlib, sys
from libs.common.testing.crashpoints import crashpoint
order = pathlib.Path(os.environ["SLUICE_CRASHPOINT_ORDERS"]) / str(os.getpid())
crashpoint("test.page")
order.write_text("test.page")
crashpoint("test.other")
print("alive", flush=True)
crashpoint("test.page")
print("still alive", flush=True)
"""


def test_process_dies_at_the_next_hit_after_its_order(tmp_path: Path) -> None:
    env = {**os.environ, "SLUICE_CRASHPOINT_ORDERS": str(tmp_path), "PYTHONPATH": "."}
    done = subprocess.run([sys.executable, "-c", ORDERED], env=env, capture_output=True, timeout=30, check=False)
    assert (done.stdout.split(), done.returncode) == ([b"alive"], -signal.SIGKILL)
    assert list(tmp_path.iterdir()) == []


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
