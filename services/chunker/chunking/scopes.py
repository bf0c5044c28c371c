"""The name a definition is known by, read from its syntax node: the parts of a scope path."""

from tree_sitter import Node

from services.chunker.chunking.grammars import Grammar

_LONGEST, _LONGEST_READ = 80, 500
_DEEPEST = 8
_QUOTES = "\"'"


def definition_of(node: Node, grammar: Grammar) -> Node | None:
    """The definition that a node is or wraps (decorated, exported, templated)."""
    for _ in range(_DEEPEST):
        type, count = node.type, node.named_child_count
        if type in grammar.definitions:
            return node
        if type not in grammar.wrappers or not count:
            return None
        last = node.named_child(count - 1)
        inner = last if last and last.type in grammar.may_define else node.child_by_field_name("declaration")
        if inner is None:
            return None
        node = inner
    return None


def scope_name(node: Node, grammar: Grammar, source: bytes) -> str:
    """Such as `class Foo`, `def bar`, `func Server.Close`, `impl Drop for Foo`; the word alone if unnamed."""
    word = grammar.definitions[node.type]
    name = _impl_name(node, source) if node.type == "impl_item" else _name(node, source)
    return f"{word} {name.strip(_QUOTES)}".strip()[:_LONGEST]


def _name(node: Node, source: bytes) -> str:
    receiver = node.child_by_field_name("receiver") if node.type == "method_declaration" else None
    prefix = f"{_receiver_type(receiver, source)}." if receiver else ""
    for _ in range(_DEEPEST):
        named = node.child_by_field_name("name") or node.child_by_field_name("key")
        if named:
            return prefix + _text(named, source)
        inner = node.child_by_field_name("declarator") or _declared(node)
        if inner is None:
            return ""
        if "identifier" in inner.type or inner.type in _HEADS:
            return prefix + _text(inner, source)
        node = inner
    return ""


def _declared(node: Node) -> Node | None:
    """What inside a declaration holds its name (`const x = …`, `type T struct …`, `.a > b { … }`, `[table]`)."""
    return next((child for child in node.named_children if child.type in _NAMING), None)


_DECLARATORS = frozenset({"variable_declarator", "type_spec", "type_alias"})
_HEADS = frozenset({"selectors", "feature_query", "keyframes_name", "bare_key", "dotted_key", "quoted_key"})
_NAMING = _DECLARATORS | _HEADS


def _impl_name(node: Node, source: bytes) -> str:
    target, trait = node.child_by_field_name("type"), node.child_by_field_name("trait")
    parts = [_text(part, source) for part in (trait, target) if part]
    return " for ".join(parts)


def _receiver_type(receiver: Node, source: bytes) -> str:
    words = _text(receiver, source).strip("()").split()
    return words[-1].lstrip("*").partition("[")[0] if words else ""


def _text(node: Node, source: bytes) -> str:
    return " ".join(source[node.start_byte : node.end_byte][:_LONGEST_READ].decode(errors="replace").split())
