"""Finds the blocks of Markdown and MDX in one pass; markdown-it-py agrees on headings and fences in tests.

Only what decides where a chunk may end is recognised: inline syntax is never read. Whole blocks are taken by one
regular expression each, whose repeats are possessive, so that the scan stays linear on hostile input.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache

import msgspec

from services.chunker.chunking.markdown_containers import list_end, quote_end
from services.chunker.chunking.markdown_jsx import tag_end


class Block(msgspec.Struct, gc=False):
    """One block of `kind`; `end` covers the blanks after it.

    Kinds: heading, fence, code, html, jsx, list, quote, table, paragraph, rule, definitions, front.
    """

    kind: str
    start: int
    end: int
    level: int = 0
    title: str = ""
    fences: tuple[tuple[int, int], ...] = ()


_EOL = r"(?:\n|\Z)"
_HTML_TAGS = (
    "address|article|aside|base|basefont|blockquote|body|caption|center|col|colgroup|dd|details|dialog|dir|div|dl|dt|"
    "fieldset|figcaption|figure|footer|form|frame|frameset|h[1-6]|head|header|hr|html|iframe|legend|li|link|main|menu|"
    "menuitem|nav|noframes|ol|optgroup|option|p|param|search|section|summary|table|tbody|td|tfoot|th|thead|title|tr|"
    "track|ul"
)
_HTML_INTERRUPTS = (
    rf"<(?:(?i:script|pre|style|textarea)(?=[\s>]|\Z)|!--|\?|![A-Z]|!\[CDATA\[|/?(?i:{_HTML_TAGS})(?=[\s>]|/>|\Z))"
)
_RULE = rf"(?:(?:-[ \t]*+){{3,}}+|(?:_[ \t]*+){{3,}}+|(?:\*[ \t]*+){{3,}}+){_EOL}"
_STOPS = (
    rf"[ ]{{0,3}}(?:\#{{1,6}}(?=[ \t\n]|\Z)|`{{3,}}+[^`\n]*+{_EOL}|~~~|>|[-+*][ \t]++\S|1[.)][ \t]++\S"
    rf"|(?:=++|-++)[ \t]*+{_EOL}|{_RULE}|{_HTML_INTERRUPTS})"
)
_TAIL = r"(?:[ \t]*+\n)*+(?:[ \t]++\Z)?"
_BLANKS = re.compile(_TAIL)
_LINES = rf"[^\n]*+\n?(?:[^ \t\n#`~>\-+*1_=<][^\n]*+\n?|(?!{_STOPS}|[ \t]*+{_EOL})[^\n]++\n?)*+"
_HEADING = rf"(\#{{1,6}})(?:[ \t]([^\n]*+))?{_EOL}"
# What most blocks are: a paragraph that opens with a word, a heading at the margin.
_COMMON = re.compile(rf"(?:([^\s#`~<>\-*_+\[0-9]{_LINES})|{_HEADING}){_TAIL}")
_PARAGRAPH = re.compile(rf"({_LINES}){_TAIL}")
_ATX = re.compile(rf"[ ]{{0,3}}{_HEADING}{_TAIL}")
_SETEXT = re.compile(rf"[ ]{{0,3}}(=++|-++)[ \t]*+{_EOL}{_TAIL}")
_ROW = re.compile(rf"[ ]{{0,3}}(?:=++|--)[ \t]*+{_EOL}")
_FENCE = re.compile(rf"[ ]{{0,3}}(?:(`{{3,}}+)[^`\n]*+{_EOL}|(~{{3,}}+)[^\n]*+{_EOL})")
_RULE_LINE = re.compile(rf"[ ]{{0,3}}{_RULE}")
_CODE = re.compile(r"(?:(?:[ ]{4}|[ ]{0,3}\t)[^\n]*+\n?|[ \t]*+\n)++")
_BULLET = re.compile(rf"[ ]{{0,3}}(?:[-+*]|\d{{1,9}}[.)])(?=[ \t]|{_EOL})")
_QUOTE = re.compile(r"[ ]{0,3}>")
_FRONT = re.compile(
    rf"(?:---[ \t]*\n(?![ \t]*\n)(?:(?!---[ \t]*{_EOL})[^\n]*+\n)*+---"
    rf"|\+\+\+[ \t]*\n(?:(?!\+\+\+)[^\n]*+\n)*+\+\+\+)[ \t]*{_EOL}"
)
_TO_BLANK = re.compile(rf"(?:(?![ \t]*+{_EOL})[^\n]++\n?)++")
_HTML_START = re.compile(rf"[ ]{{0,3}}(?={_HTML_INTERRUPTS})<([!?]?-?-?\[?[A-Za-z]*)")
_ATTRIBUTE = r"(?:[ \t]++[A-Za-z_:][\w:.-]*+(?:[ \t]*+=[ \t]*+(?:[^\s\"'=<>`]++|'[^'\n]*+'|\"[^\"\n]*+\"))?)"
_HTML_ALONE = re.compile(
    rf"[ ]{{0,3}}(?:<[A-Za-z][A-Za-z0-9-]*+{_ATTRIBUTE}*[ \t]*+/?>|</[A-Za-z][A-Za-z0-9-]*+[ \t]*+>)[ \t]*+{_EOL}"
)
_RAW_CLOSE = re.compile(r"</(?:script|pre|style|textarea)>", re.IGNORECASE)
_DEFINITIONS = re.compile(
    r"(?:[ ]{0,3}\[(?:[^\[\]\\\n]|\\.)++\]:[ \t]*+\n?[ \t]*+\S++"
    rf"(?:[ \t]++(?:\"[^\"\n]*+\"|'[^'\n]*+'|\([^()\n]*+\)))?[ \t]*+{_EOL})++"
)
_LINE_END = re.compile(r"\n|\Z")
_DELIMITER_ROW = re.compile(rf"[ ]{{0,3}}\|?[ \t]*+:?-++:?[ \t]*+(?:\|[ \t]*+:?-++:?[ \t]*+)*+\|?[ \t]*+{_EOL}")


def scan(text: str) -> Iterator[Block]:
    """The top-level blocks, in order, covering the whole text; blanks belong to the block before them."""
    at, end, common = 0, len(text), _COMMON.match
    front = _FRONT.match(text) if text.startswith(("---", "+++")) else None
    if front:
        at = _after_blanks(text, front.end())
        yield Block("front", 0, at)
    start, at = at, _after_blanks(text, at)
    while at < end:
        found = common(text, at)
        if found is None:
            block = _uncommon(text, at)
        elif found.lastindex == 1:
            block = _paragraph(text, at, found.end(1), found.end())
        else:
            block = Block("heading", at, found.end(), len(found[2]), _heading_text(found[3]))
        if start < at:  # blanks before the first block
            block.start = start
        yield block
        start = at = block.end
    if start < end:
        yield Block("paragraph", start, end)


def _uncommon(text: str, at: int) -> Block:
    for read in _READERS.get(text[at], ()):
        block = read(text, at)
        if block:
            return block
    return _words(text, at)


def _after_blanks(text: str, at: int) -> int:
    blanks = _BLANKS.match(text, at)
    return blanks.end() if blanks else at


def _words(text: str, at: int) -> Block:
    found = _PARAGRAPH.match(text, at)
    return _paragraph(text, at, found.end(1), found.end()) if found else Block("paragraph", at, len(text))


def _paragraph(text: str, at: int, stop: int, end: int) -> Block:
    """A paragraph, a table, or a heading underlined on its last line; its lines end at `stop`, the blanks at `end`."""
    second = text.find("\n", at, stop) + 1
    if 0 < second < stop and text[second] in _DELIMITERS and _is_table(text, at, second, stop):
        return Block("table", at, _table_end(text, stop, end))
    underline = _SETEXT.match(text, stop) if end == stop and text[stop : stop + 1] in _UNDERLINES else None
    if not underline:
        return Block("paragraph", at, end)
    if holds_table(text, at, stop):
        return Block("paragraph", at, _table_end(text, stop, end))
    level = 1 if underline[1][0] == "=" else 2
    return Block("heading", at, underline.end(), level, text[at:stop].strip())


def _table_end(text: str, stop: int, end: int) -> int:
    """What would underline a paragraph is a row below a table, unless it is a rule or opens a list."""
    while end == stop and _ROW.match(text, stop):
        found = _PARAGRAPH.match(text, stop)
        stop, end = (found.end(1), found.end()) if found else (len(text), len(text))
    return end


def holds_table(text: str, at: int, stop: int) -> bool:
    """A table may follow the first words of a paragraph; a line below it underlines nothing."""
    if "|" not in text[at:stop]:
        return False
    starts = [at, *(m.end() for m in _LINE_END.finditer(text, at, stop))]
    return any(_is_table(text, *lines) for lines in zip(starts, starts[1:], starts[2:], strict=False))


def _is_table(text: str, at: int, second: int, stop: int) -> bool:
    """Whether the second line delimits as many columns as the first one names."""
    delimiters = _DELIMITER_ROW.match(text, second, stop)
    return delimiters is not None and _columns(delimiters[0]) == _columns(text[at:second]) and "|" in text[at:stop]


def _columns(row: str) -> int:
    row = row.strip().replace("\\\\", "").replace("\\|", "")
    return row.count("|") + 1 - row.startswith("|") - (row.endswith("|") and len(row) > 1)


_DELIMITERS = "|:- "
_UNDERLINES = ("=", "-", " ")


def _heading(text: str, at: int) -> Block | None:
    found = _ATX.match(text, at)
    if not found:
        return None
    return Block("heading", at, found.end(), len(found[1]), _heading_text(found[2]))


def _heading_text(raw: str | None) -> str:
    title = (raw or "").strip(" \t")
    if title.endswith("#"):
        unclosed = title.rstrip("#")
        if not unclosed or unclosed[-1] in " \t":
            title = unclosed.rstrip(" \t")
    return title


def _fence(text: str, at: int) -> Block | None:
    found = _FENCE.match(text, at)
    if not found:
        return None
    stop, end = _fence_stop(text, found.end(), found[1] or found[2])
    return Block("fence", at, end, fences=((at, stop),))


@cache
def _closer(mark: str) -> re.Pattern[str]:
    return re.compile(rf"([ ]{{0,3}}{mark}{{3,}}+[ \t]*+{_EOL}){_TAIL}")


def _fence_stop(text: str, at: int, marks: str) -> tuple[int, int]:
    """The end of the closing line, at least as long as the opening one, and of the blanks after it; the end of the
    text where none closes."""
    closer = _closer(marks[0])
    at = text.find(marks, at)
    while at >= 0:
        line = text.rfind("\n", 0, at) + 1
        found = closer.match(text, line)
        if found:
            return found.end(1), found.end()
        line_end = text.find("\n", at)
        at = text.find(marks, line_end) if line_end >= 0 else -1
    return len(text), len(text)


def _html(text: str, at: int) -> Block | None:
    tag = tag_end(text, at)
    if tag:
        return Block("jsx", at, _after_blanks(text, _line_end(text, tag)))
    found = _HTML_START.match(text, at)
    if found:
        return Block("html", at, _after_blanks(text, _html_stop(text, at, found)))
    if _HTML_ALONE.match(text, at):
        return Block("html", at, _after_blanks(text, _to_blank(text, at)))
    return None


def _html_stop(text: str, at: int, found: re.Match[str]) -> int:
    opening = found[1].lower()
    if opening in ("script", "pre", "style", "textarea"):
        closing = _RAW_CLOSE.search(text, found.end())
        return _line_end(text, closing.end() if closing else len(text))
    for prefix, end in (("!--", "-->"), ("?", "?>"), ("![", "]]>"), ("!", ">")):
        if opening.startswith(prefix):
            closed = text.find(end, found.start() + 2)
            return _line_end(text, closed + len(end) if closed >= 0 else len(text))
    return _to_blank(text, at)


def _line_end(text: str, at: int) -> int:
    return text.find("\n", at) + 1 or len(text)


def _to_blank(text: str, at: int) -> int:
    found = _TO_BLANK.match(text, at)
    return found.end() if found else len(text)


def _rule(text: str, at: int) -> Block | None:
    found = _RULE_LINE.match(text, at)
    return Block("rule", at, _after_blanks(text, found.end())) if found else None


def _list(text: str, at: int) -> Block | None:
    if not _BULLET.match(text, at):
        return None
    stop, fences = list_end(text, at, _interrupts)
    return Block("list", at, _after_blanks(text, stop), fences=fences)


# Lists as most are written: markers at the margin, everything else indented, no fence.
_PLAIN_BULLETS, _PLAIN_NUMBERS = (
    re.compile(
        rf"(?:{marker}[ ](?:[^\W_]|[\[(\"'!&@$:/,.]|\*\*\w|`[^`\n])[^\n]*+\n?"
        rf"(?:{indent}[ ]*+[^\s>][^\n]*+\n?|(?:[ \t]*+\n)++(?={indent}))*+(?:[ \t]*+\n)*+)++"
    )
    for marker, indent in (("[-+*]", "[ ]{2}"), (r"\d[.)]", "[ ]{3}"))
)
_MAY_CONTINUE = frozenset(" \t-+*0123456789")


def _plain_list(text: str, at: int) -> Block | None:
    """A list that one expression can read; no rule is one."""
    found = (_PLAIN_NUMBERS if text[at].isdigit() else _PLAIN_BULLETS).match(text, at)
    if not found:
        return None
    stop = found.end()
    if stop < len(text) and (text[stop] in _MAY_CONTINUE or not text.endswith("\n\n", at, stop)):
        return None
    fenced = text.find("```", at, stop) >= 0 or text.find("~~~", at, stop) >= 0
    return None if fenced else Block("list", at, stop)


def _quote(text: str, at: int) -> Block | None:
    if not _QUOTE.match(text, at):
        return None
    stop, fences = quote_end(text, at, _interrupts)
    return Block("quote", at, _after_blanks(text, stop), fences=fences)


_INTERRUPTION = re.compile(
    rf"[ ]{{0,3}}(?:\#{{1,6}}(?=[ \t\n]|\Z)|`{{3,}}+[^`\n]*+{_EOL}|~~~|>|[-+*][ \t]++\S|1[.)][ \t]++\S"
    rf"|{_RULE}|{_HTML_INTERRUPTS})"
)


def _interrupts(text: str, at: int) -> bool:
    """Whether this line ends a paragraph of a container instead of carrying it on."""
    return _INTERRUPTION.match(text, at) is not None


def _definitions(text: str, at: int) -> Block | None:
    """Link reference definitions: they open a paragraph without being part of it."""
    found = _DEFINITIONS.match(text, at)
    return Block("definitions", at, _after_blanks(text, found.end())) if found else None


def _code(text: str, at: int) -> Block | None:
    found = _CODE.match(text, at)
    return Block("code", at, found.end()) if found else None


_Reader = Callable[[str, int], Block | None]
_INDENTED: tuple[_Reader, ...] = (_code, _heading, _fence, _html, _quote, _rule, _list, _definitions)
_READERS: dict[str, tuple[_Reader, ...]] = {
    "#": (_heading,),
    "`": (_fence,),
    "~": (_fence,),
    "<": (_html,),
    ">": (_quote,),
    "-": (_plain_list, _rule, _list),
    "*": (_plain_list, _rule, _list),
    "_": (_rule,),
    "+": (_plain_list, _list),
    "[": (_definitions,),
    " ": _INDENTED,
    "\t": (_code,),
    **dict.fromkeys("0123456789", (_plain_list, _list)),
}
