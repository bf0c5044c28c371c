"""The one long-lived process of `make up`: holds the lock, clears what a killed predecessor left, runs the stack."""

import argparse
import asyncio
import fcntl
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TextIO

from libs.local import stack
from libs.local.endpoints import write_endpoints
from libs.local.identity import Identity
from libs.local.ledger import Ledger, end_orphans
from libs.local.pages import write_start_page
from libs.local.polling import polled
from libs.local.processes import Supervisor
from libs.local.state import State

logger = logging.getLogger("libs.local.supervise")


@contextmanager
def only_one(state: State) -> Iterator[bool]:
    """Whether this process is the supervisor of that state; the kernel drops the lock with the process."""
    with state.lock.open("w") as file:
        # Whoever looks whether one runs holds the lock for an instant, so one refusal proves nothing.
        yield polled(lambda: _take(file), seconds=1.0, every=0.05) is not None


def _take(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def supervise(state: State, *, sandbox: bool) -> None:
    me = Identity.of(os.getpid())
    if me is None:
        raise OSError("the system does not tell when this process started")
    built = stack.build(state, sandbox=sandbox)
    announce = partial(write_endpoints, state, built.addresses, built.cluster)
    ledger = Ledger(state.ledger, me, sandbox=sandbox)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await Supervisor(built.specs, logs=state.logs, ledger=ledger, when_ready=announce).run(stop)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--sandbox", action="store_true")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # a broker that is not up yet is no error here
    state = State.at(options.root)
    with only_one(state) as first:
        if not first:
            logger.info("another supervisor has this state")
            return 0
        if ended := end_orphans(state.ledger):
            logger.warning("ended what an earlier supervisor left: %s", ", ".join(ended))
        state.endpoints.unlink(missing_ok=True)
        write_start_page(state)
        try:
            asyncio.run(supervise(state, sandbox=options.sandbox))
        except OSError as error:
            logger.error("%s", error)
            return 1
        finally:
            state.endpoints.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
