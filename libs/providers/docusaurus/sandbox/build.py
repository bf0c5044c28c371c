"""What a build writes: each page from its captured bytes with what was changed in it, under new hashes."""

from __future__ import annotations

import gzip
import re
from hashlib import sha256
from html import escape

from libs.providers.docusaurus.sandbox.archive import CONFIGURED_BASE, CONFIGURED_URL, files
from libs.providers.docusaurus.sandbox.world import Page, World

_HASH = re.compile(rb"\.[0-9a-f]{8}\.(js|css)")
# The content root of a document, of a blog post, of a page of its own.
_ROOTS = (
    rb'<div class="theme-doc-markdown markdown">|<div id=__blog-post-container class=markdown>'
    rb"|<article>(?=<header><h1>)"
)
_CONTENT = re.compile(
    rb"("
    + _ROOTS
    + rb')(.*?)(</div><footer class="?(?:theme-doc-footer|docusaurus-mt-lg)|</article></div></div></main>)',
    re.DOTALL,
)
_TITLE = re.compile(rb"(<title data-rh=true>)(.*?)( \| Sluice</title>)", re.DOTALL)
_GENERATOR = re.compile(rb"<meta name=generator [^>]*>")
_BODY = re.compile(rb"<body>.*", re.DOTALL)
NOINDEX = b'<meta data-rh=true name=robots content="noindex, nofollow"/>'
URLSET = '<?xml version="1.0" encoding="UTF-8"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">'
INDEX = '<?xml version="1.0" encoding="UTF-8"?><sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">'
LARGE = 6 * 1024 * 1024


def page_bytes(world: World, path: str, page: Page) -> bytes:
    """As the build wrote it, under the names that the site was configured with."""
    html = files()[page.file]
    html = _CONTENT.sub(lambda found: found[1] + content_of(page, found[2]) + found[3], html, count=1)
    if page.title:
        title = escape(page.title).encode()
        html = _TITLE.sub(lambda found: found[1] + title + found[3], html, count=1)
    html = _placed(html, path, page)
    if page.hidden:
        html = html.replace(b"<title", NOINDEX + b"<title", 1)
    return _dressed(world, html)


def content_of(page: Page, captured: bytes) -> bytes:
    inner = captured
    if page.title:
        inner = f"<header><h1>{escape(page.title)}</h1></header>\n<p>{escape(page.text)}</p>".encode()
    return inner + b"".join(f"\n<p>{escape(text)}</p>".encode() for text in page.extra)


def has_content(page: Page) -> bool:
    return _CONTENT.search(files()[page.file]) is not None


def content_hash(page: Page) -> str:
    """Of the content root alone: what a rebuild leaves as it is."""
    found = _CONTENT.search(files()[page.file])
    return sha256(content_of(page, found[2] if found else files()[page.file])).hexdigest()


def missing_bytes(world: World) -> bytes:
    return _dressed(world, files()["404.html"])


def _placed(html: bytes, path: str, page: Page) -> bytes:
    """A page that moved names its new address as its own."""
    captured = page.file.removesuffix("index.html").rstrip("/")
    if captured == path:
        return html
    start = CONFIGURED_URL + CONFIGURED_BASE
    own = re.compile(re.escape(start + captured.encode()) + rb"/?(?=[\s\">])")
    return own.sub(start + path.encode(), html)


def _dressed(world: World, html: bytes) -> bytes:
    """Every build names its scripts anew, in every page."""
    digest = sha256(f"build {world.build}".encode()).hexdigest()[:8].encode()
    html = _HASH.sub(b"." + digest + rb".\1", html)
    if not world.switches.generator:
        html = _GENERATOR.sub(b"", html)
    if world.switches.client_only:
        html = _BODY.sub(b"<body><div id=__docusaurus></div></body>", html)
    return html


def sitemap_bytes(world: World) -> tuple[bytes, str]:
    """(content, content type) of /sitemap.xml in the form that is switched on."""
    kind = world.switches.sitemap
    if kind == "index":
        maps = [f"<sitemap><loc>{_address(name)}</loc></sitemap>" for name in ("sitemap-a.xml", "sitemap-b.xml.gz")]
        return f"{INDEX}{''.join(maps)}</sitemapindex>".encode(), "application/xml"
    if kind == "entities":
        return _laughs(), "application/xml"
    if kind == "broken":
        return b"<urlset><url><loc>https://configured.invalid/", "application/xml"
    content = _urlset([page.form for page in world.pages.values() if page.form is not None])
    return (gzip.compress(content, mtime=0), "application/gzip") if kind == "gzip" else (content, "application/xml")


def sitemap_part(world: World, name: str) -> bytes:
    forms = [page.form for page in world.pages.values() if page.form is not None]
    half = len(forms) // 2
    return _urlset(forms[:half]) if name.endswith("-a.xml") else gzip.compress(_urlset(forms[half:]), mtime=0)


def _urlset(forms: list[str]) -> bytes:
    return f"{URLSET}{''.join(f'<url><loc>{_address(form)}</loc></url>' for form in forms)}</urlset>".encode()


def _address(form: str) -> str:
    return (CONFIGURED_URL + CONFIGURED_BASE).decode() + form


def _laughs() -> bytes:
    """A billion of them, if anybody expands entities."""
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    kind = f'<!DOCTYPE u [<!ENTITY l0 "ha">{entities}]>'
    return f'<?xml version="1.0"?>{kind}<urlset><url><loc>&l9;</loc></url></urlset>'.encode()


def trouble_bytes(kind: str) -> tuple[bytes, dict[str, str]]:
    """Pages that no build would write, for readers that must survive them."""
    if kind == "deep":
        return b"<html><body>" + b"<div>" * 150_000, {}
    if kind == "attributes":
        return b"<html><body " + b" ".join(b"a%d" % n for n in range(150_000)) + b">", {}
    if kind == "bomb":
        return gzip.compress(b" " * (64 * 1024 * 1024), mtime=0), {"content-encoding": "gzip"}
    if kind == "script":
        return b"<html><body>" + b"<script>" * 100_000, {}
    return b"<p>large" * (LARGE // 8), {}
