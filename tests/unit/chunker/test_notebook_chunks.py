"""A notebook is found by what its cells say, each read by its kind; what is no notebook is plain text."""

import json
from typing import Any

import pytest

from services.chunker.chunking import Chunk
from tests.unit.chunker.test_cutting import cut_file
from tests.unit.chunker.texts import assert_sound, document, paragraphs

_CODE = (
    "def load(path):\n" + "    rows = [clean(row) for row in path]\n" * 40 + "\n\ndef plot(rows):\n    return rows\n"
)


def notebook(*cells: Any, **metadata: Any) -> str:
    return json.dumps({"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}, indent=1)


def cell(kind: str, source: Any, **more: Any) -> dict[str, Any]:
    return {"cell_type": kind, "metadata": {}, "source": source, **more}


def chunks_of_notebook(text: str, budget: int = 128) -> list[Chunk]:
    return assert_sound(document(text, "notebook"), budget)


def words(chunks: list[Chunk]) -> str:
    return "\n".join(one.words or "" for one in chunks)


def test_cells_say_their_words_without_json_and_stand_under_their_headings() -> None:
    text = notebook(
        cell("markdown", ["# Sales\n", "\n", 'What "sold" well.\n'], id="ab12"),
        cell("markdown", f"## By month\n\n{paragraphs(4)}"),
        cell("code", _CODE.splitlines(keepends=True), outputs=[]),
        kernelspec={"language": "python"},
    )
    chunks = chunks_of_notebook(text)
    assert 'What "sold" well.' in (chunks[0].words or "")
    assert chunks[0].anchor == "cell-id=ab12"
    assert "cell_type" not in words(chunks)
    assert "    rows = [clean(row) for row in path]\n    rows" in words(chunks)
    assert {one.anchor for one in chunks} >= {"cell=2", "cell=3"}
    assert any(one.heading_path == ("Sales", "By month", "def load") for one in chunks)


@pytest.mark.parametrize("source", ["one é \\n 😀\ntwo", ["one é \\n 😀\n", "two"]])
@pytest.mark.parametrize("ascii", [True, False])
def test_source_is_read_alike_as_one_string_or_as_lines(source: Any, ascii: bool) -> None:
    text = json.dumps({"cells": [cell("markdown", source)]}, ensure_ascii=ascii)
    assert words(chunks_of_notebook(text)) == "one é \\n 😀\ntwo"


def test_outputs_are_plain_text_and_errors_bounded_and_pictures_left_out() -> None:
    picture = {"data": {"image/png": "iVBORw0KGgo" * 900, "text/plain": "<Figure>"}, "output_type": "display_data"}
    outputs = [
        {"output_type": "stream", "text": ["total 42\n"]},
        {"output_type": "execute_result", "data": {"text/plain": "frame of rows", "text/html": "<div>widget</div>"}},
        {"output_type": "error", "ename": "KeyError", "evalue": "'month'", "traceback": ["\u001b[0;31mlong"]},
        {"output_type": "stream", "text": [f"line {i}\n" for i in range(9_000)]},
        picture,
    ]
    said = words(chunks_of_notebook(notebook(cell("code", "run()", outputs=outputs))))
    assert all(part in said for part in ("run()", "total 42", "frame of rows", "KeyError", "'month'", "line 1\n"))
    assert not any(part in said for part in ("iVBOR", "Figure", "widget", "traceback", "line 8999"))


def test_nothing_is_indexed_of_what_nobody_reads() -> None:
    picture = {"data": {"image/png": "iVBORw0KGgo" * 900}, "output_type": "display_data"}
    cut = cut_file("lab/a.ipynb", notebook(cell("code", "draw()", outputs=[picture])))
    assert [one.words for one in cut.chunks] == ["draw()"]
    assert cut_file("lab/a.ipynb", notebook(cell("code", []))).skipped == "empty"


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "nothing of the kind",
        '{"cells": 1}',
        "[" * 100_000,
        '{"cells": [' + "9" * 5_000 + "]}",
        json.dumps({"worksheets": [{"cells": [{"cell_type": "code", "input": ["x = 1"]}]}], "nbformat": 3}),
    ],
)
def test_what_is_no_notebook_is_plain_text(text: str) -> None:
    assert {one.words for one in chunks_of_notebook(text, 32)} == {None}


@pytest.mark.parametrize(
    "broken",
    [
        7,
        {},
        {"source": None},
        {"cell_type": [], "source": [1, None, "kept", {}]},
        {"cell_type": "code", "source": "kept", "outputs": "none"},
        {"cell_type": "code", "source": "kept", "outputs": [1, {}, {"data": []}, {"data": {"text/plain": 3}}]},
        {"cell_type": "code", "source": "kept", "id": ["x"], "outputs": [{"text": {"a": "b"}}]},
        {"cell_type": "code", "source": {"a": "kept"}},
    ],
)
def test_cell_that_lacks_something_leaves_the_others_as_they_are(broken: Any) -> None:
    said = words(chunks_of_notebook(notebook(broken, cell("markdown", "the other"), kernelspec=3)))
    assert said.endswith("the other")


def lab(counts: list[int | None], picture: str = "iVBOR", **how: Any) -> str:
    """Cells of code, each run as often as told, under one heading; every third has drawn something."""
    cells = [cell("markdown", "# Lab\n", id="top")]
    for number, count in enumerate(counts):
        drawn = {"data": {"image/png": picture * 200, "text/plain": "<Figure>"}, "output_type": "display_data"}
        run = {"execution_count": count, "id": f"c{number}", "metadata": {"execution": {"iopub.status.idle": count}}}
        source = f"rows_{number} = load({number})\n" + "".join(f"plot(rows_{number}, {i})\n" for i in range(number % 7))
        result = {"data": {"text/plain": f"{number} rows"}, "execution_count": count, "output_type": "execute_result"}
        cells.append({"cell_type": "code", **run, "source": source, "outputs": [drawn] * (not number % 3) + [result]})
    return json.dumps({"cells": cells, "metadata": {"kernelspec": {"language": "python"}}}, **how)


@pytest.mark.parametrize("how", [{"indent": 1}, {}, {"separators": (",", ":")}])
@pytest.mark.parametrize("budget", [64, 128, 256])
def test_cells_that_are_run_again_keep_the_ids_of_their_chunks(how: dict[str, Any], budget: int) -> None:
    before = chunks_of_notebook(lab([*range(1, 41)], **how), budget)
    after = chunks_of_notebook(lab([*range(1, 20), *range(101, 122)], "R0lGO", **how), budget)
    assert [one.text for one in before] != [one.text for one in after]
    assert [one.id for one in before if one.words] == [one.id for one in after if one.words]


def test_a_word_changed_in_a_cell_changes_the_id_of_its_chunk_alone() -> None:
    before, after = (
        chunks_of_notebook(text) for text in (lab([1] * 40), lab([2] * 40).replace("load(20)", "read(20)"))
    )
    assert len({one.id for one in after if one.words} - {one.id for one in before}) == 1
