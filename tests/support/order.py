"""Tests in another order than written, the same for the same word: `--order=WORD`.

pytest-randomly does the same, and loads three libraries to have them reseeded that no test here draws from.
"""

from __future__ import annotations

import random
from zlib import crc32

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--order", default="", metavar="WORD", help="shuffle files, and the tests in each, by this word")


@pytest.hookimpl(tryfirst=True)  # a suite that needs an order of its own makes it of this one
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    word = config.getoption("--order")
    if word:
        # By the file's name in the checkout: two checkouts have one order.
        items.sort(key=lambda item: (_place(word, item.nodeid.partition("::")[0]), _place(word, item.nodeid)))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    _draw_anew(item)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    _draw_anew(item)


def _draw_anew(item: pytest.Item) -> None:
    """What a test draws is its own, whichever ran before it and whatever its fixtures drew."""
    random.seed(item.config.getoption("--order"))


def _place(word: str, name: str) -> int:
    return crc32(f"{word} {name}".encode())
