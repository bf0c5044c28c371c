"""The site as it stands: its pages, what was done to them, and how the host behaves; kept in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from libs.providers.docusaurus.sandbox.archive import listed_paths, page_files
from libs.sandbox.contract import ControlRefused

Trouble = Literal["deep", "attributes", "huge", "bomb", "script"]


class Page(msgspec.Struct, rename="camel", kw_only=True):
    """`file` is the captured page it is made of. `title` and `text` replace its content; `extra` paragraphs follow it.

    `form` is how the sitemap writes its path; None: not listed. `status` other than 200 is answered instead of it.
    """

    file: str
    form: str | None
    title: str = ""
    text: str = ""
    extra: list[str] = []
    hidden: bool = False
    status: int = 200
    trouble: Trouble | None = None


class Switches(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Everything a host or a build may do its own way. `configured_url` None: the site knows its real address."""

    robots: str | None = None
    robots_status: int = 200
    sitemap: Literal["plain", "index", "gzip", "off", "entities", "broken"] = "plain"
    configured_url: str | None = None
    etags: bool = True
    slash_redirects: bool = False
    soft_not_found: bool = False
    redirect_loop: bool = False
    login_wall: Literal["off", "page", "redirect"] = "off"
    generator: bool = True
    client_only: bool = False


class World(msgspec.Struct, rename="camel", kw_only=True):
    """`gone` and `moved` are paths that once were pages: 410, and redirects (status, new path)."""

    pages: dict[str, Page]
    build: int = 1
    gone: list[str] = []
    moved: dict[str, tuple[int, str]] = {}
    switches: Switches = msgspec.field(default_factory=Switches)

    def page(self, path: str) -> Page:
        found = self.pages.get(path)
        if found is None:
            raise ControlRefused(f"no page {path!r}", status=404)
        return found

    def forget(self, path: str) -> None:
        """A path that is used again is neither gone nor moved."""
        self.gone = [one for one in self.gone if one != path]
        self.moved.pop(path, None)


def first_world() -> World:
    listed = listed_paths()
    return World(pages={path: Page(file=file, form=listed.get(path)) for path, file in page_files().items()})


class Shelf:
    """The worlds of one sandbox by name, saved after every change."""

    def __init__(self, home: Path) -> None:
        self._file = home / "worlds.json"
        self.worlds: dict[str, World] = {"": first_world()}
        if self._file.exists():
            self.worlds = msgspec.json.decode(self._file.read_bytes(), type=dict[str, World])

    def named(self, name: str) -> World:
        found = self.worlds.get(name)
        if found is None:
            raise ControlRefused(f"no site {name!r}", status=404)
        return found

    def add(self, name: str) -> World:
        return self.worlds.setdefault(name, first_world())

    def save(self) -> None:
        waiting = self._file.with_suffix(".new")
        waiting.write_bytes(msgspec.json.encode(self.worlds))
        waiting.replace(self._file)
