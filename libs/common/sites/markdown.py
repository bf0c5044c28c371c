"""An element tree → the Markdown that its author might have written: headings with their ids, fences, tables, lists."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Protocol

from libs.common.sites.html import Element

DEEPEST = 48  # elements below the content root; what lies deeper is read as plain text
MOST_NESTED = 10  # quotations and lists in one another; deeper ones keep their words and lose their marks
HEADINGS = {"h1": 1, "h2": 2, "h3": 3, "h4": 4, "h5": 5, "h6": 6}
IGNORED = frozenset(
    "script style noscript template svg math iframe object embed canvas button select option nav form head".split()
)
INLINE = frozenset(
    "a abbr b br cite code data del dfn em font i img input ins kbd label mark q s samp small span strike strong"
    " bdi bdo sub sup time tt u var wbr".split()
)
MARKS = {"strong": "**", "b": "**", "em": "*", "i": "*", "del": "~~", "s": "~~", "strike": "~~"}
ZERO_WIDTH = re.compile("[\u200b\u2060\ufeff\u00ad]")
_BLANK = re.compile(r"\s+")
_SPACES = re.compile(r"[ \t]+")
_TICKS = re.compile(r"`+")
# What a line of text must not begin with, or it would be read as a block of its own.
_OPENER = re.compile(r"(?=#{1,6}(?:\s|$)|>|[-+*](?:\s|$)|```|~~~|<[A-Za-z/!?]|\||=+\s*$|[-*_](?:\s*[-*_]){2,}\s*$)")
_NUMBER = re.compile(r"(\d{1,9})([.)](?:\s|$))")
_LANGUAGE = re.compile(r"(?:^|\s)lang(?:uage)?-([\w+#.-]+)")


class Dialect(Protocol):
    """What one generator does its own way. Elements are those of the content root."""

    def drops(self, element: Element) -> bool:
        """Not part of the text: links to a heading, tables of contents, badges."""
        ...

    def block(self, element: Element, writer: Writer) -> list[str] | None:
        """The blocks of an element of its own; None = as plain HTML says."""
        ...

    def code_title(self, pre: Element) -> str: ...


def to_markdown(root: Element, dialect: Dialect) -> str:
    """The same text for the same content, whatever the bytes around it were. Linear in the size of the page."""
    blocks = Writer(dialect).blocks(root)
    return "\n\n".join(blocks).strip() + "\n" if blocks else ""


class Writer:
    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._depth = 0
        self._nested = 0
        self._blocks: dict[str, Callable[[Element], list[str]]] = {
            "pre": self._code,
            "ul": lambda element: self.nest(self._list, element),
            "ol": lambda element: self.nest(self._list, element),
            "table": self._table,
            "blockquote": lambda element: self.nest(self._quotation, element),
            "hr": lambda _: ["---"],
            "summary": lambda element: strong(self.inline(element)),
            "dt": lambda element: strong(self.inline(element)),
        }

    def blocks(self, element: Element) -> list[str]:
        """Of the children: runs of text and inline elements are paragraphs, everything else stands for itself."""
        found: list[str] = []
        run: list[str] = []
        for child in parts(element):
            if isinstance(child, str):
                run.append(child)
            elif self._is_inline(child):
                run.append(self._inline(child))
            elif not self._is_dropped(child):
                found += paragraph(run)
                run = []
                found += self.block(child)
        return found + paragraph(run)

    def block(self, element: Element) -> list[str]:
        if self._depth >= DEEPEST:
            return paragraph(["".join(texts(element))])
        self._depth += 1
        try:
            own = self._dialect.block(element, self)
            if own is not None:
                return own
            level = HEADINGS.get(element.tag)
            if level:
                return self._heading(element, level)
            return self._blocks.get(element.tag, self.blocks)(element)
        finally:
            self._depth -= 1

    def nest(self, write: Callable[[Element], list[str]], element: Element) -> list[str]:
        """Every mark is written before every line inside: without an end to it a small page becomes a huge one."""
        if self._nested >= MOST_NESTED:
            return self.blocks(element)
        self._nested += 1
        try:
            return write(element)
        finally:
            self._nested -= 1

    def _quotation(self, element: Element) -> list[str]:
        return quoted(self.blocks(element))

    def inline(self, element: Element) -> str:
        """The element's text on one line."""
        return " ".join(collapsed(self._children(element)).split())

    def _children(self, element: Element) -> str:
        if self._depth >= DEEPEST:
            return "".join(texts(element))
        self._depth += 1
        try:
            return "".join(self._part(child) for child in parts(element))
        finally:
            self._depth -= 1

    def _part(self, child: str | Element) -> str:
        if isinstance(child, str):
            return child
        if self._is_inline(child):
            return self._inline(child)
        return "" if self._is_dropped(child) else f" {self._children(child)} "

    def _inline(self, element: Element) -> str:
        """Inline elements; blocks inside them lose their shape, never their words."""
        tag = element.tag
        if self._is_dropped(element):
            return ""
        if tag == "br":
            return "\n"
        if tag == "img":
            return element.get("alt") or ""
        if tag == "input":
            return _box(element)
        if tag in ("code", "kbd", "samp", "tt"):
            return code_span("".join(texts(element)))
        inner = self._children(element)
        if tag == "a":
            return _link(inner, element.get("href") or "")
        return marked(inner, MARKS[tag]) if tag in MARKS else inner

    def _heading(self, element: Element, level: int) -> list[str]:
        title = self.inline(element)
        name = element.get("id") or ""
        return [heading(title, level, name)] if title else []

    def _code(self, element: Element) -> list[str]:
        text = "".join(texts(element, keep_lines=True)).strip("\n")
        if not text.strip():
            return []
        fence = "`" * max(3, longest_run(text) + 1)
        title = self._dialect.code_title(element)
        info = " ".join(part for part in (_language(element), f'title="{title}"' if title else "") if part)
        return [f"{fence}{info.replace('`', '')}\n{text}\n{fence}"]

    def _list(self, element: Element) -> list[str]:
        number = _start(element) if element.tag == "ol" else None
        items: list[str] = []
        for child in parts(element):
            if isinstance(child, str) or child.tag != "li":
                loose = paragraph([child]) if isinstance(child, str) else self.block(child)
                items += [indented("- ", loose)] if loose else []
                continue
            mark = "- " if number is None else f"{number}. "
            items.append(indented(mark, self.blocks(child)))
            number = None if number is None else number + 1
        return ["\n".join(item for item in items if item)] if any(items) else []

    def _table(self, element: Element) -> list[str]:
        rows = [[self._cell(cell) for cell in _cells(row)] for row in _rows(element)]
        rows = [row for row in rows if row]
        if not rows:
            return []
        width = max(len(row) for row in rows)
        rows[0] += [""] * (width - len(rows[0]))  # GFM fills up the others by itself
        lines = [f"| {' | '.join(row)} |" for row in rows]
        return ["\n".join([lines[0], "|" + "---|" * width, *lines[1:]])]

    def _cell(self, cell: Element) -> str:
        return self.inline(cell).replace("|", "\\|")

    def _is_inline(self, element: Element) -> bool:
        """An inline element around blocks (a card that is one link) is a block."""
        return element.tag in INLINE and not any(child.tag not in INLINE for child in element)

    def _is_dropped(self, element: Element) -> bool:
        return element.tag in IGNORED or self._dialect.drops(element)


