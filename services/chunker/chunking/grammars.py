"""The grammars at hand and the node types that matter in each; a grammar is loaded when its language is first met."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from time import thread_time
from typing import NamedTuple

from tree_sitter import Language, Node, Parser


@dataclass(frozen=True)
class Grammar:
    """`definitions`: node type to the word its scope begins with. `leads`: what stands before and belongs to it."""

    module: str
    definitions: Mapping[str, str]
    imports: frozenset[str]
    leads: frozenset[str] = frozenset({"comment"})
    wrappers: frozenset[str] = frozenset()
    function: str = "language"
    docstrings: bool = False
    swallowed: bytes = b""  # what opens a comment that the tree gives to the node before it
    fatal: re.Pattern[bytes] | None = None  # what the parser dies of, and the process with it

    @cached_property
    def inner_definitions(self) -> frozenset[str]:
        """What is a definition also inside another one."""
        return frozenset(self.definitions) - {"lexical_declaration"}

    @cached_property
    def may_define(self) -> frozenset[str]:
        return self.wrappers.union(self.definitions)


COMMENTS = frozenset({"comment", "line_comment", "block_comment", "multiline_comment"})
_ECMASCRIPT = {
    "function_declaration": "function",
    "generator_function_declaration": "function",
    "class_declaration": "class",
    "abstract_class_declaration": "class",
    "method_definition": "method",
    "lexical_declaration": "const",
    "interface_declaration": "interface",
    "type_alias_declaration": "type",
    "enum_declaration": "enum",
    "internal_module": "namespace",
    "module": "module",
}


def _ecmascript(module: str, function: str = "language") -> Grammar:
    return Grammar(
        module,
        _ECMASCRIPT,
        imports=frozenset({"import_statement"}),
        leads=frozenset({"comment", "decorator", "hash_bang_line"}),
        wrappers=frozenset({"export_statement", "ambient_declaration", "expression_statement"}),
        function=function,
    )


_C = {
    "function_definition": "function",
    "struct_specifier": "struct",
    "union_specifier": "union",
    "enum_specifier": "enum",
    "type_definition": "typedef",
}

GRAMMARS: Mapping[str, Grammar] = {
    "python": Grammar(
        "tree_sitter_python",
        {"function_definition": "def", "class_definition": "class"},
        frozenset({"import_statement", "import_from_statement", "future_import_statement"}),
        wrappers=frozenset({"decorated_definition"}),
        docstrings=True,
    ),
    "javascript": _ecmascript("tree_sitter_javascript"),
    "typescript": _ecmascript("tree_sitter_typescript", "language_typescript"),
    "tsx": _ecmascript("tree_sitter_typescript", "language_tsx"),
    "go": Grammar(
        "tree_sitter_go",
        {"function_declaration": "func", "method_declaration": "func", "type_declaration": "type"},
        frozenset({"package_clause", "import_declaration"}),
    ),
    "java": Grammar(
        "tree_sitter_java",
        {
            "class_declaration": "class",
            "interface_declaration": "interface",
            "enum_declaration": "enum",
            "record_declaration": "record",
            "annotation_type_declaration": "@interface",
            "method_declaration": "method",
            "constructor_declaration": "constructor",
        },
        frozenset({"package_declaration", "import_declaration"}),
        leads=frozenset({"line_comment", "block_comment"}),
    ),
    "rust": Grammar(
        "tree_sitter_rust",
        {
            "function_item": "fn",
            "struct_item": "struct",
            "enum_item": "enum",
            "union_item": "union",
            "trait_item": "trait",
            "impl_item": "impl",
            "mod_item": "mod",
            "macro_definition": "macro",
            "type_item": "type",
        },
        frozenset({"use_declaration", "extern_crate_declaration"}),
        leads=frozenset({"line_comment", "block_comment", "attribute_item"}),
    ),
    "c": Grammar("tree_sitter_c", _C, frozenset({"preproc_include"}), wrappers=frozenset({"linkage_specification"})),
    "cpp": Grammar(
        "tree_sitter_cpp",
        {**_C, "class_specifier": "class", "namespace_definition": "namespace"},
        frozenset({"preproc_include", "using_declaration"}),
        wrappers=frozenset({"template_declaration", "linkage_specification"}),
    ),
    "ruby": Grammar(
        "tree_sitter_ruby",
        {"class": "class", "module": "module", "method": "def", "singleton_method": "def"},
        frozenset(),
    ),
    "bash": Grammar("tree_sitter_bash", {"function_definition": "function"}, frozenset()),
    "csharp": Grammar(
        "tree_sitter_c_sharp",
        {
            "namespace_declaration": "namespace",
            "class_declaration": "class",
            "interface_declaration": "interface",
            "struct_declaration": "struct",
            "enum_declaration": "enum",
            "record_declaration": "record",
            "delegate_declaration": "delegate",
            "constructor_declaration": "constructor",
            "method_declaration": "method",
        },
        frozenset({"using_directive"}),
    ),
    "php": Grammar(
        "tree_sitter_php",
        {
            "class_declaration": "class",
            "interface_declaration": "interface",
            "trait_declaration": "trait",
            "enum_declaration": "enum",
            "function_definition": "function",
            "method_declaration": "method",
        },
        frozenset({"namespace_definition", "namespace_use_declaration"}),
        function="language_php",
    ),
    "kotlin": Grammar(
        "tree_sitter_kotlin",
        {
            "class_declaration": "class",
            "object_declaration": "object",
            "companion_object": "companion object",
            "function_declaration": "fun",
        },
        frozenset({"package_header", "import"}),
        leads=frozenset({"line_comment", "block_comment"}),
    ),
    "css": Grammar(
        "tree_sitter_css",
        {
            "rule_set": "",
            "media_statement": "@media",
            "supports_statement": "@supports",
            "keyframes_statement": "@keyframes",
        },
        frozenset({"import_statement"}),
    ),
    "json": Grammar("tree_sitter_json", {"pair": ""}, frozenset()),
    "toml": Grammar("tree_sitter_toml", {"table": "", "table_array_element": ""}, frozenset(), swallowed=b"#"),
    # Its scanner keeps every open indentation in a buffer that some 250 of them overrun. Two may stand at a column, and
    # none beyond what a line opens with.
    "yaml": Grammar(
        "tree_sitter_yaml",
        {"block_mapping_pair": ""},
        frozenset(),
        swallowed=b"#",
        fatal=re.compile(rb"^(?:[ \t]|[-?:](?=\s)|[&!]\S*+){100}", re.MULTILINE),
    ),
}


# A parser that recovers from errors all the way costs 50 times an ordinary one, and one that looks for the end of each
# of many comments reads the rest of the file each time. Both are counted in its own steps and reads, so that giving up
# depends on the text and never on the clock: a hundred bytes a step and more is what people write. Only what a grammar
# of large tables spends inside a step (C#, an error at every token) is counted nowhere, and ends by the processor's
# time, seven times as much as 256 kB of any source take.
LARGEST, _READ = 256 * 1024, 4096
_SPARE_STEPS, _BYTES_A_STEP = 1000, 80
_SPARE_BYTES, _TIMES_READ = 1024 * 1024, 40
_MOST_SECONDS, _STEPS_A_LOOK = 0.75, 64


@cache
def _language(name: str) -> Language:
    grammar = GRAMMARS[name]
    return Language(getattr(import_module(grammar.module), grammar.function)())


class Kinds(NamedTuple):
    """What `Node.kind_id` is of the types that matter: a number costs less than the name it stands for."""

    leads: frozenset[int]
    comments: frozenset[int]
    wrappers: frozenset[int]
    definitions: frozenset[int]
    inner_definitions: frozenset[int]


@cache
def kinds(language: str) -> Kinds:
    grammar, known = GRAMMARS[language], _language(language)
    names = [known.node_kind_for_id(id) for id in range(known.node_kind_count)]
    wanted = (grammar.leads, COMMENTS, grammar.wrappers, grammar.definitions, grammar.inner_definitions)
    return Kinds(*(frozenset(id for id, name in enumerate(names) if name in some) for some in wanted))


def parse(source: bytes, language: str) -> Node | None:
    """The root of the syntax tree, or None for sources too large or too broken to be worth one."""
    fatal = GRAMMARS[language].fatal
    if len(source) > LARGEST or (fatal and fatal.search(source)):
        return None
    work = _Work(source)
    try:
        tree = Parser(_language(language)).parse(work.read, progress_callback=work.too_hard)
    except ValueError:  # how the binding reports that the callback stopped it
        return None
    return None if work.left < 0 else tree.root_node


class _Work:
    def __init__(self, source: bytes) -> None:
        self._source, self._steps, self._began = source, 0, 0.0
        self.left = _SPARE_BYTES + _TIMES_READ * len(source)

    def read(self, offset: int, _point: object) -> bytes:
        """Whole characters: of one that is cut off the parser asks for the rest, and dies where there is none left."""
        end = offset + _READ
        while end < len(self._source) and self._source[end] & 0xC0 == 0x80:
            end -= 1
        piece = self._source[offset:end]
        self.left -= len(piece)
        return piece if self.left >= 0 else b""

    def too_hard(self, offset: int, _has_error: bool) -> bool:
        self._steps += 1
        steps = _SPARE_STEPS + offset // _BYTES_A_STEP
        return self.left < 0 or self._steps > steps or (not self._steps % _STEPS_A_LOOK and self._too_long())

    def _too_long(self) -> bool:
        """The clock costs as much as a step, so it is looked at now and then: for most files never."""
        now = thread_time()
        self._began = self._began or now
        return now - self._began > _MOST_SECONDS
