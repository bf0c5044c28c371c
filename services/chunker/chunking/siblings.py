"""Sibling nodes by the lines they start on: the places where source code can be cut without tearing a line."""

from collections.abc import Sequence

import msgspec
from tree_sitter import Node

from services.chunker.chunking.grammars import GRAMMARS, kinds


class Item(msgspec.Struct, frozen=True, gc=False):
    """Nodes that start on one line, with the comments and attributes before them: bytes `start` to `end`.

    `bare` is where the comments end. Plain statements of one kind, a line each and no gap between them, are one item.
    `defining` are the nodes that may be or hold a definition.
    """

    start: int
    bare: int
    end: int
    nodes: list[Node]
    defining: tuple[Node, ...] = ()


class Siblings:
    def __init__(self, source: bytes, language: str) -> None:
        self._source, self._kinds, self._swallowed = source, kinds(language), GRAMMARS[language].swallowed

    def of_file(self, root: Node) -> list[Item]:
        return self._items(root.named_children, 0, (0, len(self._source)), self._kinds.definitions)

    def inside(self, nodes: Sequence[Node], start: int, end: int) -> list[Item]:
        """The children of the nodes; those that start on the first node's line belong to the first item."""
        row_end = self._row_end(nodes[0].start_byte + 1)
        children = (
            nodes[0].named_children if len(nodes) == 1 else [one for node in nodes for one in node.named_children]
        )
        if children and children[-1].start_byte < row_end:
            leads = self._kinds.leads
            return [Item(start, start, end, [one for one in children if one.kind_id not in leads])]
        return self._items(children, row_end, (start, end), self._kinds.inner_definitions)

    def _items(
        self, children: Sequence[Node], row_end: int, span: tuple[int, int], definitions: frozenset[int]
    ) -> list[Item]:
        """One pass over the children; every call it saves is saved for each node of a file."""
        source, (leads, comments, wrappers, _, _) = self._source, self._kinds
        find, rfind, size = source.find, source.rfind, len(source)
        (start, end), bare_start = span, span[0]
        items: list[Item] = []
        inner: list[Node] = []
        defining: list[Node] = []
        lead = bare = -1
        alike = None
        for child in children:
            begins, ends, kind = child.start_byte, child.end_byte, child.kind_id
            if begins >= end:  # missing at the end of the text, or a comment that is the next item's
                continue
            if begins >= row_end and bare < 0:
                line = rfind(b"\n", row_end and row_end - 1, begins) + 1 or row_end
                lead = self._with_comments(line, start) if lead < 0 else lead
                bare = line if kind not in comments else bare
            if kind not in leads:
                bare = lead if bare < 0 else bare  # a comment that ends on the line of what it belongs to
                line_alone = lead >= 0 and find(b"\n", begins, ends) < 0
                if lead > start and not (line_alone and kind == alike and bare == lead == row_end):
                    items.append(Item(start, bare_start, lead, inner, tuple(defining)))
                    start, bare_start, inner, defining = lead, bare, [], []
                elif bare > start and not inner:
                    bare_start = bare
                inner.append(child)
                defines = kind in definitions
                if defines or kind in wrappers:
                    defining.append(child)
                alike = kind if line_alone and not defines else None
                lead = bare = -1
            if ends > row_end:
                row_end = find(b"\n", ends - 1) + 1 or size
        if lead > start:
            items.append(Item(start, bare_start, lead, inner, tuple(defining)))
            start, bare_start, inner, defining = lead, lead, [], []
        items.append(Item(start, bare_start, end, inner, tuple(defining)))
        return items

    def _with_comments(self, line: int, start: int) -> int:
        """The line, or the first of the comments right above it."""
        mark = self._swallowed
        while mark and line > start:
            above = self._source.rfind(b"\n", start, line - 1) + 1 or start
            if not self._source[above:line].lstrip().startswith(mark):
                break
            line = above
        return line

    def _row_end(self, byte: int) -> int:
        """Where the line ends that holds the byte before this one."""
        return self._source.find(b"\n", byte - 1) + 1 or len(self._source)
