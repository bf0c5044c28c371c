"""The captured build: every file of it by its path, byte for byte."""

from __future__ import annotations

import tarfile
from functools import lru_cache
from pathlib import Path

ARCHIVE = Path(__file__).resolve().parents[1] / "fixtures" / "site.tar.xz"
# What the site was built for (tests/support/docusaurus): names that stand nowhere else in it.
CONFIGURED_URL = b"https://configured.invalid"
CONFIGURED_BASE = b"/__base__/"
INDEX = "index.html"


@lru_cache(maxsize=1)
def files() -> dict[str, bytes]:
    with tarfile.open(ARCHIVE) as archive:
        return {entry.name: _content(archive, entry) for entry in archive if entry.isfile()}


def _content(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    found = archive.extractfile(entry)
    return b"" if found is None else found.read()


def page_files() -> dict[str, str]:
    """Page path ("docs/writing/code", "" for the first page) → its file."""
    return {name.removesuffix(INDEX).rstrip("/"): name for name in sorted(files()) if name.endswith(INDEX)}


def listed_paths() -> dict[str, str]:
    """Page path → the form in which the captured sitemap lists it: some end in a slash."""
    text = files()["sitemap.xml"].decode()
    start = (CONFIGURED_URL + CONFIGURED_BASE).decode()
    forms = [part.partition("</loc>")[0].removeprefix(start) for part in text.split("<loc>")[1:]]
    return {form.rstrip("/"): form for form in forms}
