"""Sibling nodes by the lines they start on: the places where source code can be cut without tearing a line."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tree_sitter import Node

from services.chunker.chunking.grammars import COMMENTS, Grammar


class Item(NamedTuple):
    """Nodes that start on one line, with the comments and attributes before them: bytes `start` to `end`.

    `bare` is where the comments end. Plain statements of one kind, a line each and no gap between them, are one item.
    """

    start: int
    bare: int
    end: int
    nodes: list[Node]


class Siblings:
    def __init__(self, source: bytes, grammar: Grammar) -> None:
        self._source, self._grammar = source, grammar

    def of_file(self, root: Node) -> list[Item]:
        return list(self._items([root], 0, (0, len(self._source)), frozenset(self._grammar.definitions)))

    def inside(self, nodes: Sequence[Node], start: int, end: int) -> list[Item]:
        """The children of the nodes; those that start on the first node's line belong to the first item."""
        row_end = self._row_end(nodes[0].start_byte + 1)
        return list(self._items(nodes, row_end, (start, end), self._grammar.inner_definitions))

    def _items(
        self, nodes: Sequence[Node], row_end: int, span: tuple[int, int], apart: frozenset[str]
    ) -> Iterator[Item]:
        leads, comments = self._grammar.leads, COMMENTS
        (start, end), bare_start = span, span[0]
        inner: list[Node] = []
        lead = bare = -1
        alike = ""
        for child in (child for node in nodes for child in node.named_children):
            begins, ends, type = child.start_byte, child.end_byte, child.type
            if begins >= end:  # missing at the end of the text, or a comment that is the next item's
                continue
            if begins >= row_end and bare < 0:
                line = self._line_start(row_end, begins)
                lead = self._with_comments(line, start) if lead < 0 else lead
                bare = line if type not in comments else bare
            if type not in leads:
                bare = lead if bare < 0 else bare  # a comment that ends on the line of what it belongs to
                line_alone = lead >= 0 and self._source.find(b"\n", begins, ends) < 0
                if lead > start and not (line_alone and type == alike and bare == lead == row_end):
                    yield Item(start, bare_start, lead, inner)
                    start, bare_start, inner = lead, bare, []
                elif bare > start and not inner:
                    bare_start = bare
                inner.append(child)
                alike = type if line_alone and type not in apart else ""
                lead = bare = -1
            if ends > row_end:
                row_end = self._row_end(ends)
        if lead > start:
            yield Item(start, bare_start, lead, inner)
            start, bare_start, inner = lead, lead, []
        yield Item(start, bare_start, end, inner)

    def _line_start(self, row_end: int, byte: int) -> int:
        """Where the line begins that holds the byte, on which nothing else stands."""
        return self._source.rfind(b"\n", max(row_end - 1, 0), byte) + 1 or row_end

    def _with_comments(self, line: int, start: int) -> int:
        """The line, or the first of the comments right above it."""
        mark = self._grammar.swallowed
        while mark and line > start:
            above = self._source.rfind(b"\n", start, line - 1) + 1 or start
            if not self._source[above:line].lstrip().startswith(mark):
                break
            line = above
        return line

    def _row_end(self, byte: int) -> int:
        """Where the line ends that holds the byte before this one."""
        return self._source.find(b"\n", byte - 1) + 1 or len(self._source)
