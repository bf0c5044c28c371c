"""The rules of supervision: how long to wait, and who stops when."""

from pathlib import Path

import pytest

from libs.local.processes import Backoff, ProcessSpec, shutdown_stages


def spec(name: str, *depends_on: str) -> ProcessSpec:
    return ProcessSpec(name=name, argv=["true"], env={}, cwd=Path("/"), depends_on=depends_on)


def test_repeated_deaths_wait_longer_up_to_five_seconds() -> None:
    backoff = Backoff()
    assert [backoff.after(0.1) for _ in range(7)] == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0])


def test_death_after_good_health_waits_little_again() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.after(0.1)
    assert backoff.after(30.0) == pytest.approx(0.2)
    assert backoff.after(0.1) == pytest.approx(0.4)


def test_services_stop_first_and_the_database_last() -> None:
    parts = [spec("postgres"), spec("broker"), spec("migrate", "postgres"), spec("sync", "broker", "migrate")]
    assert shutdown_stages(parts) == [["sync"], ["migrate"], ["broker"], ["postgres"]]


def test_parts_of_one_depth_stop_together() -> None:
    parts = [spec("postgres"), spec("auth", "postgres"), spec("sync", "postgres")]
    assert shutdown_stages(parts) == [["auth", "sync"], ["postgres"]]
