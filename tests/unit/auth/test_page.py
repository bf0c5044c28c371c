"""The popup's last page, and the one check that decides whom it may tell."""

from __future__ import annotations

import json
import re

import pytest

from services.auth.domain.input import check_redirect_url
from services.auth.page import refusing_page, telling_page
from services.auth.use_cases.oauth.park import Told

ORIGINS = ("http://localhost:5173", "https://app.example")
SCRIPT = re.compile(r"<script nonce=\"[^\"]+\">\nconst told = (.*);\n")


def test_hostile_text_cannot_leave_the_script() -> None:
    hostile = "https://app.example/?q=</script><script>alert(1)</script>&amp;\u2028"
    html, _ = telling_page(Told(attempt_id="a", origin="https://app.example", redirect_url=hostile, handle="h"))
    assert html.count("<script") == html.count("</script>") == 1
    found = SCRIPT.search(html)
    assert found is not None
    assert json.loads(found.group(1))["back"] == f"{hostile}#attemptId=a&handle=h"


def test_refusal_is_text_and_nothing_else() -> None:
    html, headers = refusing_page("<b>No</b>", "it <i>failed</i>")
    assert "<b>" not in html
    assert "<i>" not in html
    assert "<script" not in html
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_no_nonce_is_used_twice() -> None:
    told = Told(attempt_id="a", origin="https://app.example", redirect_url="https://app.example/", error="denied")
    assert len({telling_page(told)[1]["content-security-policy"] for _ in range(50)}) == 50


@pytest.mark.parametrize("origin", ORIGINS)
def test_page_of_the_origin_itself_is_kept(origin: str) -> None:
    assert check_redirect_url(f"{origin}/a?b=c", ORIGINS) == origin
