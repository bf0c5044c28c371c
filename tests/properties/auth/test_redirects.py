"""Whatever is asked for, the page that is told lies on an allowed origin by every reading of its address."""

from urllib.parse import urlsplit

from hypothesis import given
from hypothesis import strategies as st

from libs.common.errors import InvalidInput
from services.auth.domain.input import check_redirect_url

ORIGINS = ("http://localhost:5173", "https://app.example")


PIECES = st.sampled_from(
    ["http://", "https://", "//", "/", "\\", "@", ":", "localhost", "localhost:5173", "app.example", "evil.example",
     ".", "%2f", "%5c", "%00", "\t", "\r\n", " ", "#", "?", "javascript:", "5173", "x", "é", "\u200b", "[::1]", ";"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=9).map("".join))
def test_what_is_kept_lies_on_the_origin_by_every_reading(url: str) -> None:
    try:
        origin = check_redirect_url(url, ORIGINS)
    except InvalidInput:
        return
    parts = urlsplit(url)
    assert origin in ORIGINS
    assert f"{parts.scheme}://{parts.netloc}" == origin
    assert url.isascii()
    assert not set(url) & set("\\\r\n\t ")
