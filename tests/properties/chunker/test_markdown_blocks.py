"""Our block scan sees the headings and fences that markdown-it-py sees."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from services.chunker.chunking import normalise_text
from services.chunker.chunking.markdown_blocks import scan
from tests.properties.chunker.markdown_oracle import oracle, scanned, without_front_matter
from tests.unit.chunker.texts import own_files

# Cases written by hand after the sections of the CommonMark specification (0.31), not copied from it.
HAND_CASES = [
    "| a | b |\n|---|---|\n=\n=\n",
    "| a | b |\n|---|---|\n--\n--\nx\n",
    "words\n| a | b |\n|---|---|\n==\n==\n",
    "# a\n## b ##\n### c #d\n####### no\n#no\n   ## three\n    # code\n# \n#\n## ##\n",
    "words\n# interrupts\nwords\n===\nmore\nlines\n---\n\n---\n",
    "a\n- - -\nb\n***\n_ _ _\n---x\n",
    "> quote\n---\n",
    "> quote\nlazy\n===\n",
    "> quote\n2) lazy no more\n   ~~~\n",
    "- item\n---\n",
    "- item\n  ===\n# heading\n",
    "```\n# no\n~~~\n```\n# yes\n",
    "````\n```\n````\n",
    "~~~ a`b\n```\n~~~~\n# yes\n",
    "``` a`b\n# yes\n",
    "   ```\n   x\n  ```  \n    ```\n",
    "```\nnever closed\n# no\n",
    "- ```js\n  # no\n  ```\n- b\n\n  ~~~\n  x\nout\n# yes\n",
    "1. a\n\n   ```\n   x\n   ```\n2. b\n",
    "10. a\n   ```\n",
    "- a\n\n      code ```\n\n# yes\n",
    "-\n\n  ```\n",
    "- - - a\n    - ```\n      x\n",
    "> ```\n> # no\n> ```\n> # quoted\n\n# yes\n",
    "> ```\n# yes\n",
    "<div>\n# no\n\n# yes\n</div>\n",
    "<!-- a\n\n# no\n-->\n# yes\n",
    "<script>\n\n# no\n\n</script> x\n# yes\n",
    '<Tabs a="b">\n# no\n\n```js\n```\n',
    "words\n<Tabs>\n# yes\n",
    "<b>words</b> and\n===\n",
    "| a | b |\n|---|---|\n| c | d |\n---\n",
    "| a |\n|---|---|\n---\n",
    "before\n| a | b |\n|---|---|\n===\n",
    "[a]: /b\n===\n",
    "[a]: /b\n---\n",
    "[a]: /b 'c'\nwords\n---\n",
    "[a] words\n---\n",
    "    code\n---\n",
    "\tcode\n\n\n\tmore\n# yes\n",
    "a\n    # no\n\n    # no\n",
    "\\# no\n`# no`\n",
    "\n\n  \n# after blanks",
    "import X from 'y'\n\nexport const a = 1\n\n# yes {#id}\n",
]
_LINES = st.sampled_from(
    [
        "",
        "",
        "text",
        "more words",
        "# H1",
        "## H2 ##",
        "### ",
        "===",
        "---",
        "- item",
        "- ",
        "1. one",
        "2) two",
        "  cont",
        "    code",
        "   three",
        "```",
        "```js",
        "~~~",
        "````",
        "> quote",
        "> ```",
        ">",
        "<div>",
        "</div>",
        '<Tab a="b">',
        "<!-- c",
        "-->",
        "| a | b |",
        "|---|---|",
        "[x]: http://y",
        "* * *",
        "***",
        "+ p",
        "  - nested",
        "    - deep",
        "  ```",
        "    ```",
        "   ~~~",
        "      ```",
        "\tt",
        "- ```",
        "1. ```",
        "- # h",
        "-\tfoo",
        "10. ten",
        "<script>",
        "</script>",
        "`a`",
        "**b**",
        "> - q",
        "> # h",
        "=",
        "--",
        "a | b",
        "#no",
        "- - x",
        "<b>bold</b> text",
        "<pre>",
    ]
)


@pytest.mark.parametrize("text", HAND_CASES)
def test_hand_case_agrees_with_the_oracle(text: str) -> None:
    assert scanned(text) == oracle(text)


@settings(max_examples=150, deadline=None)
@given(st.lists(_LINES, min_size=1, max_size=10).map("\n".join))
def test_generated_markdown_agrees_with_the_oracle(text: str) -> None:
    assume(not text.startswith(("---\n", "+++")))
    assert scanned(text) == oracle(text)


def test_own_documents_agree_with_the_oracle() -> None:
    files = list(own_files(".md"))
    assert files
    for path in files:
        text = without_front_matter(normalise_text(path.read_text()))
        assert scanned(text) == oracle(text), path


@settings(max_examples=100, deadline=None)
@given(st.lists(_LINES, max_size=12).map("\n".join))
def test_blocks_cover_the_text_without_a_gap(text: str) -> None:
    at = 0
    for block in scan(text):
        assert block.start == at < block.end
        at = block.end
    assert at == len(text)


@pytest.mark.parametrize("front", ["---\ntitle: a\n# no\n---\n", "+++\na = 1\n# no\n+++\n"])
def test_front_matter_is_one_block_without_headings(front: str) -> None:
    blocks = list(scan(front + "\n# yes\n"))
    assert [(b.kind, b.title) for b in blocks] == [("front", ""), ("heading", "yes")]


def test_rule_without_a_closing_line_is_no_front_matter() -> None:
    assert [b.kind for b in scan("---\n\n# yes\n")] == ["rule", "heading"]