def parts(element: Element) -> Iterator[str | Element]:
    """Texts and elements of the children in order; blanks collapse, zero-width signs go."""
    if element.text:
        yield collapsed(element.text)
    for child in element:
        yield child
        if child.tail:
            yield collapsed(child.tail)


def texts(element: Element, *, keep_lines: bool = False) -> Iterator[str]:
    """All text below, `<br>` as a line end; iterative, so depth costs nothing."""
    for step, node in _walk(element):
        text = (node.text if step == "start" else node.tail) or ""
        if step == "start" and node.tag == "br":
            yield "\n"
        elif text and not (step == "end" and node is element):
            yield ZERO_WIDTH.sub("", text) if keep_lines else collapsed(text)


def _walk(element: Element) -> Iterator[tuple[str, Element]]:
    waiting: list[tuple[str, Element]] = [("start", element)]
    while waiting:
        step, node = waiting.pop()
        yield step, node
        if step == "start":
            waiting.append(("end", node))
            waiting += [("start", child) for child in reversed(node)]


def collapsed(text: str) -> str:
    """Blanks are one space, but a line end that `<br>` made is kept by its caller."""
    return _BLANK.sub(" ", ZERO_WIDTH.sub("", text))


def paragraph(run: list[str]) -> list[str]:
    lines = [_SPACES.sub(" ", line).strip() for line in "".join(run).split("\n")]
    return ["\n".join(escaped(line) for line in lines if line)] if any(lines) else []


