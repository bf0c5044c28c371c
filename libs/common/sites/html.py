"""Bytes of a page → its element tree, in linear time whatever somebody put into it.

libxml2 stops at 256 open elements by itself and is linear in everything measured but the attributes of one tag; those
are counted before it reads. (Lexbor is quadratic in depth: 100,000 nested elements of 500 kB took it 19 s.)
"""

from __future__ import annotations

import re

from lxml import etree

from libs.common.errors import ProviderContractBroken

Element = etree._Element
MOST_ATTRIBUTES = 500
_VALUE = r"""(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s>"'][^\s>]*+)?)?"""
_ATTRIBUTE = rf"[^\s/>][^\s/>=]*+{_VALUE}"
# Comments and raw text first, so that what they hold is not taken for tags.
_TAG = re.compile(
    r"<!--(?:-?>|.*?(?:--!?>|\Z))"
    r"|<(script|style|textarea|title)\b(?:[^>]*+)>.*?(?=</\1|\Z)"
    rf"|<[a-z](?P<attributes>(?:[\s/]++|{_ATTRIBUTE})*+)",
    re.IGNORECASE | re.DOTALL,
)
_SHORT = 2 * MOST_ATTRIBUTES  # fewer characters than this cannot hold more attributes
_COUNTED = re.compile(_ATTRIBUTE)
# Those of the web (encoding.spec.whatwg.org). Python has others that raise whatever one asks for, or are quadratic.
_CHARSET = re.compile(
    r"charset=[\"']?(utf-?8|utf-16(?:le|be)?|us-ascii|latin1|iso-8859-\d{1,2}|windows-\d{3,4}|koi8-[ru]|gbk|gb2312|gb18030"
    r"|big5|shift_jis|euc-jp|euc-kr|iso-2022-jp)(?![\w-])",
    re.IGNORECASE,
)


class PageTooDeep(ProviderContractBroken):
    code = "page_too_deep"
    title = "The page is nested deeper, or has more attributes, than any page that people read"


def read_html(body: bytes, content_type: str = "") -> Element | None:
    """The root element; None for a body without any. Raises PageTooDeep."""
    text = _decoded(body, content_type)
    if not text.strip():
        return None
    _refuse_attribute_bombs(text)
    parser = etree.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True)
    try:
        root = etree.fromstring(text.encode(), parser)
    except etree.XMLSyntaxError as error:
        if "Excessive depth" in str(error):
            raise PageTooDeep from None
        return None
    if any("Excessive depth" in entry.message for entry in parser.error_log):
        raise PageTooDeep
    return root


def _decoded(body: bytes, content_type: str) -> str:
    """As the header says; UTF-8 where it says nothing, for that is what generators write."""
    found = _CHARSET.search(content_type)
    try:
        text = body.decode(found[1] if found else "utf-8", "replace")
    except LookupError:
        text = body.decode("utf-8", "replace")
    return text.replace("\0", "\ufffd")


def _refuse_attribute_bombs(text: str) -> None:
    for tag in _TAG.finditer(text):
        attributes = tag["attributes"]
        if attributes and len(attributes) > _SHORT and len(_COUNTED.findall(attributes)) > MOST_ATTRIBUTES:
            raise PageTooDeep
