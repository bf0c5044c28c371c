"""Who a process is: its id is reused by the system, so it counts only together with its start time."""

import os
import signal
import subprocess
from pathlib import Path

import msgspec

from libs.local.polling import polled

PROC = Path("/proc")


class Identity(msgspec.Struct, frozen=True):
    """A process and no other: the id, and what the system says of its start."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> "Identity | None":
        started = started_at(pid)
        return cls(pid, started) if started else None

    def alive(self) -> bool:
        return started_at(self.pid) == self.started

    def send(self, number: int) -> bool:
        """False if the process is gone, or its id belongs to another by now."""
        if not self.alive():
            return False
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True

    def end(self, number: int, patience: float) -> None:
        """Asks with that signal, waits, then kills; returns when it is gone."""
        if not self.send(number):
            return
        if not self.gone_within(patience):
            self.send(signal.SIGKILL)
            self.gone_within(5.0)
        sweep_group(self.pid)

    def gone_within(self, seconds: float) -> bool:
        return polled(lambda: not self.alive(), seconds=seconds, every=0.02) is not None


def started_at(pid: int) -> str | None:
    """The start of a running process as the system tells it; None if there is none (a zombie is none)."""
    return _from_proc(pid) if (PROC / "self" / "stat").exists() else _from_ps(pid)


def command_of(pid: int) -> str:
    """The command line of a process; empty if there is none."""
    if not (PROC / "self" / "cmdline").exists():
        return _ps(pid, "command=").strip()
    try:
        return (PROC / str(pid) / "cmdline").read_text().replace("\0", " ").strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def sweep_group(leader: int) -> None:
    """Kills what a dead process left behind in its own group; the group's id cannot be reused while it has members."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _from_proc(pid: int) -> str | None:
    try:
        after_name = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, ticks = after_name[0], after_name[19]
    return None if state in "ZX" else f"{boot}:{ticks}"


def _from_ps(pid: int) -> str | None:
    state, _, lstart = _ps(pid, "stat=,lstart=").strip().partition(" ")
    return None if not lstart or state.startswith("Z") else " ".join(lstart.split())


def _ps(pid: int, columns: str) -> str:
    command = ["ps", "-ww", "-o", columns, "-p", str(pid)]
    environment = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment).stdout  # noqa: S603
