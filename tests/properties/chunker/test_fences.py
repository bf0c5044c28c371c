"""A fence that fits a chunk is never cut, whatever stands around it, by the word of another reader of Markdown."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.chunker.chunking.tokens import counter
from tests.properties.chunker.markdown_oracle import oracle
from tests.unit.chunker.texts import chunks_of, own_files

_PIECES = st.sampled_from(
    [
        "# H\n",
        "words and words and words\n",
        "\n",
        "```py\n",
        "```\n",
        "    indented\n",
        "- item\n",
        "  ```\n",
        "  code in it\n",
        "more words\n",
        "~~~\n",
        "a = 1\n" * 9,
        "1. first\n",
        "   ```\n",
        "> ```\n> q\n> ```\n",
    ]
)


def assert_fences_whole(text: str, budget: int) -> None:
    """No chunk begins inside a fence that fits a chunk, by the word of the oracle."""
    lines = text.splitlines(keepends=True)
    starts, at = set(), 0
    for c in chunks_of(text, budget=budget):
        starts.add(text.count("\n", 0, at))
        at += len(c.text)
    for first, last in oracle(text).fences:
        if counter()("".join(lines[first:last])) <= budget:
            assert not starts & set(range(first + 1, last)), (first, last)


@settings(max_examples=100, deadline=None)
@given(st.lists(_PIECES, max_size=40).map("".join))
def test_fence_that_fits_is_never_cut(text: str) -> None:
    assert_fences_whole(text, 48)


@pytest.mark.parametrize(("before", "after"), [("", "\n"), ("\n", ""), ("words\n", "\n\nwords\n")])
def test_fence_that_fits_to_the_token_is_never_cut_for_the_blank_lines_around_it(before: str, after: str) -> None:
    lines = "a = 1\n" * 12
    fence = f"```\n{lines}```\n"
    assert_fences_whole(f"{before}{fence}{after}", counter()(fence))


def test_open_fence_that_fits_without_its_last_blank_line_is_never_cut() -> None:
    quoted = "> ```\n> q\n> ```\n"
    lines = f"~~~\n{quoted}# H\n    indented\n1. first\n{quoted}    indented\n    indented\n# H\n\n  ```\n"
    assert_fences_whole(f"1. first\n```\n```py\n# H\n\n{lines}\n", 48)


def test_fences_of_own_documents_are_never_cut() -> None:
    for path in own_files(".md"):
        assert_fences_whole(path.read_text(), 128)
