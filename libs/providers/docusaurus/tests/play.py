"""A documentation site as a play: a few pages that are written, moved and rebuilt, on a host with bad days."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

from libs.common.sites.html import read_html
from libs.common.testing.answered import Answered
from libs.common.testing.plays import Act, NotPossible, Thing, Truth
from libs.providers.docusaurus.page import READER
from libs.providers.docusaurus.sandbox import DocusaurusStandIn
from libs.providers.docusaurus.sandbox.build import page_bytes
from libs.providers.docusaurus.sandbox.changing import Add, Answer, Change, Edit, Hide, Rebuild, Remove, Rename, make
from libs.providers.docusaurus.sandbox.stand_in import served_at, truth
from libs.providers.docusaurus.sandbox.world import Page, Switches, World, first_world
from libs.providers.docusaurus.tests.copied import expected
from libs.sandbox.contract import ControlRefused, Place, Request
from libs.sandbox.deliveries import Deliveries

HOST = "http://127.0.0.1:8090"
MOUNT = f"{HOST}/docusaurus"
ALWAYS = ("", "docs", "docs/security")
SOMETIMES = (
    "docs/events", "docs/operating", "docs/writing/code", "docs/decisions/parts", "docs/next/events",
    "docs/next/next-only", "blog/2026/11/02/first-words", "docs/category/writing", "docs/writing/tabs",
)  # fmt: skip
WALLS = (401, 403, 404, 410, 500, 503)
MAPS = ("plain", "plain", "index", "gzip", "off", "broken")
ROBOTS = (None, "User-agent: *\nAllow: /\n", "User-agent: *\nDisallow: /docusaurus/\n")
ACTS: dict[str, float] = {
    "add": 4, "edit": 5, "rename": 3, "remove": 3, "hide": 0.7, "wall": 2, "unwall": 1, "rebuild": 2, "sitemap": 2,
    "robots": 0.7, "login": 0.5, "soft": 0.5, "slashes": 0.5, "etags": 0.5, "again": 1,
}  # fmt: skip


class Wire:
    def __init__(self, stand_in: DocusaurusStandIn) -> None:
        self._stand_in = stand_in

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, content: bytes | None = None,
        **_: Any,
    ) -> Answered:  # fmt: skip
        parts = urlsplit(url)
        mounted = parts.path.startswith("/docusaurus")
        origin = MOUNT if mounted else HOST
        path = parts.path.removeprefix("/docusaurus") or "/"
        lower = {name.lower(): value for name, value in (headers or {}).items()}
        request = Request(method=method, path=path, query=parts.query, headers=lower, body=b"", origin=origin)
        answer = self._stand_in.answer(request)
        return Answered(answer.status, answer.headers, answer.body, url)


class DocusaurusStage:
    def __init__(self, state: Path) -> None:
        state.mkdir(parents=True)
        deliveries = Deliveries(state / "deliveries.jsonl")
        self.stand_in = DocusaurusStandIn(Place(root=state, state=state, deliveries=deliveries))
        self.plays = 0

    def play(self, dice: Random) -> DocusaurusPlay:
        self.plays += 1
        return DocusaurusPlay(self.stand_in, f"play{self.plays}", dice)

    def close(self) -> None:
        self.stand_in.close()


class DocusaurusPlay:
    acts: Mapping[str, float] = ACTS
    features = (("pages",),)
    api_url = base_url = token = ""

    def __init__(self, stand_in: DocusaurusStandIn, name: str, dice: Random) -> None:
        chosen = {*ALWAYS, *dice.sample(SOMETIMES, dice.randint(1, len(SOMETIMES)))}
        pages = {path: page for path, page in first_world().pages.items() if path in chosen}
        stand_in.shelf.worlds[name] = World(pages=pages)
        stand_in.shelf.named("").switches = Switches()
        self._shelf, self._name = stand_in.shelf, name
        self._world, self._host = stand_in.shelf.worlds[name], stand_in.shelf.named("")
        self._said, self._left = 0, list[str]()
        self.site = f"{MOUNT}/~{name}/"
        self.references = (self.site,)
        self.config: Mapping[str, Any] = {"url": self.site}
        self.wire = Wire(stand_in)

    # what happens

    def do(self, act: str, dice: Random) -> Act:
        asked: Change | None = getattr(self, f"_{act}")(dice)
        if asked is None:
            return Act(told={"switches": repr(self._world.switches), "robots": self._host.switches.robots})
        try:
            make(self._world, asked)
        except ControlRefused as refused:
            raise NotPossible(str(refused)) from refused
        return Act(told={"change": repr(asked)})

    def _path(self, dice: Random) -> str:
        """Not the first page, and no list of others."""
        found = [path for path in self._world.pages if path.startswith(("docs/", "blog/")) and "category" not in path]
        if not found:
            raise NotPossible("no page")
        return dice.choice(found)

    def _word(self) -> str:
        self._said += 1
        return f"Word {self._said} & more."

    def _add(self, dice: Random) -> Add:
        word = self._word()
        return Add(path=f"docs/added-{self._said}", title=f"Added {self._said}", text=word)

    def _again(self, dice: Random) -> Add:
        """Where a page was removed or moved away before, a new one may come."""
        left = [path for path in self._left if path.startswith("docs/") and not path.startswith("docs/next")]
        free = [path for path in left if path not in self._world.pages]
        if not free:
            raise NotPossible("nothing left yet")
        return Add(path=dice.choice(free), title=f"Again {self._said}", text=self._word())

    def _edit(self, dice: Random) -> Edit:
        return Edit(path=self._path(dice), text=self._word())

    def _rename(self, dice: Random) -> Rename:
        old = self._path(dice)
        self._word()
        self._left.append(old)
        how = dice.choice(["permanent", "permanent", "none"])
        folder = "docs/next" if old.startswith("docs/next") else "docs"  # a page says of which version it is
        return Rename(path=old, to=f"{folder}/renamed-{self._said}", redirect=how)

    def _remove(self, dice: Random) -> Remove:
        old = self._path(dice)
        self._left.append(old)
        return Remove(path=old, gone=dice.random() < 0.5)

    def _hide(self, dice: Random) -> Hide:
        return Hide(path=self._path(dice))

    def _wall(self, dice: Random) -> Answer:
        return Answer(path=dice.choice([self._path(dice), ""]), status=dice.choice(WALLS))

    def _unwall(self, dice: Random) -> Rebuild:
        for page in self._world.pages.values():
            page.status = 200
        return Rebuild()

    def _rebuild(self, dice: Random) -> Rebuild:
        return Rebuild()

    def _sitemap(self, dice: Random) -> None:
        self._world.switches.sitemap = dice.choice(MAPS)

    def _robots(self, dice: Random) -> None:
        self._host.switches.robots = dice.choice(ROBOTS)
        self._host.switches.robots_status = dice.choice([200, 200, 403, 503])

    def _login(self, dice: Random) -> None:
        self._world.switches.login_wall = dice.choice(["off", "page", "redirect"])

    def _soft(self, dice: Random) -> None:
        self._world.switches.soft_not_found = dice.random() < 0.5

    def _slashes(self, dice: Random) -> None:
        self._world.switches.slash_redirects = dice.random() < 0.5

    def _etags(self, dice: Random) -> None:
        self._world.switches.etags = dice.random() < 0.5

    # what there is

    def hidden(self) -> frozenset[str]:
        """A site that is not as it was connected says nothing of its pages."""
        here, host, first = self._world.switches, self._host.switches, Switches()
        plain = (here.login_wall, here.sitemap in ("plain", "index", "gzip"), host.robots_status)
        walled = any(page.status != 200 for page in self._world.pages.values())
        forbidden = "Disallow: /d" in (host.robots or "")
        is_open = plain == (first.login_wall, True, 200) and not walled and not forbidden
        return frozenset() if is_open else frozenset({self.site.rstrip("/"), self.site})

    def heal(self) -> None:
        self._host.switches = Switches()
        here = self._world.switches
        here.login_wall, here.sitemap = "off", here.sitemap if here.sitemap in ("index", "gzip") else "plain"
        self._unwall(Random(0))

    def truth(self) -> Truth:
        listed: Any = truth(self._world)["pages"]
        paths = expected({page["path"]: page for page in listed})
        return {self._external: {_key(self._name, path): self._thing(path) for path in paths}}

    @property
    def _external(self) -> str:
        return self.site

    def _thing(self, path: str) -> Thing:
        page = self._world.pages[path.strip("/")]
        name, body = _read(f"~{self._name}", path, page.file, page.title, page.text, tuple(page.extra))
        return Thing(type="page", name=name, path=_key(self._name, path).removeprefix("page:"), body=body)


def _key(name: str, path: str) -> str:
    return f"page:/docusaurus/~{name}{path.rstrip('/')}"


@lru_cache(maxsize=1_000)
def _read(site: str, path: str, file: str, title: str, text: str, extra: tuple[str, ...]) -> tuple[str, str]:
    """What our reader makes of the page as the build writes it: its own tests say that it reads well."""
    page = Page(file=file, form="", title=title, text=text, extra=list(extra))
    world = World(pages={})
    here = served_at(world, page_bytes(world, path.strip("/"), page), MOUNT, f"/docusaurus/{site}/")
    root = read_html(here, "text/html; charset=utf-8")
    assert root is not None
    found = READER.read(root, f"{MOUNT}/{site}{path}")
    return found.title, found.content


def open_stage(state: Path) -> DocusaurusStage:
    return DocusaurusStage(state)
