"""What is running and what is not: the supervisor writes it, /readyz reads it."""

from __future__ import annotations


class Health:
    """A component is known from its first `set`; ready means that every known one is up."""

    def __init__(self) -> None:
        self._up: dict[str, bool] = {}

    def set(self, component: str, up: bool) -> None:
        self._up[component] = up

    @property
    def ready(self) -> bool:
        return all(self._up.values())

    def as_dict(self) -> dict[str, bool]:
        return dict(self._up)
