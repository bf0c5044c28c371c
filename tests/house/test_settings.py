"""A variable that changes nothing is a lie in .env.example."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from libs.common.settings import CommonSettings, settings_schema
from services.auth.settings import AuthSettings
from services.chunker.settings import ChunkerSettings
from services.sync.settings import SyncSettings
from services.webhooks.settings import WebhooksSettings
from tests.house.source import modules

KINDS: tuple[type[CommonSettings], ...] = (AuthSettings, WebhooksSettings, SyncSettings, ChunkerSettings)
TAKEN_TOGETHER = {"sluice_kek"}  # with the keys before it


def test_every_setting_is_read_by_someone() -> None:
    fields = {name for kind in KINDS for name in settings_schema(kind)["properties"]}
    assert fields - set(_read()) - TAKEN_TOGETHER == set()


def _read() -> Iterator[str]:
    for module in modules():
        if module.path.endswith("/settings.py"):
            continue
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Attribute):
                yield node.attr
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
