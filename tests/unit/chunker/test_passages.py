"""What is embedded of a chunk: the chunk, or each of its sections, or code in words."""

from __future__ import annotations

import pytest

from services.chunker.chunking import Document, chunk
from services.chunker.chunking.model import ChunkKind
from services.chunker.embedding.passages import in_words, passages_of

SECTIONS = "Before all.\n\n# Fruit\n\nRipe.\n\n## Bananas\n\nYellow.\n\n## Apples\n\nRed.\n"


def document(text: str, kind: ChunkKind = "markdown", path: str = "docs/fruit.md") -> Document:
    return Document("s", "file", path.rsplit("/", 1)[-1], path, kind, "python" if kind == "code" else None, text)


def test_each_section_of_a_chunk_is_embedded_under_its_own_headings() -> None:
    (one,) = chunk(document(SECTIONS))
    assert passages_of("markdown", one) == (
        "fruit.md\ndocs/fruit.md\nBefore all.\n\n",
        "fruit.md\ndocs/fruit.md\nFruit\n# Fruit\n\nRipe.\n\n",
        "fruit.md\ndocs/fruit.md\nFruit > Bananas\n## Bananas\n\nYellow.\n\n",
        "fruit.md\ndocs/fruit.md\nFruit > Apples\n## Apples\n\nRed.\n",
    )


def test_sections_join_back_to_the_chunk() -> None:
    text = "\n\n".join(f"## Part {n}\n\n" + f"Step {n} keeps what was written. " * (n % 40) for n in range(80))
    chunks = chunk(document(text))
    several = [one for one in chunks if one.parts]
    assert 0 < len(several) < len(chunks)
    for one in several:
        assert len(one.parts) > 1
        assert "".join(part.text for part in one.parts) == one.text


@pytest.mark.parametrize("kind", ["markdown", "plain"])
def test_chunk_of_one_section_is_embedded_as_a_whole(kind: ChunkKind) -> None:
    (one,) = chunk(document("# Fruit\n\nBananas.\n\nApples.\n", kind))
    assert passages_of(kind, one) == ()


def test_sections_of_a_page_are_embedded_as_people_read_them_and_empty_ones_not_at_all() -> None:
    page = '<h1>Fruit</h1><p>Bananas &amp; <b>apples</b>.</p><h2>Nuts</h2><p class="x">Brown.</p><h2></h2>\n'
    (one,) = chunk(document(page, "html", "fruit.html"))
    passages = passages_of("html", one)
    assert len(passages) == 2
    assert "Bananas & apples." in passages[0]
    assert passages[1].startswith("fruit.html\nfruit.html\nFruit > Nuts\n")
    assert "<" not in "".join(passages)


def test_code_is_embedded_in_words_with_what_surrounds_it() -> None:
    (one,) = chunk(document("def retryAfter(max_seconds):\n    return self.nowMS + 2\n", "code", "libs/retry.py"))
    assert passages_of("code", one) == ("retry py\nlibs retry py\ndef retry After max seconds\nreturn self.now MS 2",)


def test_path_that_is_the_title_of_its_file_is_embedded_once() -> None:
    file = Document("s", "file", "libs/retry.py", "libs/retry.py", "code", "python", "wait = 2\n")
    (one,) = chunk(file)
    assert passages_of("code", one) == ("libs retry py\nwait 2",)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("HTTPServer2.parseURL(x)", "HTTP Server2.parse URL x"),
        ("__init__", "init"),
        ("/* Why: it's late! */", "Why: it's late!"),
        ("if late:\n\n    return None;", "if late\nreturn None"),
        ("\n\t", ""),
    ],
)
def test_identifiers_are_read_in_their_parts(code: str, words: str) -> None:
    assert in_words(code) == words
