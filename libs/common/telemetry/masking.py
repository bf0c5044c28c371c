"""The second net under the allow-list: whatever looks like a token is masked, and no character can forge a log line."""

from __future__ import annotations

import re

MASK = "***"

# Shapes, not vendors: prefixes that token formats publish, anything behind an authorization scheme, user:password in a
# URL, the query of a URL, private keys. The first group, where there is one, is kept so that the line stays readable.
_SHAPES = re.compile(
    r"""
      -----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----[\s\S]*?(?:-----END[ ][A-Z ]*PRIVATE[ ]KEY-----|$)
    | \bgh[opsru]_[A-Za-z0-9_]{8,}
    | \b[a-z]{2,12}_pat_[A-Za-z0-9_]{8,}
    | \b(?:slk|whsec|sk|rk)_[A-Za-z0-9+/=_-]{8,}
    | \bgl[a-z]{2,6}-[A-Za-z0-9_-]{12,}
    | \bxox[a-z]-[A-Za-z0-9-]{6,} | \bxapp-[A-Za-z0-9-]{6,}
    | \beyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*){0,4}
    | \bya29\.[A-Za-z0-9_-]{8,} | \bAIza[A-Za-z0-9_-]{20,} | \bATATT[A-Za-z0-9_=-]{12,} | \bAKIA[A-Z0-9]{12,}
    """,
    re.VERBOSE,
)
_SCHEMES = re.compile(r"\b(bearer|(?:basic|token)(?=\s+\S*\d))(\s+)(?!\*\*\*)[A-Za-z0-9+/=._~-]{8,}", re.IGNORECASE)
_USERINFO = re.compile(r"(\b[a-z][a-z0-9+.-]{1,20}://)[^/\s@'\"]{1,512}@", re.IGNORECASE)
_QUERY = re.compile(r"(\bhttps?://[^\s?'\"<>]{1,2048}\?)[^\s'\"<>]+", re.IGNORECASE)
_NAMED = re.compile(
    r"\b((?:access_|refresh_|id_)?token|(?:client_)?secret|password|passwd|api_?key|code_verifier)"
    r"(['\"]?\s*[=:]\s*['\"]?)(?!\*\*\*)[^\s'\"&,;}]{4,}",
    re.IGNORECASE,
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def mask(text: str) -> str:
    """The text without anything of the shape of a token."""
    text = _SHAPES.sub(MASK, text)
    text = _SCHEMES.sub(rf"\1\2{MASK}", text)
    text = _USERINFO.sub(rf"\1{MASK}@", text)
    text = _QUERY.sub(rf"\1{MASK}", text)
    return _NAMED.sub(rf"\1\2{MASK}", text)


def escape(text: str) -> str:
    r"""CR, LF, ANSI and bidirectional controls as visible `\xNN`: a line stays one line, also in a terminal."""
    return _CONTROL.sub(lambda found: found.group().encode("unicode_escape").decode(), text)
