"""Source code becomes units: definitions whole where they fit, with their comments; without a grammar, lines."""

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from tree_sitter import Node

from services.chunker.chunking.grammars import GRAMMARS, Grammar, parse
from services.chunker.chunking.model import BLOCK, HARD, ITEM, LINE, Section, Unit
from services.chunker.chunking.scopes import definition_of, scope_name
from services.chunker.chunking.splitting import line_units, starts_exact
from services.chunker.chunking.tokens import counter

_DEEPEST = 12  # nested deeper than this, code goes by lines: each level may count its text once more
_LIKELY_LONG = 5  # beyond this many bytes a token a node is opened uncounted, so that little is counted twice
_TOP = 11

Scope = tuple[str, ...]


class _Item(NamedTuple):
    """Sibling nodes that start on one line, with the comments and attributes before them: bytes `start` to `end`."""

    start: int
    end: int
    nodes: list[Node]


def code_units(text: str, language: str | None, budget: int) -> list[Unit]:
    """Imports stand apart where the file does not fit one chunk."""
    source = text.encode()
    if len(source) <= budget * _LIKELY_LONG:
        tokens = counter()(text)
        if tokens <= budget:
            return [Unit(0, tokens, BLOCK, Section())]
    root = parse(source, language) if language and language in GRAMMARS else None
    if root is None or language is None:
        return line_units(text, 0, len(text), Section(), budget)
    return _Source(text, source, GRAMMARS[language], budget).read(root)


class _Source:
    def __init__(self, text: str, source: bytes, grammar: Grammar, budget: int) -> None:
        self.text, self.source, self.grammar, self.budget = text, source, grammar, budget
        self.ascii = len(text) == len(source)
        self.lines = [0, *accumulate(len(line) for line in source.splitlines(keepends=True))]
        self.units: list[Unit] = []
        self._known = (0, 0)

    def read(self, root: Node) -> list[Unit]:
        items = self._items([root], -1, 0, len(self.source))
        after_imports = self._after_imports(items)
        first_after = 0
        for item in items:
            if item.start == after_imports:
                first_after = len(self.units)
            self._read_item(item, (), 0)
        self._close(0, BLOCK)
        if len(self.units) == 1:
            self.units[0].section = Section()
        if 0 < first_after < len(self.units):
            self.units[first_after].rank = HARD
        return self.units

    def _items(self, nodes: Sequence[Node], row: int, start: int, end: int) -> list[_Item]:
        """The children of the nodes by the line they start on; what starts on `row` or before belongs to the first."""
        groups: list[tuple[int, list[Node]]] = [(start, [])]
        lead: int | None = None
        for child in (child for node in nodes for child in node.named_children):
            begins = child.start_point[0]
            if begins > row and lead is None:
                lead = begins
            if child.type not in self.grammar.leads:
                if lead is not None and self.lines[lead] > groups[-1][0]:
                    groups.append((self.lines[lead], []))
                groups[-1][1].append(child)
                lead = None
            row = max(row, _last_row(child))
        if lead is not None and groups[-1][0] < self.lines[lead] < end:
            groups.append((self.lines[lead], []))
        ends = [at for at, _ in groups[1:]] + [end]
        return [_Item(at, stop, inner) for (at, inner), stop in zip(groups, ends, strict=True)]

    def _after_imports(self, items: Sequence[_Item]) -> int:
        """Where the import block at the top of the file ends, its leading docstring and comments included."""
        at = -1
        for i, item in enumerate(items):
            types = {node.type for node in item.nodes}
            if types & self.grammar.imports:
                at = item.end
            elif i > 1 or types - {"expression_statement"}:
                break
        return at

    def _read_item(self, item: _Item, scope: Scope, depth: int) -> None:
        defined = self._definition(item, depth)
        inner = (*scope, scope_name(defined, self.grammar, self.source)) if defined else scope
        rank = _rank(depth, defined is not None)
        if item.end - item.start <= self.budget * _LIKELY_LONG:
            tokens = counter()(self._piece(item))
            if tokens <= self.budget:
                at = self._character(item.start)
                self.units.append(Unit(at, tokens, rank, _section(inner), starts_exact(self.text, at)))
                return
        first = len(self.units)
        self._open(item, [defined] if defined else item.nodes, inner, depth)
        self._close(first, rank)

    def _close(self, first: int, rank: int) -> None:
        """What was opened and fits after all is whole again: the counts of lines add up."""
        opened = self.units[first:]
        opened[0].rank = rank
        tokens = sum(unit.tokens for unit in opened)
        if tokens <= self.budget and all(unit.exact for unit in opened):
            opened[0].tokens = tokens
            del self.units[first + 1 :]

    def _definition(self, item: _Item, depth: int) -> Node | None:
        found = (definition_of(node, self.grammar) for node in item.nodes)
        return next((node for node in found if node and (not depth or node.type not in _ONLY_AT_TOP)), None)

    def _open(self, item: _Item, nodes: Sequence[Node], scope: Scope, depth: int) -> None:
        """Goes into the nodes until they show more than one line to cut at; lines where they never do."""
        items = [item]
        for _ in range(_DEEPEST):
            if len(items) > 1 or not nodes or depth >= _DEEPEST:
                break
            items = self._items(nodes, nodes[0].start_point[0], item.start, item.end)
            nodes = items[0].nodes
        if len(items) == 1:
            start, end = self._character(item.start), self._character(item.end)
            self.units += line_units(self.text, start, end, _section(scope), self.budget)
            return
        first = len(self.units)
        for inner in items:
            self._read_item(inner, scope, depth + 1)
        self._join_head(first)

    def _join_head(self, first: int) -> None:
        """A signature stays with the first thing after it, unless that is a definition of its own or does not fit."""
        head, after = self.units[first : first + 2]
        if head.section != after.section:
            after.rank = LINE
        elif head.exact and after.exact and head.tokens + after.tokens <= self.budget:
            head.tokens += after.tokens
            del self.units[first + 1]

    def _piece(self, item: _Item) -> str:
        return self.text[item.start : item.end] if self.ascii else self.source[item.start : item.end].decode()

    def _character(self, byte: int) -> int:
        """The character that a byte offset stands for; offsets are asked in rising order."""
        if self.ascii:
            return byte
        known_byte, known = self._known
        known += len(self.source[known_byte:byte].decode())
        self._known = byte, known
        return known


_ONLY_AT_TOP = frozenset({"lexical_declaration"})


def _rank(depth: int, defined: bool) -> int:
    """Outer before inner; between definitions is a good place to cut, between the statements of a body is not."""
    if defined:
        return max(_TOP - 2 * depth, BLOCK)
    return (_TOP - 1, ITEM)[depth] if depth < 2 else LINE


def _last_row(node: Node) -> int:
    row, column = node.end_point
    return row if column else row - 1


def _section(scope: Scope) -> Section:
    return Section(scope, " > ".join(scope))
