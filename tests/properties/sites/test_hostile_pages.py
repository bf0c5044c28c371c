"""Whatever a site puts into a page, more of it takes no more than its share; `make bench` has the seconds of 1 MB."""

from __future__ import annotations

import time

import pytest

from libs.common.sites.html import Element, PageTooDeep, read_html
from libs.common.sites.markdown import Writer, to_markdown
from tests.support.work import calls

SIZE = 20_000
REPEATED = {
    "open elements": "<div>",
    "open lists": "<ul><li>",
    "open definitions": "<dl><dd>",
    "options": "<select><option>",
    "formatting": "<b><i>",
    "formatting with attributes": '<b class="a">x<p>',
    "links in links": "<a href=x>x",
    "tables in tables": "<table><tr><td>",
    "rows without table": "<tr><td>x",
    "quotations": "<blockquote>x",
    "open paragraphs": "<p>x",
    "line breaks": "x<br>",
    "list items": "<li>x",
    "headings": "<h2 id=a>x",
    "code": "<pre>`x",
    "backticks": "`",
    "less than": "<",
    "ampersands": "&",
    "entities": "&amp;lt;",
    "comments": "<!--x",
    "scripts": "<script>x",
    "titles": "<title>x",
    "end tags": "</div></p>",
    "attributes": " a",
    "unclosed quote": '<a href="x',
    "equals": "<a =",
    "blanks": "x  \t ",
    "zero width": "\u200b",
    "hashes": "# ",
    "pipes": "|",
    "numbers": "1. ",
}


class Plain:
    def drops(self, element: Element) -> bool:
        return False

    def block(self, element: Element, writer: Writer) -> list[str] | None:
        return None

    def code_title(self, pre: Element) -> str:
        return ""


def read(text: str) -> str:
    try:
        root = read_html(text.encode())
        return "" if root is None else to_markdown(root, Plain())
    except PageTooDeep:
        return ""


def assert_linear(opening: str, piece: str) -> None:
    """In calls and in what is written, whatever else the machine does."""
    small, large = (f"<html><body>{opening}{piece * (size // len(piece))}" for size in (SIZE, 2 * SIZE))
    assert calls(lambda: read(large)) <= 2.5 * calls(lambda: read(small)) + 500
    assert len(read(large)) <= 2.5 * len(read(small)) + 500


@pytest.mark.parametrize("kind", REPEATED)
def test_repeated_piece_twice_takes_twice_the_work(kind: str) -> None:
    assert_linear("", REPEATED[kind])


@pytest.mark.parametrize("opening", ["<blockquote>", "<ul><li>", "<table><tr><td>", "<div>", "<b>"])
def test_deep_but_not_too_deep_page_with_twice_the_text_takes_twice_the_work(opening: str) -> None:
    assert_linear(opening * (240 // opening.count("<")), "x<br>")


def test_depth_costs_the_parser_nothing() -> None:
    """A parser that is quadratic in depth takes minutes of the processor for this."""
    began = time.process_time()
    with pytest.raises(PageTooDeep):
        read_html(b"<div>" * 200_000)
    assert time.process_time() - began < 10


def test_many_attributes_of_one_tag_are_refused_before_they_are_read() -> None:
    for quoted in ("", '="x"', "='>'", "=x"):
        with pytest.raises(PageTooDeep):
            read_html(b"<p>x<div " + b" ".join(f"a{n}{quoted}".encode() for n in range(100_000)) + b">")


@pytest.mark.parametrize("cover", ['<!-- <a b=" -->', "<script>'<a b=\"'</script>", '<a b=c" d>', '<a "b>', '<a = ">'])
def test_bomb_is_not_hidden_by_an_odd_quote_before_it(cover: str) -> None:
    bomb = "<div " + " ".join(f"a{n}" for n in range(50_000)) + ' z=">">'
    with pytest.raises(PageTooDeep):
        read_html((cover + bomb).encode())


def test_page_with_many_short_tags_is_no_bomb() -> None:
    assert read_html(b"<p>" + b'<a href="x" class="y" title="z">t</a> ' * 20_000) is not None


def test_picture_inside_an_attribute_is_no_bomb() -> None:
    assert read_html(b'<p><img src="data:image/png;base64,' + b"QUJD " * 50_000 + b'">after') is not None


@pytest.mark.parametrize("body", [b"", b"   \n", b"\x00", b"<", b"<!-- only -->", b"\xff\xfe\x00"])
def test_nearly_nothing_is_no_page_and_no_error(body: bytes) -> None:
    root = read_html(body)
    assert root is None or to_markdown(root, Plain()).strip() in ("", "<", "\\<", "\ufffd", "\ufffd" * 3)


def test_one_wide_row_makes_no_other_row_wider() -> None:
    page = "<table><tr>" + "<td>x" * 5_000 + "<tr><td>x" * 5_000
    root = read_html(page.encode())
    assert root is not None
    text = to_markdown(root, Plain())
    assert text.startswith("| x | x |")
    assert text.endswith("\n| x |\n")
    assert len(text) < 3 * len(page)


@pytest.mark.parametrize("charset", ["idna", "punycode", "undefined", "unicode_escape", "utf-7", "zlib", "no-such", ""])
def test_charset_that_is_none_of_the_web_is_read_as_utf8(charset: str) -> None:
    root = read_html("<p>\\u0041 +AEE- é".encode(), f"text/html; charset={charset}")
    assert root is not None
    assert to_markdown(root, Plain()) == "\\u0041 +AEE- é\n"


@pytest.mark.parametrize("charset", ["windows-1251", "Shift_JIS", "GBK", "ISO-8859-15", "utf-16le", "latin1"])
def test_page_is_read_in_the_charset_that_its_header_names(charset: str) -> None:
    word = {"windows-1251": "слово", "Shift_JIS": "言葉", "GBK": "词"}.get(charset, "mot")
    root = read_html(f"<p>{word}".encode(charset), f'text/html; charset="{charset}"')
    assert root is not None
    assert to_markdown(root, Plain()) == f"{word}\n"


@pytest.mark.parametrize("start", ["²", "-1", "9" * 30, "x"])
def test_list_that_starts_at_no_number_starts_at_one(start: str) -> None:
    root = read_html(f"<ol start='{start}'><li>first</ol>".encode())
    assert root is not None
    assert to_markdown(root, Plain()) == "1. first\n"
