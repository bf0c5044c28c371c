"""Plain HTML → Markdown: what is text stays text, what is shape stays shape."""

from __future__ import annotations

import pytest

from libs.common.sites.html import Element, read_html
from libs.common.sites.markdown import Writer, to_markdown


class Plain:
    def drops(self, element: Element) -> bool:
        return False

    def block(self, element: Element, writer: Writer) -> list[str] | None:
        return None

    def code_title(self, pre: Element) -> str:
        return ""


def markdown(html: str) -> str:
    root = read_html(f"<html><body>{html}".encode())
    assert root is not None
    return to_markdown(root, Plain()).rstrip("\n")


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p># no heading", "\\# no heading"),
        ("<p>- no list", "\\- no list"),
        ("<p>1. no list", "1\\. no list"),
        ("<p>&gt; no quotation", "\\> no quotation"),
        ("<p>```no fence", "\\```no fence"),
        ("<p>&lt;div&gt; no element", "\\<div> no element"),
        ("<p>---", "\\---"),
        ("<p>a<br># b", "a\n\\# b"),
        ("<p>-5 degrees", "-5 degrees"),
        ("<p>#hashtag", "#hashtag"),
        ("<p>2026.10 is a version", "2026.10 is a version"),
    ],
)
def test_text_that_looks_like_markdown_stays_text(html: str, expected: str) -> None:
    assert markdown(html) == expected


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>a <b> bold </b>b", "a **bold** b"),
        ("<p>x<em></em>y", "xy"),
        ("<p><a href='#top'>up</a> <a href='javascript:x()'>no</a> <a href='/b'>yes</a>", "up no [yes](/b)"),
        ("<p><a href='/a b'>odd</a>", "odd"),
        ("<h3 id='a b'>Two</h3>", "### Two {#}"),
        ("<h2 id=x></h2><p>y", "y"),
        ("<ol start=3><li>c<li>d</ol>", "3. c\n4. d"),
        ("<ul><li><p>a<p>b<li>c</ul>", "- a\n\n  b\n- c"),
        ("<ul><li>a<ol><li>b</ol><li>c</ul>", "- a\n  1. b\n- c"),
        ("<pre><code class=language-py>a\n  b</code></pre>", "```py\na\n  b\n```"),
        ("<pre>a<br>b</pre>", "```\na\nb\n```"),
        ("<pre>```</pre>", "````\n```\n````"),
        ("<table><tr><td>a|b<td><p>c<p>d</table>", "| a\\|b | c d |\n|---|---|"),
        ("<a href=/card><div>Card</div><div>text</div></a>", "Card\n\ntext"),
        ("<p>a<script>alert(1)</script><style>p{}</style>b", "ab"),
        ("<p>zero\u200bwidth\u00ad", "zerowidth"),
        ("before<div>inside</div>after", "before\n\ninside\n\nafter"),
        ("<details><summary>More</summary>folded</details>", "**More**\n\nfolded"),
        ("<blockquote><p>a<p>b</blockquote>", "> a\n>\n> b"),
        ("<p>a<!-- no -->b", "ab"),
    ],
)
def test_shape_is_kept(html: str, expected: str) -> None:
    assert markdown(html) == expected


def test_words_deeper_than_any_document_are_kept_without_their_shape() -> None:
    assert "at the bottom" in markdown("<blockquote>" * 100 + "at the <b>bottom</b>")
