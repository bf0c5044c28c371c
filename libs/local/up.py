"""Starting and stopping an installation from the command line: the supervisor outlives the command."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from libs.local.endpoints import Endpoints, read_endpoints
from libs.local.environment import with_settings_file
from libs.local.ledger import Entry, Page, end_orphans, read_ledger
from libs.local.polling import polled
from libs.local.processes import launcher
from libs.local.state import State

Progress = Callable[[str, str], None]
CHECKOUT = Path(__file__).resolve().parents[2]
# A part that has died this often before it was ever ready will not come up by itself.
HOPELESS = 4


class StartFailed(Exception):
    """The stack did not come up; the message names the part, its last lines and where its log is."""


def silent(name: str, state: str) -> None:
    """Progress for callers that show none."""


def up(root: Path, *, sandbox: bool = False, progress: Progress = silent, seconds: float = 180.0) -> Endpoints:
    """Returns when every part is ready; what runs already is left as it is, unless its sandbox differs."""
    state = State.at(root)
    page = current_page(state)
    if page is not None and page.sandbox != sandbox:
        progress("supervisor", "restarting")
        down(root)
    return _wait(Starter(state, sandbox), progress, seconds)


def down(root: Path, seconds: float = 60.0) -> None:
    """Returns when no process is left, also of a supervisor that was killed."""
    state = State.at(root)
    page = read_ledger(state.ledger)
    if page is not None:
        page.supervisor.end(signal.SIGTERM, seconds)
    end_orphans(state.ledger)
    state.endpoints.unlink(missing_ok=True)


def running(state: State) -> bool:
    """Whether a supervisor holds the lock of this state."""
    with state.lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def current_page(state: State) -> Page | None:
    """What the living supervisor last wrote; None if there is none, or it has not written yet."""
    page = read_ledger(state.ledger)
    return page if page is not None and page.supervisor.alive() else None


@dataclass
class Starter:
    """Starts one supervisor as soon as nobody holds the lock: a killed one keeps it an instant, a stopping one more."""

    state: State
    sandbox: bool
    started: float | None = None

    def ensure(self) -> None:
        if self.started is None and not running(self.state):
            self.state.endpoints.unlink(missing_ok=True)
            start_supervisor(self.state, sandbox=self.sandbox)
            self.started = time.monotonic()

    def ended(self) -> bool:
        """Whether ours has had time to take the lock, and does not hold it."""
        return self.started is not None and time.monotonic() > self.started + 10.0 and not running(self.state)


def start_supervisor(state: State, *, sandbox: bool) -> None:
    python_path = os.pathsep.join(filter(None, [str(CHECKOUT), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "libs.local.supervise", "--root", str(state.root)]
    with (state.logs / "supervisor.log").open("ab") as log:
        subprocess.run(  # noqa: S603 - our own module
            [*launcher({"detach": True}), *command, *(["--sandbox"] if sandbox else [])],
            cwd=state.root, env={**with_settings_file(state.root, os.environ), "PYTHONPATH": python_path},
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True,
        )  # fmt: skip


def _wait(starter: Starter, progress: Progress, seconds: float) -> Endpoints:
    told: dict[str, str] = {}

    def answering() -> Endpoints | None:
        starter.ensure()
        page = current_page(starter.state)
        _tell(page, told, progress)
        if page is not None and page.ready and (endpoints := read_endpoints(starter.state)):
            return endpoints
        _give_up(starter, page)
        return None

    endpoints = polled(answering, seconds=seconds, every=0.05)
    if endpoints is None:
        waiting = ", ".join(_unready(current_page(starter.state)))
        raise StartFailed(f"not ready in time: {waiting}. Logs: {starter.state.logs}")
    return endpoints


def _tell(page: Page | None, told: dict[str, str], progress: Progress) -> None:
    for name, entry in (page.processes if page else {}).items():
        if told.get(name) != entry.state:
            told[name] = entry.state
            progress(name, entry.state)


def _give_up(starter: Starter, page: Page | None) -> None:
    logs = starter.state.logs
    for name, entry in (page.processes if page else {}).items():
        if entry.state in ("restarting", "starting") and entry.restarts >= HOPELESS:
            raise StartFailed(f"{name} ended {entry.restarts} times (exit code {entry.exit_code}).\n{_tail(entry.log)}")
    if starter.ended():
        raise StartFailed(f"the supervisor ended.\n{_tail(str(logs / 'supervisor.log'))}")


def _unready(page: Page | None) -> list[str]:
    def waits(entry: Entry) -> bool:
        return entry.state not in ("ready", "done")

    return [name for name, entry in page.processes.items() if waits(entry)] if page else ["supervisor"]


def _tail(log: str, lines: int = 15) -> str:
    path = Path(log)
    last = path.read_text(errors="replace").splitlines()[-lines:] if path.exists() else []
    return "\n".join([*last, f"Log: {log}"])
