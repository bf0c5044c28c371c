"""Ports that stay the same across restarts, so that registered callback URLs and open clients keep working."""

import os
import random
import socket
from collections.abc import Sequence

import msgspec

from libs.local.state import LOOPBACK, State, write_private

GATEWAY = 8088
LAST_PORT = 65_535
# Below the kernel's range for outgoing connections: a restarting server never finds its port taken by a client.
RANGE = range(15_000, 32_000)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port(taken: Sequence[int] = (), preferred: int | None = None) -> int:
    choice = random.SystemRandom()
    candidates = [preferred] if preferred else []
    candidates += [choice.choice(RANGE) for _ in range(200)]
    for port in candidates:
        if port not in taken and is_free(port):
            return port
    raise OSError(f"no free port between {RANGE.start} and {RANGE.stop} on {LOOPBACK}")


def stable_ports(state: State, names: Sequence[str]) -> dict[str, int]:
    """One port per name, chosen once per state; a port that someone else has taken since is chosen again.

    Call it only while nothing of this state runs.
    """
    path = state.home / "ports.json"
    known = msgspec.json.decode(path.read_bytes(), type=dict[str, int]) if path.exists() else {}
    if wanted := os.environ.get("SLUICE_PORT"):
        known["gateway"] = _port_of(wanted)
    chosen = dict(known)
    for name in names:
        if name not in known or not is_free(known[name]):
            chosen[name] = free_port(list(chosen.values()), GATEWAY if name == "gateway" else None)
    write_private(path, msgspec.json.format(msgspec.json.encode(chosen)))
    return {name: chosen[name] for name in names}


def _port_of(wanted: str) -> int:
    if not wanted.isdecimal() or not 1 <= int(wanted) <= LAST_PORT:
        raise OSError(f"SLUICE_PORT={wanted} is no port: set a number from 1 to {LAST_PORT}, or leave it out")
    if not is_free(int(wanted)):
        raise OSError(f"SLUICE_PORT={wanted}: something else listens there: stop it, or set another port")
    return int(wanted)
