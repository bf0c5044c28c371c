"""Source is cut along its syntax: definitions whole where they fit, with what belongs to them and their scope."""

import inspect
import math
import subprocess
import sys

import pytest

from services.chunker.chunking import Chunk
from services.chunker.chunking.imports import Imports
from services.chunker.chunking.languages import language_of
from services.chunker.chunking.remarks import first_sentence
from services.chunker.chunking.tokens import counter
from tests.unit.chunker.sources import DEFINITIONS, LINE
from tests.unit.chunker.texts import chunks_of

_BODY = "        total = first + second * third\n" * 8


def python_class(methods: int) -> str:
    parts = [
        f'    # about m{i}\n    @cached\n    def m{i}(self, x):\n        """Does {i}."""\n{_BODY}\n'
        for i in range(methods)
    ]
    return 'class Foo(Bar):\n    """A class."""\n\n' + "".join(parts)


def starting(chunks: list[Chunk], line: str) -> Chunk:
    return next(c for c in chunks if c.text.startswith(line))


def test_class_that_fits_is_one_chunk_with_its_scope() -> None:
    source = "import os\n\n" + python_class(1) + "\n\n" + python_class(6).replace("Foo", "Long")
    chunks = chunks_of(source, "code", "python")
    assert starting(chunks, "class Foo").anchor == "class Foo"
    assert "def m0" in starting(chunks, "class Foo").text


def test_methods_of_a_long_class_are_whole_under_their_scope() -> None:
    chunks = chunks_of(python_class(9), "code", "python", budget=128)
    methods = [c for c in chunks if c.heading_path[1:]]
    assert len(methods) >= 8
    assert all(c.heading_path[0] == "class Foo" for c in methods)
    assert all(c.text.count("def m") == 1 for c in methods)
    assert all(c.anchor == f"class Foo > def {c.text.split('def ')[1].split('(')[0]}" for c in methods)


def test_comments_and_decorators_stay_with_their_definition() -> None:
    chunks = chunks_of(python_class(9), "code", "python", budget=128)
    assert all("# about m" in c.text.splitlines()[0] for c in chunks if "def m3(" in c.text or "def m7(" in c.text)


def test_function_that_fits_without_its_decorators_alone_is_whole_without_them() -> None:
    decorator = "@only(" + ", ".join(f"'{place}'" for place in "north south east west".split()) + ")\n"
    function = "def walk(steps):\n" + "    take(steps)\n" * 28
    for before in ("", "# Says why.\n"):
        source = f"import os\n\n{before}{decorator}{function}\n\ndef last():\n    return 1\n"
        texts = [c.text for c in chunks_of(source, "code", "python", budget=128)]
        assert any(function in text for text in texts)
        assert any(f"{before}{decorator}" in text for text in texts)


def test_imports_are_a_chunk_of_their_own() -> None:
    head = '"""What this is."""\n\nimport os\nfrom sys import (\n    path,\n)\n\n'
    chunks = chunks_of(head + python_class(6), "code", "python")
    assert chunks[0].text == head
    assert chunks[0].anchor == ""


def test_file_that_fits_is_one_chunk() -> None:
    source = "import os\n\n\ndef f():\n    return os.sep\n"
    assert [c.text for c in chunks_of(source, "code", "python")] == [source]


def test_function_over_the_budget_is_cut_between_statements() -> None:
    source = "def long(first, second, third):\n" + "    call(first,\n         second)\n" * 80
    chunks = chunks_of(source, "code", "python", budget=96)
    assert len(chunks) > 4
    assert all(c.text.startswith("    call(") for c in chunks[1:])
    assert {c.anchor for c in chunks} == {"def long"}


@pytest.mark.parametrize("language", DEFINITIONS)
def test_definition_is_whole_with_its_scope_in(language: str) -> None:
    imports, definition, scope = DEFINITIONS[language]
    other = definition.replace("one", "two").replace("One", "Two")
    chunks = chunks_of(imports + definition + "\n" + other, "code", language, budget=200)
    found = next(c for c in chunks if c.anchor == scope)
    assert found.text == definition + "\n"
    assert chunks[-1].text == other
    assert not imports or chunks[0].text == imports


