"""Which files are prose, which are code, and which are not worth an index: by name, for every code host alike."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from libs.common.provider.chunks import ChunkKind

MARKDOWN = {".md", ".mdx", ".markdown"}
HTML = {".html", ".htm", ".xhtml"}
RECORDS = {".csv", ".tsv"}
SLIDES = ("/slides.md", ".slides.md", ".marp.md")  # Slidev's own name; what people call them
_MARP = re.compile(r"---\n(?:(?!---)[^\n]*+\n)*?marp:[ \t]*+true\b")
CODE = set(
    ".py .pyi .js .mjs .cjs .jsx .ts .tsx .mts .cts .go .java .rs .c .h .cc .cpp .cxx .hpp .hh .rb .sh .bash .kt .kts "
    ".swift .scala .cs .php .sql .css .scss .vue .svelte .lua .pl .r .dart .ex .exs .erl .hs .clj .proto "
    ".tf .json .jsonc .yaml .yml .toml .zsh .rake .gemspec .zig .ps1 .graphql".split()
)
GENERATED = {
    "package-lock.json",
    "pnpm-lock.yaml",
    "yarn.lock",
    "uv.lock",
    "poetry.lock",
    "requirements.lock",
    "cargo.lock",
    "go.sum",
    "composer.lock",
    "gemfile.lock",
}


def kind_of_file(path: str, text: str) -> ChunkKind:
    """By its name, and where that leaves it open by what it says of itself."""
    name = PurePosixPath(path.lower())
    if name.suffix in MARKDOWN:
        slides = f"/{name}".endswith(SLIDES) or _MARP.match(text) is not None
        return "slides" if slides else "markdown"
    if name.suffix in HTML:
        return "html"
    if name.suffix == ".ipynb":
        return "notebook"
    if name.suffix in RECORDS:
        return "records"
    if name.suffix in CODE:
        return "code"
    return "pages" if "\f" in text else "plain"


def skip_reason(path: str) -> str | None:
    """Why a text file's content is kept but not indexed, or None."""
    name = PurePosixPath(path.lower()).name
    if name in GENERATED:
        return "lock file"
    if name.endswith((".min.js", ".min.css", ".map", ".snap")):
        return "generated file"
    return None


def decode_text(content: bytes) -> str | None:
    """The text of a file, or None for a binary one (a NUL in the first 8 kB, git's own rule, or not UTF-8)."""
    if b"\0" in content[:8192]:
        return None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return None
