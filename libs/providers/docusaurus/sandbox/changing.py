"""What may happen to the site: each change is followed by a build, as every deploy is."""

from __future__ import annotations

from typing import Literal

import msgspec

from libs.providers.docusaurus.sandbox.archive import page_files
from libs.providers.docusaurus.sandbox.build import has_content
from libs.providers.docusaurus.sandbox.world import Page, Trouble, World
from libs.sandbox.contract import ControlRefused

TEMPLATE = "docs/security"
STATUSES = {"permanent": 308, "temporary": 302}


class _Change(msgspec.Struct, tag_field="op", forbid_unknown_fields=True, kw_only=True):
    site: str = ""


class Rebuild(_Change, tag="rebuild"):
    pass


class Add(_Change, tag="add"):
    path: str
    title: str
    text: str


class Edit(_Change, tag="edit"):
    path: str
    text: str


class Rename(_Change, tag="rename"):
    path: str
    to: str
    redirect: Literal["permanent", "temporary", "none"] = "permanent"


class Remove(_Change, tag="remove"):
    path: str
    gone: bool = False


class Hide(_Change, tag="hide"):
    """The page becomes unlisted: still there, not in the sitemap, and not to be indexed."""

    path: str


class Answer(_Change, tag="answer"):
    """The page answers with this status although it is listed; 200 again as it is."""

    path: str
    status: int = 200
    trouble: Trouble | None = None


Change = Rebuild | Add | Edit | Rename | Remove | Hide | Answer


def make(world: World, change: Change) -> dict[str, object]:
    match change:
        case Add():
            _add(world, change)
        case Edit():
            _edit(world.page(change.path), change)
        case Rename():
            _rename(world, change)
        case Remove():
            _remove(world, change)
        case Hide():
            page = world.page(change.path)
            page.hidden, page.form = True, None
        case Answer():
            page = world.page(change.path)
            page.status, page.trouble = change.status, change.trouble
        case Rebuild():
            pass
    if not isinstance(change, Answer):
        world.build += 1
    return {"build": world.build, "pages": len(world.pages)}


def _add(world: World, change: Add) -> None:
    path = _new(world, change.path)
    world.forget(path)
    world.pages[path] = Page(file=page_files()[TEMPLATE], form=path, title=change.title, text=change.text)


def _edit(page: Page, change: Edit) -> None:
    if not has_content(page):
        raise ControlRefused(f"{change.path!r} is a list of other pages")
    page.extra.append(change.text)


def _rename(world: World, change: Rename) -> None:
    page, to = world.page(change.path), _new(world, change.to)
    world.forget(to)
    del world.pages[change.path]
    page.form = None if page.form is None else to
    world.pages[to] = page
    if change.redirect != "none":
        world.moved[change.path] = (STATUSES[change.redirect], to)


def _remove(world: World, change: Remove) -> None:
    world.page(change.path)
    del world.pages[change.path]
    if change.gone:
        world.gone.append(change.path)


def _new(world: World, path: str) -> str:
    path = path.strip("/")
    if not path or path in world.pages:
        raise ControlRefused(f"a page cannot be put at {path!r}")
    return path