def test_key_of_json_is_whole_under_its_path() -> None:
    inner = ",\n".join(f'    "key{i}": [\n' + "      1234567,\n" * 12 + "      0\n    ]" for i in range(9))
    chunks = chunks_of(f'{{\n  "first": 1,\n  "all": {{\n{inner}\n  }}\n}}\n', "code", "json", budget=128)
    keys = [c for c in chunks if c.text.startswith('    "key')]
    assert len(keys) == 8
    assert [c.anchor for c in keys] == [f"all > key{i}" for i in range(1, 9)]


def test_characters_of_several_bytes_do_not_shift_the_cuts() -> None:
    source = python_class(9).replace("about", "über 漢字 😀 about")
    chunks = chunks_of(source, "code", "python", budget=160)
    assert all(c.text.startswith("    # über") for c in chunks if c.heading_path[1:])


def test_language_without_a_grammar_is_cut_at_the_margin() -> None:
    block = "service{}:\n  image: one\n" + "  setting: value of it\n" * 9 + "\n"
    chunks = chunks_of("".join(block.format(i) for i in range(20)), "code", "nginx", budget=128)
    assert sum(c.text.startswith("service") for c in chunks) >= 0.8 * len(chunks)


@pytest.mark.parametrize(
    ("path", "language"),
    [
        ("src/app.PY", "python"),
        ("web/App.tsx", "tsx"),
        ("Dockerfile", "dockerfile"),
        ("deploy/Dockerfile.dev", "dockerfile"),
        ("Makefile", "make"),
        ("docs/Guide.mdx", None),
        ("LICENSE", None),
        ("include/a.h", "c"),
        (".gitignore", None),
    ],
)
def test_language_follows_the_file_name(path: str, language: str | None) -> None:
    assert language_of(path) == language


_IMPORTS = "import os\nfrom app.money import Price, tax\nimport app.rare\n\n\n"


def test_method_is_told_what_its_class_says_of_itself_and_a_part_of_it_what_it_says() -> None:
    long = (
        python_class(3).replace("A class.", "Keeps the shop open. And more.")
        + "\n\ndef last():\n"
        + "    call()\n" * 20
    )
    chunks = chunks_of('"""The shop."""\n' + _IMPORTS + long, "code", "python", budget=64)
    methods = [c for c in chunks if c.text.lstrip().startswith("# about m1")]
    assert [c.context.splitlines()[2:] for c in methods] == [["The shop", "Keeps the shop open"]]
    assert "Keeps the shop open" not in starting(chunks, "def last").context
    inside = next(c for c in chunks if c.anchor == "class Foo > def m1" and "def m1" not in c.text)
    assert inside.context.splitlines()[2:] == ["The shop", "Keeps the shop open", "Does 1"]


def test_comment_before_a_definition_is_told_with_what_follows_further_down() -> None:
    body = "".join(f"\tcall{i}(first, second)\n" for i in range(60))
    source = f"// Copyright of somebody.\n\npackage p\n\n// Run does it all. Slowly.\nfunc Run() {{\n{body}}}\n"
    last = chunks_of(source, "code", "go", budget=96)[-1]
    assert last.context.splitlines() == ["Title", "func Run", "Run does it all"]


def test_chunk_is_told_where_the_names_it_uses_come_from() -> None:
    source = _IMPORTS + "def one():\n    return Price(tax)\n" + "\n\ndef two():\n    return osprey\n" * 20
    chunks = chunks_of(source, "code", "python", budget=64)
    assert "app.money" not in chunks[0].context
    assert [c.context.splitlines()[-1] for c in chunks[1:]][:2] == ["app.money", "def two"]
    assert not any("app.rare" in c.context for c in chunks)


