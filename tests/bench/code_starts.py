"""Where chunks of source code begin: at the margin, at an indented definition, or inside a body.

A start is its first character that is not blank. It is *indented* if anything stands before it on its line, blanks or
code. It is *inside a body* if it is indented and no definition begins there: neither a function, a class, a method or
another member of a class or interface, nor the decorators and comments that stand directly before one. The tree is
read here with node types of its own, so that a mistake in our grammars cannot hide itself.

Functions longer than a chunk are cut, whoever cuts: `forced` is how many starts their lengths alone ask for. A function
that would fit and has a start inside is *torn*. Both by whole lines. A closure counts as a function for the first only:
it is a statement of the function around it, which may have to be cut there.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from tree_sitter import Node

from services.chunker.chunking.grammars import parse
from services.chunker.chunking.tokens import counter

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
_FUNCTIONS = {
    "python": {"function_definition"},
    "typescript": {"function_declaration", "generator_function_declaration", "method_definition"},
    "go": {"function_declaration", "method_declaration"},
}
_CLOSURES = {"arrow_function", "function_expression", "func_literal"}


class Starts(NamedTuple):
    chunks: int = 0
    indented: int = 0
    inside: int = 0
    forced: int = 0
    torn: int = 0

    def __add__(self, other: object) -> "Starts":
        assert isinstance(other, Starts)
        return Starts(*(ours + theirs for ours, theirs in zip(self, other, strict=True)))


class _Function(NamedTuple):
    start: int
    end: int
    tokens: int
    closure: bool


def starts_of(text: str, language: str, offsets: Iterable[int], budget: int) -> Starts:
    """`offsets`: the character at which each chunk begins."""
    begins = [_first_seen(text, offset) for offset in offsets]
    indented = [at for at in begins if at and text[at - 1] != "\n"]
    root = parse(text.encode(), language) if len(begins) > 1 else None
    if root is None:
        return Starts(len(begins), len(indented), len(indented))
    characters = _characters(text)
    defined = {characters[byte] for byte in _definition_starts(root, language)}
    functions = list(_functions(root, text, characters, language))
    inside = sum(at not in defined for at in indented)
    return Starts(len(begins), len(indented), inside, _forced(functions, budget), _torn(functions, begins, budget))


def _characters(text: str) -> Sequence[int]:
    """The character that stands at each byte."""
    if text.isascii():
        return range(len(text) + 1)
    return [i for i, sign in enumerate(text) for _ in sign.encode()] + [len(text)]


def _functions(root: Node, text: str, characters: Sequence[int], language: str) -> Iterator[_Function]:
    """Of more than a line, the outer before the inner."""
    for node in _nested(root):
        closure = node.type in _CLOSURES
        if (closure or node.type in _FUNCTIONS[language]) and node.end_point[0] > node.start_point[0]:
            start, end = characters[node.start_byte], characters[node.end_byte]
            line = text.rfind("\n", 0, start) + 1
            yield _Function(start, end, counter()(text[line:end]), closure)


def _forced(functions: Sequence[_Function], budget: int) -> int:
    """A chunk fewer than a function needs begins inside of it."""
    forced = reached = 0
    for one in sorted(functions):
        if one.start >= reached:
            reached = one.end
            forced += -(-one.tokens // budget) - 1
    return forced


def _torn(functions: Sequence[_Function], begins: Sequence[int], budget: int) -> int:
    whole = [one for one in functions if one.tokens <= budget and not one.closure]
    return sum(bisect_left(begins, one.start + 1) < bisect_left(begins, one.end) for one in whole)


def _first_seen(text: str, offset: int) -> int:
    return next((at for at in range(offset, len(text)) if not text[at].isspace()), offset)


def _definition_starts(root: Node, language: str) -> set[int]:
    return {start for node in _nested(root) for start in _starts(node.named_children, _DEFINITIONS[language])}


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
