"""Which ports an installation takes, and what a person is told who asked for one that it cannot have."""

import socket
from pathlib import Path

import pytest

from libs.local.ports import stable_ports
from libs.local.state import State


@pytest.mark.parametrize("text", ["abc", "80.5", "-1", "0", "65536"])
def test_port_that_is_none_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("SLUICE_PORT", text)
    with pytest.raises(OSError, match=f"SLUICE_PORT={text} is no port: set a number"):
        stable_ports(State.at(tmp_path), ["gateway"])


def test_port_that_something_else_has_is_refused_with_the_ways_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        monkeypatch.setenv("SLUICE_PORT", str(other.getsockname()[1]))
        with pytest.raises(OSError, match="something else listens there: stop it, or set another port"):
            stable_ports(State.at(tmp_path), ["gateway"])
