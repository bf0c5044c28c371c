"""What holds for source of every language, whole, cut off, torn or of odd characters."""

import itertools
import random
from collections.abc import Iterator
from functools import cache

import pytest

from services.chunker.chunking import grammars
from services.chunker.chunking.grammars import GRAMMARS, parse
from tests.support.figures import Tell, sized
from tests.unit.chunker.sources import LINE, SOURCES
from tests.unit.chunker.texts import assert_sound, chunks_of, document, own_files

_ODD = ("\u202e", "\u200b", "\ufeff", "e\u0301", "\u2028", "\x85", "\0", "\t", "😀", "漢字", "\udfff", "\r\n", "\x0c")
_TORN = ("{", "}", "(", ")", "[", "]", '"', "'", "`", "/*", "*/", "//", "#", "\n", "\\", '"""', "<", ">", ":", "    ")


def mutations(source: str, count: int, seed: int) -> Iterator[str]:
    """The source cut off somewhere, with parts taken out, doubled, or with what opens, closes and confuses put in."""
    chance = random.Random(seed)
    for _ in range(count):
        text = source[chance.randrange(len(source) // 2) :][: chance.randint(1, 1_200)]
        for _ in range(chance.randint(0, 6)):
            at, end = sorted((chance.randrange(len(text) + 1), chance.randrange(len(text) + 1)))
            match chance.randrange(4):
                case 0:
                    text = text[:at] + text[min(end, at + 40) :]
                case 1:
                    text = text[:at] + text[at : at + 200] + text[at:]
                case 2:
                    text = text[:at] + chance.choice(_ODD) * chance.randint(1, 3) + text[at:]
                case _:
                    text = text[:at] + chance.choice(_TORN) * chance.choice((1, 1, 2, 30)) + text[at:]
        yield text


@cache
def _count() -> int:
    return sized(20, 10_000)


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("language", GRAMMARS)
def test_torn_source_joins_back_within_the_budget(language: str, figure: Tell) -> None:
    sound = 0
    for number, text in enumerate(mutations(SOURCES[language], _count(), seed=len(language))):
        assert_sound(document(text, "code", language), (16, 40, 128)[number % 3])
        sound += 1
    figure(f"A24_code_{language}", sound, "texts", _count())


def test_comment_on_the_line_of_what_it_belongs_to_stays_there() -> None:
    functions = "".join(f"/* é {i} */ int f{i}(int x) {{\n{LINE}}}\n" for i in range(9))
    chunks = assert_sound(document(functions, "code", "c"), 100)
    assert all(one.text.startswith(("/* é", "    value")) for one in chunks)


def test_text_that_ends_where_something_is_missing_has_no_empty_chunk() -> None:
    assert_sound(document("def f():\n    if strong and at[", "code", "python"), 16)
    assert_sound(document("int f() {\n    return 1 +\n    g(a,\n", "code", "c"), 16)


@pytest.mark.parametrize(("language", "piece"), [("cpp", 'a<b<"\n'), ("javascript", "/* "), ("typescript", "/* \n")])
def test_source_too_broken_to_parse_falls_back_to_lines(language: str, piece: str) -> None:
    source = piece * (100_000 // len(piece))
    chunks = chunks_of(source, "code", language)
    assert "".join(c.text for c in chunks) == source
    assert {c.anchor for c in chunks} == {""}


def test_error_at_every_token_is_given_up_while_it_is_cheap() -> None:
    assert parse(b'{"a":' * 12_000, "rust") is None
    assert parse(b"fn f(a: &str) -> u8 {\n    a.len() as u8\n}\n" * 5_000, "rust") is not None


def test_parser_that_takes_too_long_for_its_steps_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    source = b"def f():\n    return 1\n" * 2_000
    assert parse(source, "python") is not None
    seconds = itertools.count(1, step=2)
    monkeypatch.setattr(grammars, "thread_time", lambda: next(seconds))
    assert parse(source, "python") is None


def test_parser_that_is_stopped_between_two_bytes_of_a_character_ends_no_process() -> None:
    assert parse("@a async @:é".encode() * 1_000, "kotlin") is None


def test_most_chunks_of_own_sources_begin_at_a_definition_or_the_margin() -> None:
    chunks = [
        c
        for path in own_files(".py")
        if "services/chunker" in str(path)
        for c in chunks_of(path.read_text(), "code", "python")
    ]
    words = ("def ", "class ", "async def ", "@", "#", '"""')
    inside = [c for c in chunks if c.text[0] == " " and not c.text.lstrip().startswith(words)]
    assert len(inside) <= 0.2 * len(chunks)


@pytest.mark.parametrize("piece", ["- ", "? ", "- ? ", "- &a ", ": "])
def test_yaml_nested_deeper_than_its_scanner_holds_ends_no_process(piece: str) -> None:
    assert_sound(document(piece * 1_000 + "x\n", "code", "yaml"), 64)


def test_yaml_nested_as_deep_as_people_nest_is_parsed() -> None:
    assert parse(b"- " * 40 + b"x\n", "yaml") is not None
    assert parse(b"".join(b"%sa:\n%s- b:\n" % (b" " * i, b" " * i) for i in range(97)), "yaml") is not None