def escaped(line: str) -> str:
    """A line of text stays text."""
    if _OPENER.match(line):
        return f"\\{line}"
    return _NUMBER.sub(r"\1\\\2", line, count=1) if _NUMBER.match(line) else line


def heading(title: str, level: int, name: str = "") -> str:
    """`{#id}` is where a link leads; `{#}` that none does, so that nobody guesses one: the page itself is the place."""
    return f"{'#' * level} {title} {{#{name if not set(name) & set(' {}') else ''}}}"


def strong(text: str) -> list[str]:
    return [f"**{text}**"] if text else []


def quoted(blocks: list[str]) -> list[str]:
    if not blocks:
        return []
    return ["\n".join(f"> {line}" if line else ">" for line in "\n\n".join(blocks).split("\n"))]


def indented(mark: str, blocks: list[str]) -> str:
    """The blocks of a list item behind its mark; a nested list follows its line directly."""
    if not blocks:
        return ""
    joined = blocks[0]
    for block in blocks[1:]:
        joined += ("\n" if _is_list(block) else "\n\n") + block
    first, *rest = joined.split("\n")
    space = " " * len(mark)
    return "\n".join([mark + first, *(space + line if line else "" for line in rest)])


def _is_list(block: str) -> bool:
    return block.startswith("- ") or bool(re.match(r"\d{1,9}\. ", block))


def code_span(text: str) -> str:
    text = " ".join(text.split())
    if not text:
        return ""
    ticks = "`" * (longest_run(text) + 1)
    space = " " if text[0] == "`" or text[-1] == "`" else ""
    return f"{ticks}{space}{text}{space}{ticks}"


def longest_run(text: str) -> int:
    return max((len(run) for run in _TICKS.findall(text)), default=0)


def marked(text: str, mark: str) -> str:
    """Blanks stay outside the marks, or they would not be marks."""
    bare = text.strip()
    if not bare or "\n" in bare:
        return text
    before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    return f"{before}{mark}{bare}{mark}{after}"


def _link(text: str, href: str) -> str:
    """Only where the text says something and the address leads somewhere."""
    href = href.strip()
    leads = href and not href.startswith("#") and not href.lower().startswith(("javascript:", "data:", "vbscript:"))
    if not text.strip() or not leads or set(href) & set(" ()<>\n"):
        return text
    return f"[{text.strip()}]({href})"


def _box(element: Element) -> str:
    if (element.get("type") or "").lower() != "checkbox":
        return ""
    return "[x]" if element.get("checked") is not None else "[ ]"


def _language(pre: Element) -> str:
    """From the class of `<pre>` or of its `<code>`; "text" says nothing."""
    for element in (pre, *pre):
        found = _LANGUAGE.search(element.get("class") or "")
        if found:
            return "" if found[1] in ("text", "none", "plaintext") else found[1]
    return ""


def _start(element: Element) -> int:
    start = element.get("start") or ""
    return int(start) if start.isdecimal() and len(start) < 10 else 1


def _rows(table: Element) -> Iterator[Element]:
    for child in table:
        if child.tag == "tr":
            yield child
        elif child.tag in ("thead", "tbody", "tfoot"):
            yield from (row for row in child if row.tag == "tr")


def _cells(row: Element) -> Iterator[Element]:
    return (cell for cell in row if cell.tag in ("td", "th"))
