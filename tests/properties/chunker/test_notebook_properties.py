"""What holds for every notebook: its chunks join back to the JSON, keep to the budget, and say what its cells say."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties.chunker.odd import odd_texts
from tests.properties.chunker.test_chunk_properties import block_texts
from tests.support.figures import sized
from tests.support.work import calls
from tests.unit.chunker.texts import assert_sound, chunks_of, document

_TEXTS = st.one_of(odd_texts, block_texts)
_SOURCES = st.one_of(_TEXTS, _TEXTS.map(lambda text: text.splitlines(keepends=True)))
_OUTPUTS = st.lists(
    st.one_of(
        st.builds(lambda text: {"output_type": "stream", "text": text}, _SOURCES),
        st.builds(lambda text: {"data": {"text/plain": text, "image/png": "iVBORw0K" * 40}}, _SOURCES),
        st.builds(lambda text: {"output_type": "error", "ename": "E", "evalue": text}, odd_texts),
    ),
    max_size=2,
)
_CELLS = st.lists(
    st.builds(
        lambda kind, source, outputs: {"cell_type": kind, "outputs": outputs, "source": source},
        st.sampled_from(["markdown", "code", "raw"]),
        _SOURCES,
        _OUTPUTS,
    ),
    max_size=4,
)


@settings(max_examples=sized(25, 10_000), deadline=None)
@given(
    cells=_CELLS,
    indent=st.sampled_from([None, 1]),
    ascii=st.booleans(),
    budget=st.sampled_from([16, 33, 256]),
    torn=st.integers(min_value=0, max_value=8),
)
def test_any_notebook_joins_back_within_the_budget(
    cells: list[Any], indent: int | None, ascii: bool, budget: int, torn: int
) -> None:
    written = {"cells": cells, "metadata": {"language_info": {"name": "python"}}}
    text = json.dumps(written, indent=indent, ensure_ascii=ascii)
    assert_sound(document(text[: len(text) - (torn if torn < 4 else 0)], "notebook"), budget)


@settings(max_examples=sized(25, 10_000), deadline=None)
@given(sources=st.lists(st.text('ab \\"\u00e9\U0001f600\n\t', max_size=300), max_size=4), ascii=st.booleans())
def test_chunks_of_a_notebook_say_every_sign_of_its_cells_once(sources: list[str], ascii: bool) -> None:
    cells = [{"cell_type": "markdown", "source": source} for source in sources]
    chunks = assert_sound(document(json.dumps({"cells": cells}, ensure_ascii=ascii), "notebook"), 24)
    said = "".join(one.words or "" for one in chunks)
    assert "".join(said.split()) == "".join("".join(sources).split())


_HOSTILE = {
    "lines": lambda size: ["a\n"] * (size // 7),
    "headings": lambda size: ["# a\n"] * (size // 9),
    "a word": lambda size: "x" * size,
    "words": lambda size: "word " * (size // 5),
    "escapes": lambda size: "\\" * (size // 2),
    "line ends": lambda size: "\n" * (size // 2),
    "letters": lambda size: "\u00e9" * (size // 6),
}


@pytest.mark.parametrize("name", _HOSTILE)
def test_chunking_a_notebook_of_twice_the_size_takes_twice_the_calls(name: str) -> None:
    def work(size: int) -> None:
        chunks_of(json.dumps({"cells": [{"cell_type": "markdown", "source": _HOSTILE[name](size)}]}), "notebook")

    work(4_000)
    once, twice = calls(lambda: work(4_000)), calls(lambda: work(8_000))
    assert twice <= 2.5 * once + 500
