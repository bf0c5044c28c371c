"""Becomes another program in its own session, account and fate: a hook between fork and exec is unsafe beside threads.

Run as `python -I -S launch.py '<options as JSON>' program argument…`; only the standard library is at hand here.
"""

import ctypes
import json
import os
import pwd
import signal
import sys
from typing import Any

PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
CAPABILITY_VERSION_3, CAP_DAC_OVERRIDE = 0x20080522, 1


def call(libc: Any, name: str, *arguments: Any) -> None:
    if getattr(libc, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{name}{arguments[:2]}")


def detach() -> None:
    """The starter's child ends here; its grandchild goes on and belongs to nobody."""
    if os.fork() > 0:
        os._exit(0)
    os.setsid()


def become(account: str, keep_access: bool) -> None:
    entry = pwd.getpwnam(account)
    linux = ctypes.CDLL(None, use_errno=True) if keep_access else None
    if linux is not None:
        call(linux, "prctl", PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    if linux is not None:
        raise_access(linux)


def raise_access(libc: Any) -> None:
    """Lets the new account pass directories that are closed to it (a checkout under /root), and nothing else."""
    bit = 1 << CAP_DAC_OVERRIDE
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)
    call(libc, "capset", header, sets)
    call(libc, "prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


def die_with(parent: int, signal_number: int) -> None:
    if sys.platform == "linux":
        call(ctypes.CDLL(None, use_errno=True), "prctl", PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)  # the parent died before we asked to be told


def main() -> None:
    options = json.loads(sys.argv[1])
    program = sys.argv[2:]
    if options.get("detach"):
        detach()
    else:
        os.setsid()
    if options.get("account"):
        become(options["account"], bool(options.get("keep_access")))
    # After the change of account: the kernel forgets this wish when credentials change.
    if options.get("parent"):
        die_with(options["parent"], options.get("signal", signal.SIGTERM))
    os.umask(0o077)
    os.execvpe(program[0], program, os.environ)  # noqa: S606 - this is what a launcher is for


if __name__ == "__main__":
    main()
