"""One built page → what it says: title, text, version, locale and where it came from.

Only `theme-*` classes and meta tags are matched: the others end in a hash that changes (captured from 3.10.2; the same
ones stand in the theme since 2.0).
"""

from __future__ import annotations

import re
from typing import Any

from libs.common.sites.html import Element
from libs.common.sites.markdown import heading, texts, to_markdown
from libs.common.sites.pages import Kind, PageRead, Reader, asks_to_log_in
from libs.providers.docusaurus.dialect import DIALECT, classes

GENERATOR = re.compile(r"Docusaurus\b", re.IGNORECASE)
MISSING_TITLE = re.compile(r"(?:404|Page Not Found)(?:\s*[|·-].*)?", re.IGNORECASE)
UNRELEASED = "current"  # the version that is written now; its folder is /next/ by default


class DocusaurusReader:
    name = "Docusaurus"

    def read(self, root: Element, url: str) -> PageRead:
        metas = _metas(root)
        if not GENERATOR.match(metas.get("generator", "")):
            return PageRead(kind="login" if asks_to_log_in(root) else "foreign", title=_title(root))
        content = _content(root)
        kind = _kind(root, content)
        version = metas.get("docusaurus_version", "")
        path = _version_path(url, version)
        text = to_markdown(content, DIALECT) if kind == "document" and content is not None else ""
        title = _heading(content) or metas.get("og:title", "").rpartition(" | ")[0] or _title(root)
        return PageRead(
            kind=kind,
            title=title,
            content=text if not text or text.startswith("# ") else f"{heading(title, 1)}\n\n{text}",
            links=_links(root, everything=content is None),
            canonical=_canonical(root),
            indexed="noindex" not in metas.get("robots", "").lower(),
            version=version,
            latest=not path and not _has(root, "theme-doc-version-banner"),
            version_path=path,
            locale=metas.get("docusaurus_locale", "") or (root.get("lang") or ""),
            metadata=_metadata(root, metas),
        )


def _kind(root: Element, content: Element | None) -> Kind:
    if MISSING_TITLE.fullmatch(_title(root)):
        return "missing"
    if content is not None:
        return "document"
    app = next((one for one in root.iter("div") if one.get("id") == "__docusaurus"), None)
    return "empty" if app is None or not "".join(texts(app)).strip() else "listing"


def _content(root: Element) -> Element | None:
    """Of a document, of a blog post, of a page of its own. Lists, tags, archives and categories have none."""
    found = _first(root, "theme-doc-markdown")
    if found is not None:
        return found
    kinds = classes(root)
    if "blog-post-page" in kinds:
        article = next(root.iter("article"), None)
        return None if article is None else _first(article, "markdown")
    if "mdx-page" in kinds:
        main = next(root.iter("main"), None)
        return None if main is None else next(main.iter("article"), None)
    return None


def _first(root: Element, name: str) -> Element | None:
    return next((one for one in root.iter("div") if name in classes(one)), None)


def _has(root: Element, name: str) -> bool:
    return _first(root, name) is not None


def _metas(root: Element) -> dict[str, str]:
    found: dict[str, str] = {}
    for meta in root.iter("meta"):
        name = meta.get("name") or meta.get("property") or ""
        found.setdefault(name, (meta.get("content") or "").strip())
    return found


def _title(root: Element) -> str:
    title = next(root.iter("title"), None)
    return "" if title is None else " ".join("".join(texts(title)).split())


def _heading(content: Element | None) -> str:
    """The page's own first heading; a blog post has it above its text."""
    if content is None:
        return ""
    heading = next(content.iter("h1"), None)
    if heading is None:
        parent = content.getparent()
        heading = None if parent is None else next(parent.iter("h1"), None)
    return "" if heading is None else " ".join("".join(texts(heading)).split())


def _canonical(root: Element) -> str:
    return next(((one.get("href") or "").strip() for one in root.iter("link") if one.get("rel") == "canonical"), "")


def _version_path(url: str, version: str) -> str:
    """The folder of a version that is not the latest one: `/docs/next` of `/docs/next/intro`; else nothing."""
    path = url.partition("://")[2].partition("/")[2].split("/")
    name = "next" if version == UNRELEASED else version
    if not version or name not in path:
        return ""
    return "/" + "/".join(path[: path.index(name) + 1])


def _links(root: Element, *, everything: bool) -> tuple[str, ...]:
    """Of text and sidebar; of a page without text (a landing page) all of them."""
    rooms = [root] if everything else [*root.iter("main"), *root.iter("aside")]
    found = (link.get("href") or "" for room in rooms for link in room.iter("a"))
    return tuple(dict.fromkeys(href for href in found if href and not href.startswith("#")))


def _metadata(root: Element, metas: dict[str, str]) -> dict[str, Any]:
    found = {
        "description": metas.get("description", ""),
        "version": metas.get("docusaurus_version", ""),
        "locale": metas.get("docusaurus_locale", ""),
        "tag": metas.get("docusaurus_tag", ""),
        "breadcrumbs": _breadcrumbs(root),
        "editUrl": next((a.get("href") or "" for a in root.iter("a") if "theme-edit-this-page" in classes(a)), ""),
        "lastUpdated": _last_updated(root),
    }
    return {name: value for name, value in found.items() if value}


def _breadcrumbs(root: Element) -> list[str]:
    bar = next((nav for nav in root.iter("nav") if "theme-doc-breadcrumbs" in classes(nav)), None)
    names = [] if bar is None else [" ".join("".join(texts(item)).split()) for item in bar.iter("li")]
    return [name for name in names if name]


def _last_updated(root: Element) -> str:
    place = next((one for one in root.iter("span") if "theme-last-updated" in classes(one)), None)
    moment = None if place is None else next(place.iter("time"), None)
    return "" if moment is None else (moment.get("datetime") or "")


READER: Reader = DocusaurusReader()
