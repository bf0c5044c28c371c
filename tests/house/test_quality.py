"""The rules of each provider name tests that are there."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from libs.common.errors import ConfigurationError
from libs.common.provider.quality import NAME, read_quality
from libs.common.testing.conformance import quality_faults
from libs.providers.registry import ROOM
from tests.house.source import ROOT

FOLDERS = sorted(path.parent for path in ROOM.glob(f"*/{NAME}"))


@cache
def collected(path: Path) -> frozenset[str]:
    """Names of the functions that pytest would collect; none of a file that is not there."""
    if not path.is_file() or not path.name.startswith("test_"):
        return frozenset()
    found = ast.walk(ast.parse(path.read_text()))
    functions = (node for node in found if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(node.name for node in functions if node.name.startswith("test_"))


@pytest.mark.parametrize("folder", FOLDERS, ids=[folder.name for folder in FOLDERS])
def test_every_rule_names_a_test_that_is_there_or_a_reason(folder: Path) -> None:
    assert list(quality_faults(folder)) == []
    named = [rule.test.partition("::") for rule in read_quality(folder).rules() if rule.test]
    assert [f"{path}::{name}" for path, _, name in named if name not in collected(ROOT / path)] == []


def test_template_brings_its_rules() -> None:
    assert ROOM / "_template" in FOLDERS


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('rule = "a"', "either a test or a reason"),
        ('rule = "a"\ntest = "t.py::test_a"\nexempt = "it is both of them here"', "either a test or a reason"),
        ('rule = "a"\nexempt = "  todo  "', "without a reason"),
        ('rule = " "\nexempt = "a reason that is long enough"', "without words"),
    ],
)
def test_rule_without_test_and_reason_is_a_fault(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / NAME).write_text(f'[[sections]]\nabout = "x"\n[[sections.rules]]\n{text}\n')
    assert any(fault in found for found in quality_faults(tmp_path))


def test_folder_without_rules_is_a_fault(tmp_path: Path) -> None:
    assert any("missing" in found for found in quality_faults(tmp_path))
    (tmp_path / NAME).write_text('[[sections]]\nabout = "x"\nrules = [{rule = "a", tset = "t"}]\n')
    with pytest.raises(ConfigurationError, match="tset"):
        read_quality(tmp_path)
