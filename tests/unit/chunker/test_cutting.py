"""What a provider's layout leaves open is read from the file's name."""

import pytest

from libs.common.internal import SourceItem
from libs.providers.github.chunks import FACET
from services.chunker.cutting import cut
from services.chunker.domain.indexing import Cut

_BODY = "    total = first + second * third\n" * 20


def cut_file(path: str, content: str) -> Cut:
    item = SourceItem(id="s1", state="present", version=1, provider="github", type="file", path=path, content=content)
    return cut(item, lambda _: FACET, 64)


def test_file_of_a_repository_is_cut_by_its_syntax() -> None:
    chunks = cut_file("src/shop.py", f"def buy():\n{_BODY}\n\ndef sell():\n{_BODY}").chunks
    assert {one.anchor for one in chunks} == {"def buy", "def sell"}


@pytest.mark.parametrize("path", ["deploy/values.yaml", "pyproject.toml", "tsconfig.json"])
def test_settings_are_cut_by_their_structure(path: str) -> None:
    line = {"yaml": "  key: value\n", "toml": "key = 1\n", "json": '    "key": 1,\n'}[path.rpartition(".")[2]]
    texts = {
        "yaml": f"one:\n{line * 30}two:\n{line * 30}",
        "toml": f"[one]\n{line * 30}\n[two]\n{line * 30}",
        "json": f'{{\n  "one": {{\n{line * 30}    "z": 1\n  }},\n  "two": {{\n{line * 30}    "z": 1\n  }}\n}}\n',
    }
    chunks = cut_file(path, texts[path.rpartition(".")[2]]).chunks
    assert {one.heading_path[0] for one in chunks} == {"one", "two"}


def test_notebook_is_found_by_what_its_cells_say() -> None:
    cell = '{"cell_type": "markdown", "source": ["# Sales\\n", "by month"]}'
    assert [one.words for one in cut_file("analysis.ipynb", f'{{"cells": [{cell}]}}').chunks] == ["# Sales\nby month"]
