"""A process dies at the crash point and the hit that it was told."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

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
