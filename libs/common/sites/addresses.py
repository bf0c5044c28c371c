"""Which addresses belong to a site, and when two of them are the same page."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit, urlunsplit

import msgspec

from libs.common.errors import InvalidInput

PORTS = {"http": 80, "https": 443}
LONGEST = 2048
_INDEX = ("/index.html", "/index.htm")
_FILES = frozenset(
    "7z bmp css csv doc docx eot gif gz ico jpeg jpg js json map md mp3 mp4 pdf png ppt pptx rss svg tar tgz ttf txt"
    " avif wasm webm webp woff woff2 xls xlsx xml yaml yml zip".split()
)


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """Everything at `origin` whose path is `prefix` or lies below it; `prefix` has no slash at its end.

    `alias` is the origin that the site believes to have: a preview deploy lists addresses of the real one.
    """

    origin: str
    prefix: str
    alias: str = ""

    @property
    def url(self) -> str:
        return f"{self.origin}{self.prefix}/"

    def resolve(self, href: str, page: str) -> str | None:
        """The address of a page of this site that a link of `page` leads to, without query and fragment."""
        try:
            parts = urlsplit(urljoin(page, href.strip()))
            origin = origin_of(parts.scheme, parts.hostname, parts.port)
        except ValueError:
            return None
        if origin not in (self.origin, self.alias) or len(href) > LONGEST or not self.holds(parts.path):
            return None
        if parts.path.rpartition("/")[2].rpartition(".")[2].lower() in _FILES and "." in parts.path.rpartition("/")[2]:
            return None
        return f"{self.origin}{parts.path or '/'}"

    def holds(self, path: str) -> bool:
        return not self.prefix or path == self.prefix or path.startswith(f"{self.prefix}/")

    def path_of(self, url: str) -> str:
        """One form a page: no slash or index file at its end, so that a redirect to either is no move."""
        path = urlsplit(url).path
        for index in _INDEX:
            path = path.removesuffix(index)
        return path.removesuffix(".html").rstrip("/") or "/"


def site_at(url: str, pointer: str = "/url") -> Site:
    """Raises InvalidInput for what is no http(s) address without user name."""
    try:
        parts = urlsplit(url.strip())
        origin = origin_of(parts.scheme, parts.hostname, parts.port)
    except ValueError:
        origin = ""
    if not origin or parts.username is not None or not url.isprintable() or len(url) > LONGEST:
        raise InvalidInput("give the address of the site, such as https://docs.example.com/", pointer=pointer)
    path = parts.path
    for index in _INDEX:
        path = path.removesuffix(index)
    return Site(origin=origin, prefix=path.rstrip("/"))


def origin_of(scheme: str, host: str | None, port: int | None) -> str:
    """`scheme://host[:port]`, without the port that the scheme has anyway; "" for anything but http and https."""
    if scheme not in PORTS or not host:
        return ""
    bare = f"[{host}]" if ":" in host else host
    return f"{scheme}://{bare}" if port in (None, PORTS[scheme]) else f"{scheme}://{bare}:{port}"


def origin_of_url(url: str) -> str:
    """ "" also for an address with a user name in it: nobody calls that."""
    try:
        parts = urlsplit(url)
        return "" if "@" in parts.netloc else origin_of(parts.scheme, parts.hostname, parts.port)
    except ValueError:
        return ""


def without_fragment(url: str) -> str:
    return urlunsplit((*urlsplit(url)[:3], "", ""))


def is_loopback(url: str) -> bool:
    return (urlsplit(url).hostname or "") in ("127.0.0.1", "localhost", "::1")
