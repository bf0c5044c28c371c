"""The words that generated issues are made of: the repository's own documents, docstrings and files."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from libs.providers.github.sandbox.gitstore import Entry, GitStore

MOST_FILES = 400
LARGEST_FILE = 300_000
PIECE = 900
AGAIN = ("Question about", "Follow-up to", "Keep in step with", "Say more about", "Check")
TEXT = (".md", ".rst", ".txt", ".py", ".toml", ".yaml", ".yml", ".json", ".ts", ".js", ".go", ".rs", ".java", ".sh")


@dataclass(frozen=True, slots=True)
class Piece:
    """Some text of one file, with a title that says where it stands."""

    path: str
    title: str
    text: str
    label: str


def pieces(git: GitStore, branch: str) -> list[Piece]:
    """At least one; documents first, then docstrings; a repository of neither gives its files."""
    files = list(_files(git, branch))
    found = [piece for path, text in files if path.endswith((".md", ".rst")) for piece in _document(path, text)]
    found += [piece for path, text in files if path.endswith(".py") for piece in _docstring(path, text)]
    if not found:
        found = [Piece(path, path, _fenced(text), "code") for path, text in files if text.strip()]
    return found or [Piece("", git.commit(branch).message.splitlines()[0], git.commit(branch).message, "code")]


def varied(found: list[Piece], number: int) -> Piece:
    """The piece for the n-th issue; when the pieces run out they come again under another heading."""
    piece, round_ = found[number % len(found)], number // len(found)
    if round_ == 0:
        return piece
    again = f"{AGAIN[(round_ - 1) % len(AGAIN)]} {piece.title}"
    turn = (round_ - 1) // len(AGAIN)
    return Piece(piece.path, f"{again} ({turn + 1})" if turn else again, piece.text, piece.label)


def _files(git: GitStore, branch: str) -> Iterator[tuple[str, str]]:
    entries, _ = git.entries(git.tree(branch)[0], recursive=True, limit=100_000)
    wanted = [e for e in entries if e.type == "blob" and e.path.endswith(TEXT) and (e.size or 0) <= LARGEST_FILE]
    for entry in sorted(wanted, key=_rank)[:MOST_FILES]:
        try:
            yield entry.path, git.blob(entry.sha).decode()
        except (UnicodeDecodeError, KeyError):
            # Not text after all, or not in this partial copy.
            continue


def _rank(entry: Entry) -> tuple[bool, int, str]:
    return not entry.path.endswith(".md"), entry.path.count("/"), entry.path


def _document(path: str, text: str) -> Iterator[Piece]:
    for heading, body in _sections(text):
        for part, words in enumerate(_parts(body), start=1):
            name = f"{path}: {heading}" if heading else path
            yield Piece(path, name if part == 1 else f"{name} ({part})", words, "documentation")


def _sections(text: str) -> Iterator[tuple[str, str]]:
    heading, lines, fenced = "", [], False
    for line in text.splitlines():
        fenced ^= line.lstrip().startswith("```")
        match = None if fenced else re.match(r"#{1,4}\s+(.+)", line)
        if match is None:
            lines.append(line)
            continue
        if "".join(lines).strip():
            yield heading, "\n".join(lines).strip()
        heading, lines = match[1].strip().strip("#").strip(), []
    if "".join(lines).strip():
        yield heading, "\n".join(lines).strip()


def _parts(text: str) -> Iterator[str]:
    """Whole lines, about PIECE characters a part."""
    part = ""
    for line in text.splitlines():
        if part and len(part) + len(line) > PIECE and not line.startswith((" ", "\t")):
            yield part.strip()
            part = ""
        part += line + "\n"
    if part.strip():
        yield part.strip()


def _docstring(path: str, text: str) -> Iterator[Piece]:
    try:
        said = ast.get_docstring(ast.parse(text))
    except (SyntaxError, ValueError):
        return
    if said:
        yield Piece(path, f"{path}: {said.splitlines()[0].rstrip('.')}", said, "code")


def _fenced(text: str) -> str:
    return "```\n" + "\n".join(text.splitlines()[:25]) + "\n```"
