"""What a source file is about, in its own terms: what its top says, then its symbols with their first sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tree_sitter import Node

from services.chunker.chunking.grammars import GRAMMARS, Grammar, parse
from services.chunker.chunking.scopes import definition_of, scope_name
from services.chunker.summarising.extractive import summarise

_LONGEST = 1200
_LONGEST_SAID, _LONGEST_READ = 160, 2000
_DEEPEST = 2  # a file's own definitions and those inside its classes
_CONTAINERS = ("class", "interface", "impl", "trait", "module", "namespace", "struct", "mod", "enum")
_MARKS = re.compile(r"^[ \t]*(?:/\*+!?|\*+/|\*+(?=\s|$)|//+[/!]?|#+!?|--+)|\*+/[ \t]*$", re.MULTILINE)
_QUOTES = re.compile(r"^[rRuUbB]{0,2}(\"\"\"|'''|\"|')(.*?)\1?$", re.DOTALL)
_FIRST_SENTENCE = re.compile(r"(.+?[.!?。])(?:\s|$)|(.+?)(?:\n[ \t]*\n|$)", re.DOTALL)


def code_outline(text: str, language: str | None) -> str:
    """Its lines are joined by blanks; a file without a grammar or definitions gives its beginning."""
    source = text.encode()
    root = parse(source, language) if language and language in GRAMMARS else None
    if root is None or language is None:
        return summarise(text)
    lines = [said for said in (_about(root, source),) if said]
    length = 0
    for line in _symbols(root, GRAMMARS[language], source, 0):
        length += len(line) + 2
        if length > _LONGEST:
            break
        lines.append(line)
    return " ".join(lines) or summarise(text)


def _symbols(node: Node, grammar: Grammar, source: bytes, depth: int) -> Iterator[str]:
    """Such as `class Relay: Publishes rows in order.`, then its methods."""
    lead: list[Node] = []
    for child in node.named_children:
        if child.type in grammar.leads:
            lead = [*lead, child] if child.type.endswith("comment") else lead
            continue
        found = definition_of(child, grammar)
        if found is not None:
            name = scope_name(found, grammar, source)
            said = _docstring(found, source) or _comment(lead, child, source)
            yield f"{name}: {said}" if said else f"{name};"
            if depth + 1 < _DEEPEST and name.split(" ", 1)[0] in _CONTAINERS:
                yield from _inner(found, grammar, source, depth + 1)
        lead = []


def _inner(node: Node, grammar: Grammar, source: bytes, depth: int) -> Iterator[str]:
    body = node.child_by_field_name("body")
    if body is not None:
        yield from _symbols(body, grammar, source, depth)


def _about(root: Node, source: bytes) -> str:
    """The docstring or the comment that the file begins with."""
    first = root.named_children[0] if root.named_child_count else None
    if first is None:
        return ""
    if "comment" in first.type:
        run = [first]
        for node in root.named_children[1:]:
            if "comment" not in node.type or node.start_point[0] > run[-1].end_point[0] + 1:
                break
            run.append(node)
        return _said(_read(run, source))
    return _string(first, source)


def _docstring(definition: Node, source: bytes) -> str:
    body = definition.child_by_field_name("body")
    if body is None or not body.named_child_count:
        return ""
    return _string(body.named_children[0], source)


def _string(node: Node, source: bytes) -> str:
    """The words of a statement that is nothing but a string."""
    if node.type == "expression_statement" and node.named_child_count == 1:
        node = node.named_children[0]
    if node.type != "string":
        return ""
    found = _QUOTES.match(_read([node], source).strip())
    return _said(found[2]) if found else ""


def _comment(lead: Sequence[Node], node: Node, source: bytes) -> str:
    """The comments right above a definition, if no blank line parts them from it."""
    if not lead or lead[-1].end_point[0] + 1 < node.start_point[0]:
        return ""
    return _said(_read(lead, source))


def _read(nodes: Sequence[Node], source: bytes) -> str:
    return source[nodes[0].start_byte : nodes[-1].end_byte][:_LONGEST_READ].decode(errors="replace")


def _said(raw: str) -> str:
    text = _MARKS.sub("", raw).strip()
    found = _FIRST_SENTENCE.match(text)
    said = " ".join((found[1] or found[2]).split()) if found else ""
    return said if len(said) <= _LONGEST_SAID else said[:_LONGEST_SAID].rpartition(" ")[0] + " …"
