"""Every metric of the process in one registry, made once by name, so that two rooms can share a counter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.metrics import MetricWrapperBase

REGISTRY = CollectorRegistry()
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "sluice_"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)

_made: dict[str, MetricWrapperBase] = {}
M = TypeVar("M", bound=MetricWrapperBase)


def counter(name: str, help: str, labels: Sequence[str] = ()) -> Counter:
    """Label values are few and never a person's, a path's or a secret's."""
    return _once(Counter, name, lambda: Counter(PREFIX + name, help, labels, registry=REGISTRY))


def gauge(name: str, help: str, labels: Sequence[str] = ()) -> Gauge:
    return _once(Gauge, name, lambda: Gauge(PREFIX + name, help, labels, registry=REGISTRY))


def histogram(name: str, help: str, labels: Sequence[str] = (), buckets: Sequence[float] = SECONDS) -> Histogram:
    """Seconds unless the name says otherwise."""
    return _once(Histogram, name, lambda: Histogram(PREFIX + name, help, labels, buckets=buckets, registry=REGISTRY))


def render() -> bytes:
    """The text exposition of every metric of this process."""
    return generate_latest(REGISTRY)


def value(name: str, **labels: str) -> float:
    """The present value of a sample, 0.0 if it was never touched: for tests and for `status`."""
    return REGISTRY.get_sample_value(PREFIX + name, labels) or 0.0


def _once(kind: type[M], name: str, make: Callable[[], M]) -> M:
    if name not in _made:
        _made[name] = make()
    found = _made[name]
    if not isinstance(found, kind):
        raise TypeError(f"metric {name} was made as a {type(found).__name__}")
    return found
