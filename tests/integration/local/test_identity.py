"""Processes are known by id and start, whatever system tells it."""

import os
import subprocess
import sys

import pytest

from libs.local import identity
from libs.local.identity import Identity, command_of

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture(params=["proc", "ps"])
def source(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    if request.param == "ps":
        monkeypatch.setattr(identity, "PROC", tmp_path)


@pytest.mark.usefixtures("source")
def test_running_process_is_alive_until_it_is_ended() -> None:
    with subprocess.Popen(SLEEPER) as process:
        me = Identity.of(process.pid)
        assert me is not None
        assert me.alive()
        assert "time.sleep(60)" in command_of(process.pid)
        process.kill()
        process.wait()
        assert not me.alive()
        assert command_of(process.pid) == ""


@pytest.mark.usefixtures("source")
def test_zombie_is_not_alive() -> None:
    with subprocess.Popen(SLEEPER) as process:
        me = Identity.of(process.pid)
        assert me is not None
        process.kill()
        assert me.gone_within(5.0)


@pytest.mark.usefixtures("source")
def test_process_that_got_the_id_of_another_is_spared() -> None:
    with subprocess.Popen(SLEEPER) as process:
        Identity(process.pid, "another start").end(9, 1.0)
        assert process.poll() is None
        process.kill()


def test_own_process_has_one_identity() -> None:
    assert Identity.of(os.getpid()) == Identity.of(os.getpid())
