"""HTML is cut by its headings and never inside what belongs together; what people read of it is what search reads."""

import pytest

from services.chunker.chunking import Chunk
from tests.unit.chunker.texts import assert_sound, document, paragraphs

PROSE = paragraphs(9)


def html(text: str, budget: int = 256) -> list[Chunk]:
    return assert_sound(document(text, "html"), budget)


def test_sections_start_chunks_and_carry_their_path_and_id() -> None:
    chunks = html(f'<h1 id="top">Top</h1><p>{PROSE}</p><h2 id="use">How to <em>use</em> it</h2><p>{PROSE}</p>')
    opening = {c.text.partition(">")[0] + ">": c for c in chunks if c.text.startswith("<h")}
    assert opening['<h1 id="top">'].heading_path == ("Top",)
    assert opening['<h2 id="use">'].heading_path == ("Top", "How to use it")
    assert opening['<h2 id="use">'].anchor == "use"
    assert "Top > How to use it" in chunks[-1].context


@pytest.mark.parametrize(
    ("page", "anchor"),
    [
        ('<h2 id="a">T</h2>', "a"),
        ("<h2 id=a>T</h2>", "a"),
        ('<h2><a name="b"></a>T</h2>', "b"),
        ('<section id="c">\n <h2>T</h2>', "c"),
        ('<a id="d"></a><h2>T</h2>', "d"),
        ('<p id="e">words</p><h2>T</h2>', ""),
        ("<h2>T</h2>", ""),
        ('<h2 data-id="no" ID="f">T</h2>', "f"),
        ("<h2 id='g h'>T</h2>", "gh"),
    ],
)
def test_anchor_is_an_id_that_a_link_can_lead_to(page: str, anchor: str) -> None:
    assert html(f"{page}<p>x</p>")[-1].anchor == anchor


def test_words_are_what_people_see() -> None:
    [only] = html(
        "<!doctype html><head><style>p { color: red }</style><script>var a = '<p>no</p>';</script></head>"
        "<!-- not this --><h1>A&amp;B</h1><p>one <b>t</b>wo\n  three</p><ul><li>x<li>y</ul><textarea>typed</textarea>"
    )
    assert only.words == "A&B\none two three\nx\ny\ntyped"
    assert "color" in only.text


def test_script_that_never_closes_hides_the_rest_and_nothing_is_lost() -> None:
    chunks = html(f"<p>seen</p><script>{PROSE}", budget=64)
    assert "".join(c.words or "" for c in chunks) == "seen"


def test_rows_are_never_cut_and_the_header_is_repeated_in_the_context() -> None:
    rows = "".join(f"<tr><td>name {i}</td><td><p>A value.</p><p>Another. And more.</p></td></tr>" for i in range(60))
    chunks = html(f"<table><tr><th>Name</th><th>Value</th></tr>{rows}</table>", budget=96)
    assert len(chunks) > 5
    assert all(c.text.startswith("<tr>") for c in chunks[1:-1])
    assert all("Name | Value" in c.context for c in chunks[1:-1])


def test_preformatted_text_that_fits_is_never_cut() -> None:
    code = "<pre><code>" + "if x:\n\n    <b>y</b>. Then z\n" * 9 + "</code></pre>"
    chunks = html(f"<p>{PROSE}</p>{code}" * 4)
    assert sum(c.text.count("<pre>") for c in chunks) == 4
    assert all(c.text.count("<pre>") == c.text.count("</pre>") for c in chunks)


def test_preformatted_text_over_the_budget_is_cut_between_lines() -> None:
    chunks = html("<pre>\n" + "value = compute(first, second)\n" * 60 + "</pre>\n", budget=64)
    assert len(chunks) > 3
    assert all(c.text.endswith("\n") for c in chunks)


def test_paragraph_over_the_budget_is_cut_between_sentences() -> None:
    chunks = html(f"<p>{paragraphs(30, gap=' ').strip()}</p>", budget=96)
    assert len(chunks) > 5
    assert all((c.words or "").endswith(".") for c in chunks)


def test_edit_of_one_paragraph_changes_one_or_two_chunks() -> None:
    page = "".join(f"<h2 id=s{i}>Part {i}</h2>\n<p>{paragraphs(3, seed=i, gap='</p><p>')}</p>\n" for i in range(60))
    known = {c.id for c in html(page)}
    assert 1 <= sum(c.id not in known for c in html(page.replace("Part 30</h2>\n<p>", "Part 30</h2>\n<p>New. "))) <= 2
