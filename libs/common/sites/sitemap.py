"""Sitemaps (sitemaps.org 0.9): files and indexes of files, read as a stream without entities and without network."""

from __future__ import annotations

import zlib
from io import BytesIO

import msgspec
from lxml import etree

MOST_LOCATIONS = 50_000  # of one file, as the protocol says
LARGEST = 50 * 1024 * 1024  # unpacked, as the protocol says
GZIP = b"\x1f\x8b"


class Sitemap(msgspec.Struct, frozen=True, kw_only=True):
    """`pages` of a urlset, `maps` of an index."""

    pages: tuple[str, ...] = ()
    maps: tuple[str, ...] = ()


def read_sitemap(body: bytes) -> Sitemap | None:
    """None for what is no sitemap: an error page, broken XML, entities, a bomb."""
    try:
        unpacked = _unpacked(body)
        return _read(unpacked)
    except (etree.XMLSyntaxError, zlib.error, _TooMuch):
        return None


class _TooMuch(Exception):
    """More than the protocol allows, or a document type of its own (the only way to declare entities)."""


def _unpacked(body: bytes) -> bytes:
    if body[:2] != GZIP:
        return body
    inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
    unpacked = inflater.decompress(body, LARGEST)
    if inflater.unconsumed_tail:
        raise _TooMuch
    return unpacked


def _read(body: bytes) -> Sitemap | None:
    found: dict[str, list[str]] = {"url": [], "sitemap": []}
    steps = etree.iterparse(
        BytesIO(body), events=("end",), resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True,
        remove_pis=True,
    )  # fmt: skip
    known = False
    for _, element in steps:
        if not known and element.getroottree().docinfo.doctype:
            raise _TooMuch
        known = True
        kind = etree.QName(element).localname
        if kind in found:
            found[kind] += [text for text in _locations(element)]
            if len(found[kind]) > MOST_LOCATIONS:
                raise _TooMuch
            _forget(element)
    root = steps.root
    if root is None or etree.QName(root).localname not in ("urlset", "sitemapindex"):
        return None
    return Sitemap(pages=tuple(found["url"]), maps=tuple(found["sitemap"]))


def _locations(element: etree._Element) -> list[str]:
    """Only its own `loc`: extensions (images, videos) have others deeper down."""
    return [
        (child.text or "").strip()
        for child in element
        if etree.QName(child).localname == "loc" and (child.text or "").strip()
    ]


def _forget(element: etree._Element) -> None:
    """Keeps the memory of a large file flat."""
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]
