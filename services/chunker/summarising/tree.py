"""One source's part of the summary tree: its sections by heading, each made only from what stands below it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Literal

import msgspec

from services.chunker.chunking import Chunk
from services.chunker.summarising.plain_text import LONGEST_TITLE, as_text

Level = Literal["part", "section", "source", "group", "resource", "integration", "workspace"]
Summarise = Callable[[str], str]

EXTRACTIVE = "extractive"
WIDEST = 64  # children of a node; more of them are grouped first
LARGEST = 2 * WIDEST  # of a group: so large that hardly one ends by its size, which would move all after it
_ENDS = 24  # one child in so many ends a group


class Written(msgspec.Struct, frozen=True):
    """A node's words and how they came to be; `note` says why not the better way."""

    text: str
    method: str = EXTRACTIVE
    note: str = ""


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """`input_hash` is of what it was made from, `hash` of what it says: a parent is made from the hashes below it.

    `chunk_ids` are those it read itself; nodes below read theirs.
    """

    id: str
    level: Level
    parent_id: str | None
    height: int
    place: str
    title: str
    anchor: str
    written: Written
    input_hash: str
    hash: str
    chunk_ids: tuple[str, ...]
    children: int


def node_id(level: Level, key: str) -> str:
    return f"{level}:{key}"


def text_hash(title: str, text: str) -> str:
    return digest(title, text)


def input_hash(level: str, title: str, hashes: Sequence[str]) -> str:
    return digest(level, title, *hashes)


def digest(*parts: str) -> str:
    return sha256("\0".join(parts).encode()).hexdigest()[:32]


class _Branch:
    """A heading, what stands directly under it, and the headings below."""

    def __init__(self, path: tuple[str, ...], anchor: str) -> None:
        self.path, self.anchor = path, anchor
        self.chunks: list[Chunk] = []
        self.below: dict[str, _Branch] = {}

    def at(self, chunk: Chunk) -> _Branch:
        found = self
        for depth in range(len(self.path), len(chunk.heading_path)):
            name = chunk.heading_path[depth]
            if name not in found.below:
                found.below[name] = _Branch(chunk.heading_path[: depth + 1], chunk.anchor)
            found = found.below[name]
        return found


class _Child(msgspec.Struct, frozen=True):
    """What a node is made from: a chunk or a node. `key` stays while the rest around it changes."""

    key: str
    hash: str
    text: str
    height: int = 0
    chunk_id: str = ""
    node: int = -1


def source_tree(
    source_id: str, title: str, chunks: Sequence[Chunk], summarise: Summarise, known: Mapping[str, Written]
) -> tuple[Node, ...]:
    """The source first, then its sections; none for no chunks. `known` holds earlier texts by their input's hash."""
    if not chunks:
        return ()
    paths = [chunk.heading_path for chunk in chunks]
    # A lone title above everything is the source itself: the sections are the headings below it.
    lone = paths[0][:1] if all(path[:1] == paths[0][:1] for path in paths) else ()
    root = _Branch(lone, "")
    for chunk in chunks:
        root.at(chunk).chunks.append(chunk)
    planting = _Planting(source_id, summarise, known)
    planting.plant(root, "source", as_text(title, LONGEST_TITLE))
    return tuple(reversed(planting.nodes))


def outline_node(
    source_id: str, title: str, chunks: Sequence[Chunk], outline: str, known: Mapping[str, Written]
) -> tuple[Node, ...]:
    """The one node of a source file: its outline says more of it than sentences would."""
    if not chunks:
        return ()
    title = as_text(title, LONGEST_TITLE)
    hashed = input_hash("source", title, [text_hash("", chunk.text) for chunk in chunks])
    written = known.get(hashed) or Written(as_text(outline))
    node = Node(
        id=node_id("source", source_id),
        level="source",
        parent_id=None,
        height=1,
        place="",
        title=title,
        anchor="",
        written=written,
        input_hash=hashed,
        hash=text_hash(title, written.text),
        chunk_ids=tuple(chunk.id for chunk in chunks),
        children=len(chunks),
    )
    return (node,)


class _Planting:
    """Nodes from the leaves up: whoever is made reads what was made before it."""

    def __init__(self, source_id: str, summarise: Summarise, known: Mapping[str, Written]) -> None:
        self.source_id, self.summarise, self.known = source_id, summarise, known
        self.nodes: list[Node] = []

    def plant(self, branch: _Branch, level: Level, title: str) -> _Child:
        children = [_Child(one.id, text_hash("", one.text), one.readable, chunk_id=one.id) for one in branch.chunks]
        children += [self.plant(below, "section", as_text(name, LONGEST_TITLE)) for name, below in branch.below.items()]
        key = self.source_id if level == "source" else digest(self.source_id, *branch.path)
        return self._made(level, key, title, branch.anchor, self._grouped(children, key, title))

    def _grouped(self, children: list[_Child], key: str, title: str) -> list[_Child]:
        """So many that no node reads more than WIDEST; where groups end is said by the child that ends one."""
        while len(children) > WIDEST:
            groups = groups_of(children)
            children = [self._made("part", digest(key, group[-1].key), title, "", group) for group in groups]
        return children

    def _made(self, level: Level, key: str, title: str, anchor: str, children: Sequence[_Child]) -> _Child:
        hashed = input_hash(level, title, [child.hash for child in children])
        written = self.known.get(hashed) or Written(as_text(self.summarise(_read(children))))
        node = Node(
            id=node_id(level, key),
            level=level,
            parent_id=None,
            height=1 + max(child.height for child in children),
            place="",
            title=title,
            anchor=anchor,
            written=written,
            input_hash=hashed,
            hash=text_hash(title, written.text),
            chunk_ids=tuple(child.chunk_id for child in children if child.chunk_id),
            children=len(children),
        )
        self._adopt(node.id, children)
        self.nodes.append(node)
        return _Child(digest("key", key), node.hash, written.text, node.height, node=len(self.nodes) - 1)

    def _adopt(self, parent: str, children: Sequence[_Child]) -> None:
        for place, child in enumerate(children):
            if child.node >= 0:
                own = self.nodes[child.node]
                self.nodes[child.node] = msgspec.structs.replace(own, parent_id=parent, place=f"{place:06d}")


def groups_of(children: Sequence[_Child]) -> Iterator[list[_Child]]:
    """Ends are found by content: an edit moves at most the ends that its own children were."""
    group: list[_Child] = []
    for child in children:
        group.append(child)
        if int(digest("end", child.key)[:8], 16) % _ENDS == 0 or len(group) == LARGEST:
            yield group
            group = []
    if group:
        yield group


def _read(children: Sequence[_Child]) -> str:
    """Chunks join as they stand in the text; what nodes say are paragraphs of their own."""
    return "".join(child.text if child.chunk_id else f"\n\n{child.text}\n\n" for child in children)
