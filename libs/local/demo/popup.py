"""The page that a popup ends on, read as a browser would run it: what is told, and to which origin."""

from __future__ import annotations

import re

import msgspec

from libs.local.client import Told

POSTED = re.compile(r"const told = (\{.*\});")
POSTS = "window.opener.postMessage(told.message, told.origin);"


class Message(msgspec.Struct, frozen=True):
    """`origin` is the only page that hears it; `back` is where a flow in the same tab goes on."""

    message: dict[str, str]
    origin: str
    back: str


def posted(page: str) -> Message:
    """Raises Told when the page tells its opener nothing."""
    found = POSTED.search(page)
    if found is None or POSTS not in page:
        raise Told("The popup ended on a page that tells its opener nothing.")
    return msgspec.json.decode(found[1], type=Message)
