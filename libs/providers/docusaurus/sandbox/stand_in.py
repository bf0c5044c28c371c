"""A static host with a documentation site on it, and the control routes that rebuild it."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from hashlib import sha256
from urllib.parse import urlsplit

import msgspec

from libs.providers.docusaurus.sandbox.archive import CONFIGURED_BASE, CONFIGURED_URL
from libs.providers.docusaurus.sandbox.build import (
    content_hash,
    missing_bytes,
    page_bytes,
    sitemap_bytes,
    sitemap_part,
    trouble_bytes,
)
from libs.providers.docusaurus.sandbox.changing import Change, make
from libs.providers.docusaurus.sandbox.world import Page, Shelf, Switches, World
from libs.sandbox.contract import Answer, Control, Place, Request
from libs.sandbox.faults import Fault

HTML = "text/html; charset=utf-8"
LOGIN = (
    b"<!doctype html><title>Sign in</title><form method=post><input name=user><input type=password name=pass></form>"
)
FIRST_BUILD = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


class DocusaurusStandIn:
    """The site at the mount itself; further ones, made by `POST sites`, at `~<name>/` below it."""

    root_paths = ("/robots.txt",)

    def __init__(self, place: Place) -> None:
        self.shelf = Shelf(place.state)

    def answer(self, request: Request) -> Answer:
        if request.path in self.root_paths and not urlsplit(request.origin).path:
            return self._robots()
        name, path = _site_and_path(request.path)
        world = self.shelf.worlds.get(name)
        if world is None:
            return Answer(404, b"", {"content-type": HTML})
        base = urlsplit(request.origin).path + (f"/~{name}" if name else "") + "/"
        answer = _served(world, path, base)
        answer.body = served_at(world, answer.body, request.origin, base)
        return _conditional(world, answer, request)

    def refuse(self, fault: Fault, request: Request) -> Answer:
        """A static host knows no accounts: its limits are 429, its walls 401."""
        if fault.kind == "unauthorized":
            return Answer(401, b"", {"content-type": HTML, "www-authenticate": "Basic"})
        wait = fault.retry_after if fault.retry_after is not None else 60
        return Answer(429, b"", {"content-type": HTML, "retry-after": str(wait)})

    def controls(self) -> Mapping[str, Callable[[Control], object]]:
        return {
            "POST change": self._change,
            "GET truth": lambda call: truth(self.shelf.named(call.query.get("site", ""))),
            "GET settings": lambda call: self.shelf.named(call.query.get("site", "")).switches,
            "POST settings": self._turn,
            "POST sites": self._add_site,
        }

    def close(self) -> None:
        self.shelf.save()

    def _change(self, call: Control) -> object:
        change = msgspec.convert(call.body, Change)
        made = make(self.shelf.named(change.site), change)
        self.shelf.save()
        return made

    def _turn(self, call: Control) -> Switches:
        """Names that are left out stay as they are; `reset` puts all back first."""
        body = dict(call.body)
        world = self.shelf.named(str(body.pop("site", "")))
        now = {} if body.pop("reset", False) else msgspec.to_builtins(world.switches)
        world.switches = msgspec.convert({**now, **body}, Switches)
        self.shelf.save()
        return world.switches

    def _add_site(self, call: Control) -> object:
        name = str(call.body.get("name", ""))
        self.shelf.add(name)
        self.shelf.save()
        return {"path": f"/~{name}/"}

    def _robots(self) -> Answer:
        """One file for the whole host, as everywhere."""
        switches = self.shelf.named("").switches
        if switches.robots is None and switches.robots_status == 200:
            return Answer(404, b"", {"content-type": "text/plain"})
        return Answer(switches.robots_status, (switches.robots or "").encode(), {"content-type": "text/plain"})


def truth(world: World) -> dict[str, object]:
    """Every page that is there: its path, whether the sitemap lists it, and the hash of its content root."""
    return {
        "build": world.build,
        "pages": [
            {
                "path": f"/{path}",
                "listed": page.form is not None,
                "hidden": page.hidden,
                "file": page.file,
                "contentHash": content_hash(page),
            }
            for path, page in world.pages.items()
        ],
    }


def _site_and_path(path: str) -> tuple[str, str]:
    if not path.startswith("/~"):
        return "", path
    name, _, rest = path[2:].partition("/")
    return name, f"/{rest}"


def _served(world: World, path: str, base: str) -> Answer:
    switches = world.switches
    if switches.redirect_loop:
        return _moved(base, "round-b" if path.endswith("round-a") else "round-a", 302)
    if switches.login_wall == "redirect":
        return Answer(302, b"", {"location": "https://login.configured.invalid/"})
    if switches.login_wall == "page":
        return Answer(200, LOGIN, {"content-type": HTML})
    if path.startswith("/sitemap"):
        return _sitemap(world, path)
    return _page(world, path, base)


def _sitemap(world: World, path: str) -> Answer:
    kind = world.switches.sitemap
    if kind == "off" or (path != "/sitemap.xml" and kind != "index"):
        return _missing(world)
    if path == "/sitemap.xml":
        content, content_type = sitemap_bytes(world)
        return Answer(200, content, {"content-type": content_type})
    return Answer(200, sitemap_part(world, path), {"content-type": "application/xml"})


def _page(world: World, path: str, base: str) -> Answer:
    name = path.strip("/").removesuffix("index.html").rstrip("/")
    if name in world.moved:
        status, to = world.moved[name]
        return _moved(base, to, status)
    if name in world.gone:
        return Answer(410, b"", {"content-type": HTML})
    page = world.pages.get(name)
    if page is None:
        return _missing(world)
    if world.switches.slash_redirects and not path.endswith("/"):
        return _moved(base, f"{name}/", 301)
    return _content(world, name, page)


def _content(world: World, path: str, page: Page) -> Answer:
    if page.status != 200:
        return Answer(page.status, b"", {"content-type": HTML})
    if page.trouble:
        content, headers = trouble_bytes(page.trouble)
        return Answer(200, content, {"content-type": HTML, **headers})
    return Answer(200, page_bytes(world, path, page), {"content-type": HTML})


def _missing(world: World) -> Answer:
    return Answer(200 if world.switches.soft_not_found else 404, missing_bytes(world), {"content-type": HTML})


def _moved(base: str, to: str, status: int) -> Answer:
    return Answer(status, b"", {"location": f"{base}{to}", "content-type": HTML})


def served_at(world: World, content: bytes, origin: str, base: str) -> bytes:
    """The build's own names give way to the address it is served at; packed content is left alone."""
    if content[:2] == b"\x1f\x8b":
        return _repacked(world, content, origin, base)
    parts = urlsplit(origin)
    url = world.switches.configured_url or f"{parts.scheme}://{parts.netloc}"
    return content.replace(CONFIGURED_URL, url.encode()).replace(CONFIGURED_BASE, base.encode())


def _repacked(world: World, content: bytes, origin: str, base: str) -> bytes:
    if len(content) > 50_000:  # a bomb, not a sitemap
        return content
    return gzip.compress(served_at(world, gzip.decompress(content), origin, base), mtime=0)


def _conditional(world: World, answer: Answer, request: Request) -> Answer:
    """ETag and Last-Modified of this build: both differ after every other one."""
    if answer.status != 200:
        return answer
    built = format_datetime(FIRST_BUILD + timedelta(minutes=world.build), usegmt=True)
    answer.headers["last-modified"] = built
    if world.switches.etags:
        tag = f'W/"{sha256(answer.body).hexdigest()[:24]}"'
        answer.headers["etag"] = tag
        known = request.headers.get("if-none-match") == tag
    else:
        known = request.headers.get("if-modified-since") == built
    return Answer(304, b"", answer.headers) if known else answer