@pytest.mark.parametrize(
    ("statement", "name", "module"),
    [
        ("import a.b.c as d", "d", "a.b.c"),
        ("import os, sys", "sys", "sys"),
        ("from .near import (\n    one,  # noqa\n    two,\n)", "two", "near"),
        ("import React, { useState as state } from 'react'", "state", "react"),
        ('import (\n\t"fmt"\n\tyaml "gopkg.in/yaml.v3"\n)', "yaml", "gopkg.in/yaml.v3"),
        ("import java.util.List;", "List", "java.util.List"),
        ("use std::{fs::File, io};", "File", "std"),
        ("use App\\Models\\User as Person;", "Person", "App\\Models\\User"),
    ],
)
def test_name_leads_to_its_module(statement: str, name: str, module: str) -> None:
    imports = Imports([statement])
    assert imports.used_in(f"x = {name}(1)") == module
    assert imports.used_in(f"x{name} = {name}y") == ""


@pytest.mark.parametrize(
    ("comment", "sentence"),
    [
        ("/**\n * Adds two numbers, e.g. these. Then more.\n * @param a\n */\n", "Adds two numbers, e.g. these"),
        ("/// Drops it\n#[inline]\n", "Drops it"),
        ('r"""Raw\n    words.\n\n    More."""', "Raw words"),
        ("// Copyright 2020\n//\n// All rights.\n", ""),
        ("/** @deprecated */", ""),
        ("# noqa: E501\n", ""),
        ("", ""),
    ],
)
def test_first_sentence_of_a_comment_has_no_marks(comment: str, sentence: str) -> None:
    assert first_sentence(comment) == sentence


def test_function_that_fits_only_without_its_comment_is_whole() -> None:
    comment = "/**\n" + " * Words about it, many of them.\n *\n" * 14 + " */\n"
    functions = [f"{comment}export function f{i}(x) {{\n{LINE}}}\n" for i in range(4)]
    chunks = chunks_of("\n".join(functions), "code", "typescript", budget=200)
    assert sum(c.text.startswith("export function") and c.text.rstrip().endswith("}") for c in chunks) == 4
    assert all(c.text.startswith(("/**", "export function", " * Words")) for c in chunks)


def test_statements_without_a_gap_are_cut_apart_only_where_they_must_be() -> None:
    group = "".join(f"    value{i} = call(first, second)\n" for i in range(6))
    source = "def long():\n" + "\n".join(group for _ in range(12))
    chunks = chunks_of(source, "code", "python", budget=128)
    assert all(c.text.lstrip().startswith(("def", "value0 ")) for c in chunks)


@pytest.mark.parametrize("statements", range(30, 120, 7))
def test_function_over_the_budget_goes_into_the_fewest_chunks_that_hold_it(statements: int) -> None:
    body = "".join(f"    value{i} = call(first, second)\n" + "\n" * (i % 7 == 0) for i in range(statements))
    function = f"def long():\n{body}"
    small = "def small():\n    return call(first, second)\n\n\n"
    chunks = chunks_of(f"{small * 3}{function}\n\n{small * 30}", "code", "python", budget=128)
    assert sum(c.text.startswith("    ") for c in chunks) == math.ceil(counter()(function) / 128) - 1


def test_context_is_the_same_in_every_process() -> None:
    """Strings hash by another seed in each, and sets go by their hashes; loaded alone, for that is soon done."""
    program = (
        f"Imports = __import__('runpy').run_path({inspect.getsourcefile(Imports)!r})['Imports']\n"
        "names = ['from a import ' + ', '.join(f'n{i}' for i in range(9)), 'from b import n3, n5', 'import n1 as c']\n"
        "print(Imports(names).used_in(' '.join(f'n{i}' for i in range(9)) + ' c'), list(Imports(names)._module))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-S", "-c", program], env={"PYTHONHASHSEED": seed},
            check=True, capture_output=True, text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }  # fmt: skip
    assert len(told) == 1
