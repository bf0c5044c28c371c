"""Manifests are read once, whoever asks first."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, BrokenBarrierError

import pytest

from libs.common.provider.manifest import Manifest, read_manifest
from libs.providers import registry


@pytest.fixture
def unread() -> Iterator[None]:
    """As in a process that has just begun."""
    registry._read.cache_clear()
    yield
    registry._read.cache_clear()


def test_threads_that_ask_first_at_once_never_read_beside_each_other(
    unread: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that give msgspec the same new type at once end the process: the chunker cuts its first sources so."""
    meeting, met = Barrier(2), []

    def read(path: Path) -> Manifest:
        try:
            meeting.wait(0.2)
            met.append(path)
        except BrokenBarrierError:
            pass  # nobody else reads
        return read_manifest(path)

    monkeypatch.setattr(registry, "read_manifest", read)
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(lambda _: registry.manifests(), range(2))
    assert met == []
    assert first is second
