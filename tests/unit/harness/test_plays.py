"""A provider that syncs and cannot be played is not passed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from libs.providers.registry import manifests
from tests.chaos.histories.plays import open_stage, providers


def test_every_available_provider_that_syncs_is_played() -> None:
    assert set(providers()) == {one.id for one in manifests().values() if one.status == "available"}


def test_provider_without_a_play_says_what_it_must_bring(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"libs/providers/_template/tests/play\.py is missing"):
        open_stage("_template", tmp_path)
