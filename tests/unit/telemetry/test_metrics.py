"""Metrics are made once by name, whoever asks."""

from __future__ import annotations

import pytest

from libs.common.telemetry.metrics import counter, gauge, histogram, render, value


def test_same_name_is_the_same_metric() -> None:
    counter("test_things_total", "Things", ["kind"]).labels("a").inc()
    counter("test_things_total", "Things", ["kind"]).labels("a").inc(2)
    assert value("test_things_total", kind="a") == 3


def test_other_kind_under_a_taken_name_is_refused() -> None:
    gauge("test_level", "Level").set(1)
    with pytest.raises(TypeError):
        counter("test_level", "Level")


def test_exposition_holds_every_metric() -> None:
    histogram("test_seconds", "Seconds").observe(0.2)
    text = render().decode()
    assert 'sluice_test_seconds_bucket{le="0.25"} 1.0' in text
    assert "process_resident_memory_bytes" in text
