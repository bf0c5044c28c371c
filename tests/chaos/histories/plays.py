"""Which providers are played: all of the registry, so a new one brings its play or the tests say what is missing."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from libs.common.testing.plays import Stage
from libs.providers.registry import manifests

WANTED = (
    "libs/providers/{id}/tests/play.py is missing: it has `open_stage(state)`, which gives plays of the provider's"
    " sandbox (libs/common/testing/plays.py says what a play does, and GitHub's and Docusaurus's are two)"
)


def providers() -> list[str]:
    return [one.id for one in manifests().values() if one.status == "available" and "sync" in one.facets]


def open_stage(provider: str, state: Path) -> Stage:
    name = f"libs.providers.{provider}.tests.play"
    assert find_spec(name) is not None, WANTED.format(id=provider)
    made: Stage = import_module(name).open_stage(state)
    return made
