"""Where chunks of source code begin: at the margin, at an indented definition, or inside a body.

A start is its first character that is not blank. It is *indented* if anything stands before it on its line, blanks or
code. It is *inside a body* if it is indented and no definition begins there: neither a function, a class, a method or
another member of a class or interface, nor the decorators and comments that stand directly before one. The tree is
read here with node types of its own, so that a mistake in our grammars cannot hide itself.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from tree_sitter import Node

from services.chunker.chunking.grammars import parse

_DEFINITIONS = {
    "python": {"function_definition", "class_definition", "decorated_definition"},
    "typescript": {
        "function_declaration", "generator_function_declaration", "function_signature", "class_declaration",
        "abstract_class_declaration", "interface_declaration", "type_alias_declaration", "enum_declaration",
        "internal_module", "export_statement", "method_definition", "method_signature", "abstract_method_signature",
        "public_field_definition", "property_signature", "call_signature", "construct_signature", "index_signature",
    },
    "go": {"function_declaration", "method_declaration", "type_declaration", "method_elem"},
}  # fmt: skip
_BEFORE_ONE = {"comment", "decorator"}


class Starts(NamedTuple):
    chunks: int = 0
    indented: int = 0
    inside: int = 0

    def __add__(self, other: object) -> "Starts":
        assert isinstance(other, Starts)
        return Starts(*(ours + theirs for ours, theirs in zip(self, other, strict=True)))


def starts_of(text: str, language: str, offsets: Iterable[int]) -> Starts:
    """`offsets`: the character at which each chunk begins."""
    begins = [_first_seen(text, offset) for offset in offsets]
    indented = [at for at in begins if at and text[at - 1] != "\n"]
    defined = _definition_starts(text, language) if indented else set()
    return Starts(len(begins), len(indented), sum(at not in defined for at in indented))


def _first_seen(text: str, offset: int) -> int:
    return next((at for at in range(offset, len(text)) if not text[at].isspace()), offset)


def _definition_starts(text: str, language: str) -> set[int]:
    source = text.encode()
    root = parse(source, language)
    if root is None:
        return set()
    found = {start for node in _nested(root) for start in _starts(node.named_children, _DEFINITIONS[language])}
    return {len(source[:byte].decode()) for byte in found}


def _nested(root: Node) -> Iterator[Node]:
    open_nodes = [root]
    while open_nodes:
        node = open_nodes.pop()
        yield node
        open_nodes += node.named_children


def _starts(siblings: Sequence[Node], definitions: set[str]) -> Iterator[int]:
    """Every place from the first comment or decorator of a definition to the definition itself."""
    before: list[Node] = []
    for node in siblings:
        if before and node.start_point[0] > before[-1].end_point[0] + 1:
            before = []
        if node.type in definitions:
            yield from (one.start_byte for one in (*before, node))
        before = [*before, node] if node.type in _BEFORE_ONE else []
