"""What a file imports, so that a chunk can say where the names that it uses come from."""

import re
from collections.abc import Iterable, Iterator

_QUOTED = re.compile(r"[\"'<]([^\"'<>\n]+)[\"'>]")
_PATH = re.compile(r"\w+(?:(?:\.|::|\\)\w+)*")
_EXTENSION = re.compile(r"\.\w+\Z")
_COMMENT = re.compile(r"(?:(?<!:)//|#(?!include|import)).*")
_KEYWORDS = frozenset(
    b"as const crate default extern from function global import include package pub require self static type use"
    b" using".split()
)
_LONGEST_READ, _LONGEST, _MOST = 2000, 160, 6
_FEW = 12
# By bytes, which is twice as fast as by characters; what is not ASCII may be part of a name.
_IN_WORD = frozenset(byte for byte in range(256) if byte > 127 or chr(byte).isalnum() or byte == ord("_"))
_WORDS_ONLY = bytes(byte if byte in _IN_WORD else 32 for byte in range(256))


class Imports:
    """Module by the name that it is known by in this file."""

    def __init__(self, statements: Iterable[str] = ()) -> None:
        self._module: dict[bytes, str] = {}
        for statement in statements:
            for module, names in _read(_without_comments(statement[:_LONGEST_READ])):
                for name in sorted(names) if len(names) > 1 else names:  # in one order, whatever the process hashes by
                    if name not in _KEYWORDS:
                        self._module[name] = module
        self._names = frozenset(self._module)
        self._rank = {module: rank for rank, module in enumerate(self._module.values())}

    def used_in(self, text: str) -> str:
        """The modules behind the names in the text, in the order of their imports; of many the last, the file's own."""
        if not self._module:
            return ""
        used = {self._module[name] for name in self._names_in(text.encode())}
        if len(used) > 1:
            return ", ".join(sorted(used, key=self._rank.__getitem__)[-_MOST:])[:_LONGEST]
        return "".join(used)[:_LONGEST]

    def _names_in(self, text: bytes) -> Iterable[bytes]:
        """Few names are looked for one by one, many by looking at every word."""
        if len(self._names) > _FEW:
            return self._names.intersection(text.translate(_WORDS_ONLY).split())
        return [name for name in self._names if (at := text.find(name)) >= 0 and _is_word(name, text, at)]


def _is_word(name: bytes, text: bytes, at: int) -> bool:
    """Whether the name, found first at that place, stands somewhere in the text as a word of its own."""
    while at >= 0:
        end = at + len(name)
        if (not at or text[at - 1] not in _IN_WORD) and (end == len(text) or text[end] not in _IN_WORD):
            return True
        at = text.find(name, at + 1)
    return False


def _without_comments(statement: str) -> str:
    return _COMMENT.sub("", statement) if "//" in statement or "#" in statement else statement


def _read(statement: str) -> Iterator[tuple[str, set[bytes]]]:
    """(module, names) for each module of a statement: what is quoted, or the first path that is no keyword."""
    quoted = _QUOTED.findall(statement)
    if len(quoted) > 1:  # a block of Go's
        yield from ((path, {_name(path)}) for path in quoted)
    elif quoted:
        names = set(_words(statement.replace(quoted[0], "")))
        yield quoted[0], names - _KEYWORDS or {_name(quoted[0])}
    elif "," in statement and "{" not in statement and not statement.startswith("from"):
        for part in statement.split(","):
            yield from _read_path(part)
    else:
        yield from _read_path(statement)


def _read_path(statement: str) -> Iterator[tuple[str, set[bytes]]]:
    path = next((found[0] for found in _PATH.finditer(statement) if found[0].encode() not in _KEYWORDS), None)
    if path:
        words = _words(path)
        names = set(_words(statement)).difference(words, _KEYWORDS)
        yield path, names or {words[0], words[-1]}


def _name(path: str) -> bytes:
    """What a quoted path is known by when it is given no name: `net/http` is http, `gopkg.in/yaml.v3` is yaml."""
    words = _words(_EXTENSION.sub("", path))
    return words[-1] if words else b""


def _words(text: str) -> list[bytes]:
    return text.encode().translate(_WORDS_ONLY).split()
