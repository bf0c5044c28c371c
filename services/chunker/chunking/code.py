"""Source code becomes units: definitions whole where they fit, with their comments; without a grammar, lines."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
from msgspec.structs import replace
from tree_sitter import Node

from services.chunker.chunking.grammars import GRAMMARS, parse
from services.chunker.chunking.imports import Imports
from services.chunker.chunking.model import BLOCK, HARD, ITEM, LINE, PARTED, Section, Unit
from services.chunker.chunking.remarks import first_sentence
from services.chunker.chunking.scopes import definition_of, scope_name
from services.chunker.chunking.siblings import Item, Siblings
from services.chunker.chunking.splitting import line_units, paragraph_units, spans, starts_exact
from services.chunker.chunking.tokens import counter

_DEEPEST = 12  # nested deeper than this, code goes by lines: each level may count its text once more
_LIKELY_LONG = 5  # beyond this many bytes a token a node is opened uncounted, so that little is counted twice
_STATEMENT = 4  # a statement inside a definition is opened beyond this part of the budget: fewer cuts are needed then
_TOP = 13
_ABOUT = 3  # remarks of this many definitions around a chunk are told with it
_EMPTY_COMMENT = re.compile(r"\n[ \t]*+(?:\*|//[/!]?|#|--)?+[ \t]*+(?=\n)")  # begins with a sign that is soon found


class Code(NamedTuple):
    units: list[Unit]
    imports: Imports = Imports()


class _Scope(NamedTuple):
    """The definitions around a unit, and what is remarked on those that begin before it."""

    section: Section = Section()
    about: tuple[str, ...] = ()
    header: str = ""

    def entered(self, name: str) -> "_Scope":
        path = (*self.section.path, name)
        return _Scope(Section(path, " > ".join(path)), self.about, self.header)

    def remarked(self, remark: str) -> "_Scope":
        about = (*self.about, remark)[-_ABOUT:] if remark else self.about
        return _Scope(self.section, about, "\n".join(about))


class _Place(msgspec.Struct, frozen=True, gc=False):
    """How an item is to be read: `outer` is around its beginning, `inner` around what follows that.

    Siblings that define nothing share theirs.
    """

    defined: Node | None
    outer: _Scope
    inner: _Scope
    rank: int
    room: int
    depth: int


def read_code(text: str, language: str | None, budget: int) -> Code:
    """Imports stand apart where the file does not fit one chunk."""
    source = text.encode()
    if len(source) <= budget * _LIKELY_LONG:
        tokens = counter()(text)
        if tokens <= budget:
            return Code([Unit(0, tokens, BLOCK, Section())])
    root = parse(source, language) if language and language in GRAMMARS else None
    if root is None or language is None:
        return Code(line_units(text, 0, len(text), Section(), budget))
    return _Source(text, source, language, budget).read(root)


class _Source:
    def __init__(self, text: str, source: bytes, language: str, budget: int) -> None:
        self.text, self.source, self.grammar, self.budget = text, source, GRAMMARS[language], budget
        self.ascii = len(text) == len(source)
        self.siblings = Siblings(source, language)
        self.count = counter()
        self.units: list[Unit] = []
        self._known = (0, 0)

    def read(self, root: Node) -> Code:
        items = self.siblings.of_file(root)
        after_imports = self._after_imports(items)
        scope = _Scope().remarked(self._module_remark(items[0]))
        first_after, plain = 0, self._plain(scope, 0)
        for item in items:
            if item.start == after_imports:
                first_after = len(self.units)
            self._read_item(item, plain)
        self._close(0, BLOCK, self.budget)
        if len(self.units) == 1:
            self.units[0].section = Section()
        if 0 < first_after < len(self.units):
            self.units[first_after].rank = HARD
        self.units[0].header = ""
        return Code(self.units, Imports(self._import_statements(items)))

    def _module_remark(self, first: Item) -> str:
        """What the file says of itself: its docstring, or the comment before its package clause and imports."""
        node = first.nodes[0] if first.nodes else None
        if node and self.grammar.docstrings:
            return self._docstring(node)
        return (
            first_sentence(self._decoded(first.start, first.bare)) if node and node.type in self.grammar.imports else ""
        )

    def _import_statements(self, items: Sequence[Item]) -> Iterator[str]:
        for item in items:
            for node in item.nodes:
                if node.type in self.grammar.imports:
                    yield self._decoded(node.start_byte, node.end_byte)

    def _after_imports(self, items: Sequence[Item]) -> int:
        """Where the import block at the top of the file ends, its leading docstring and comments included."""
        at = -1
        for i, item in enumerate(items):
            types = {node.type for node in item.nodes}
            if types & self.grammar.imports:
                at = item.end
            elif i > 1 or types - {"expression_statement", "php_tag"}:
                break
        return at

    def _read_item(self, item: Item, plain: _Place) -> None:
        place = self._place(item, plain) if item.defining else plain
        if self._whole(item, place):
            return
        bare = item.start
        if defined := place.defined:
            place = replace(place, inner=place.inner.remarked(self._remark(defined, item)))
            bare = self._bare(item, defined)
        if bare == item.start:
            self._open(item, place)
            return
        self._comment(replace(item, bare=bare), place)
        last = len(self.units) - 1
        rest, place = replace(item, start=bare), replace(place, rank=BLOCK)
        if not self._whole(rest, place):
            self._open(rest, place)
        self._join_head(last)

    def _bare(self, item: Item, defined: Node) -> int:
        """Where the comment before a definition ends; where its decorators end, if it fits only without them."""
        line, end = self.source.rfind(b"\n", item.bare, defined.start_byte) + 1, item.end
        wrapped = defined.parent is not None and defined.parent.type in self.grammar.wrappers
        if line > item.bare and wrapped and end - line <= self.budget * _LIKELY_LONG * 2:
            with_them, without = (self.count(self._decoded(start, end)) for start in (item.bare, line))
            return line if without <= self.budget < with_them else item.bare
        return item.bare

    def _plain(self, scope: _Scope, depth: int, member: bool = False) -> _Place:
        """Of what defines nothing. `member`: of a definition, directly."""
        room = self.budget // _STATEMENT if depth else self.budget
        return _Place(None, scope, scope, _rank(depth, False, member), room, depth)

    def _place(self, item: Item, plain: _Place) -> _Place:
        defined = self._definition(item, plain.depth)
        if defined is None:
            return plain
        inner = plain.outer.entered(scope_name(defined, self.grammar, self.source))
        return _Place(defined, plain.outer, inner, _rank(plain.depth, True), self.budget, plain.depth)

    def _definition(self, item: Item, depth: int) -> Node | None:
        for node in item.defining:
            found = definition_of(node, self.grammar)
            if found and (not depth or found.type in self.grammar.inner_definitions):
                return found
        return None

    def _whole(self, item: Item, place: _Place) -> bool:
        """One unit, if there is room for it."""
        text, at, end = self.text, item.start, item.end
        if end - at > place.room * _LIKELY_LONG:
            return False
        tokens = self.count(text[at:end] if self.ascii else self._decoded(at, end))
        if tokens > place.room:
            return False
        if not self.ascii:
            at = self._character(at)
        exact = text[at] > " " or starts_exact(text, at)
        self.units.append(Unit(at, tokens, place.rank, place.inner.section, exact, place.outer.header))
        return True

    def _comment(self, item: Item, place: _Place) -> None:
        """What stands before a definition that has no room for it: cut after its paragraphs, if at all."""
        around = replace(place, inner=place.outer._replace(section=place.inner.section))
        if self._whole(replace(item, end=item.bare), around):
            return
        start, end = self._character(item.start), self._character(item.bare)
        starts = [start, *(m.end() + 1 for m in _EMPTY_COMMENT.finditer(self.text, start, end) if m.end() + 1 < end)]
        first = len(self.units)
        for at, stop in spans(starts, end):
            units = paragraph_units(self.text, at, stop, around.inner.section, self.budget)
            units[0].rank = PARTED
            self.units += units
        for unit in self.units[first:]:
            unit.header = place.outer.header
        self.units[first].rank = place.rank

    def _open(self, item: Item, place: _Place) -> None:
        """What was opened and fits after all is whole again: the counts of lines add up."""
        first = len(self.units)
        self._read_parts(item, place)
        self._close(first, place.rank, place.room)

    def _close(self, first: int, rank: int, room: int) -> None:
        opened = self.units[first:]
        opened[0].rank = rank
        tokens = sum([unit.tokens for unit in opened])
        if tokens <= room and all(unit.exact for unit in opened):
            opened[0].tokens = tokens
            del self.units[first + 1 :]

    def _read_parts(self, item: Item, place: _Place) -> None:
        """Goes into the nodes until they show more than one line to cut at; lines where they never do."""
        nodes = [place.defined] if place.defined else item.nodes
        items = [item]
        for _ in range(_DEEPEST):
            if len(items) > 1 or not nodes or place.depth >= _DEEPEST:
                break
            items = self.siblings.inside(nodes, item.start, item.end)
            nodes = items[0].nodes
        if len(items) == 1:
            self._lines(item, place)
            return
        first = len(self.units)
        outer = place.outer._replace(section=place.inner.section)
        self._read_item(items[0], self._plain(outer, place.depth + 1))
        rest = self._plain(place.inner, place.depth + 1, place.defined is not None)
        for one in items[1:]:
            self._read_item(one, rest)
        self._join_head(first)

    def _lines(self, item: Item, place: _Place) -> None:
        start, end = self._character(item.start), self._character(item.end)
        units = line_units(self.text, start, end, place.inner.section, self.budget, place.inner.header, within=True)
        units[0].header = place.outer.header
        self.units += units

    def _join_head(self, first: int) -> None:
        """A signature stays with the first thing after it, unless that is a definition of its own or does not fit."""
        head, after = self.units[first : first + 2]
        if head.section != after.section:
            after.rank = LINE
        elif head.exact and after.exact and head.tokens + after.tokens <= self.budget:
            head.tokens += after.tokens
            del self.units[first + 1]

    def _remark(self, defined: Node, item: Item) -> str:
        """The docstring of a definition, or the comment before it."""
        if not self.grammar.docstrings:
            return first_sentence(self._decoded(item.start, item.bare))
        body = defined.child_by_field_name("body")
        return self._docstring(body.named_children[0]) if body and body.named_children else ""

    def _docstring(self, node: Node) -> str:
        if node.type != "expression_statement" or node.named_children[0].type != "string":
            return ""
        return first_sentence(self._decoded(node.start_byte, node.end_byte))

    def _decoded(self, start: int, end: int) -> str:
        return self.text[start:end] if self.ascii else self.source[start:end].decode()

    def _character(self, byte: int) -> int:
        """The character that a byte offset stands for; offsets are asked in rising order."""
        if self.ascii:
            return byte
        known_byte, known = self._known
        known += len(self.source[known_byte:byte].decode())
        self._known = byte, known
        return known


def _rank(depth: int, defined: bool, member: bool = False) -> int:
    """Outer before inner; between definitions is a good place to cut, between the statements of a body is not."""
    if defined:
        return max(_TOP - 2 * depth, BLOCK)
    if not depth:
        return _TOP - 1
    return ITEM if member else LINE
