"""A real browser: Debian's chromium, driven from outside."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.async_api import Browser

ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu"]


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """A missing browser is a skip on somebody's machine, never in CI."""
    from playwright.async_api import async_playwright  # every suite reads this file, one of them starts a browser

    program = shutil.which("chromium")
    if program is None:
        reason = "no chromium is installed (apt-get install chromium)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield browser
        await browser.close()
