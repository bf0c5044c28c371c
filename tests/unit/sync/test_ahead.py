"""How far ahead pages are asked for, what is taken together, and what a failure among them does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime

import pytest

from libs.common.errors import ProviderContractBroken, ProviderUnavailable
from libs.common.provider.sync import Item, Listed, Observed, Page
from services.sync.repository.runs import Counts
from services.sync.workers.ahead import MOST_BYTES, MOST_WAITING, Ahead
from services.sync.workers.pulled import Pulled, Used

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SMALL = 100


class Provider:
    """Gives ten pages of one object each as soon as it is asked; `fails` at one of them, `lists` the next instead."""

    def __init__(self, *, size: int = SMALL, fails: int | None = None, lists: int | None = None) -> None:
        self.asked = 0
        self.size, self.fails, self.lists = size, fails, lists

    async def pages(self) -> AsyncGenerator[Page, None]:
        for number in range(10):
            self.asked += 1
            await asyncio.sleep(0)
            if number == self.fails:
                raise ProviderUnavailable("away")
            yield Page(items=(self._item(number),), cursor={"at": number}, last=number == 9)

    def _item(self, number: int) -> Item:
        key = f"item:{number}"
        if number == self.lists:
            return Listed(key=key, type="issue", revision="1")
        return Observed(key=key, type="issue", name="", url="", content="", content_type="text/plain", revision="1")

    def ahead(self, *, joins: bool = True) -> Ahead:
        used = Used(Counts(bytes=self.size), {})
        return Ahead(self.pages(), 10, moment=lambda: NOW, used=lambda: used, joins=joins)


async def settle() -> None:
    for _ in range(200):
        await asyncio.sleep(0)


def numbers(taken: Pulled) -> list[int]:
    return [int(item.key.split(":")[1]) for item in taken.page.items if isinstance(item, (Observed, Listed))]


async def test_all_pages_come_once_and_in_their_order_however_slowly_they_are_taken() -> None:
    found: list[int] = []
    async with Provider().ahead() as pages:
        while True:
            taken = await pages.take()
            found += numbers(taken)
            if taken.page.last:
                break
            pages.ask()
            await settle()
    assert found == list(range(10))


async def test_no_more_pages_wait_than_may_and_those_are_taken_together() -> None:
    provider = Provider()
    async with provider.ahead() as pages:
        assert numbers(await pages.take()) == [0]
        await settle()
        assert provider.asked == 1 + MOST_WAITING
        assert numbers(await pages.take()) == [1, 2, 3]


async def test_large_pages_are_not_heaped_up() -> None:
    provider = Provider(size=MOST_BYTES)
    async with provider.ahead() as pages:
        for number in range(4):
            assert numbers(await pages.take()) == [number]
            pages.ask()
            await settle()
            assert provider.asked == number + 2


async def test_page_that_needs_its_provider_is_taken_alone_and_not_followed_before() -> None:
    provider = Provider(lists=2)
    async with provider.ahead() as pages:
        assert numbers(await pages.take()) == [0]
        await settle()
        assert provider.asked == 3
        assert numbers(await pages.take()) == [1]
        assert numbers(await pages.take()) == [2]
        await settle()
        assert provider.asked == 3
        pages.ask()
        await settle()
        assert provider.asked == 3 + MOST_WAITING


async def test_after_a_failure_each_page_is_taken_alone() -> None:
    async with Provider().ahead(joins=False) as pages:
        for number in range(4):
            assert numbers(await pages.take()) == [number]
            await settle()


async def test_pages_before_one_that_fails_are_taken_first() -> None:
    async with Provider(fails=3).ahead() as pages:
        assert numbers(await pages.take()) == [0]
        await settle()
        assert numbers(await pages.take()) == [1, 2]
        with pytest.raises(ProviderUnavailable):
            await pages.take()


async def test_told_not_to_go_on_it_asks_for_nothing_and_gives_what_has_come() -> None:
    provider = Provider()
    async with provider.ahead() as pages:
        await pages.take()
        await settle()
        asked, pages.goes_on = provider.asked, False
        assert not pages.is_empty
        assert numbers(await pages.take()) == [1, 2, 3]
        pages.ask()
        await settle()
        assert pages.is_empty
        assert provider.asked == asked


async def test_page_under_way_is_ended_with_what_asked_for_it() -> None:
    ended = asyncio.Event()

    async def hanging() -> AsyncGenerator[Page, None]:
        yield Page(items=(), cursor={}, last=False)
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with Ahead(hanging(), 10, moment=lambda: NOW, used=lambda: Used(Counts(), {})) as pages:
        await pages.take()
        await settle()
    assert ended.is_set()
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "page ahead"]


@pytest.mark.parametrize("is_slow", [True, False])
async def test_stream_that_does_not_come_to_its_end_is_told_as_what_it_is(is_slow: bool) -> None:
    async def endless() -> AsyncGenerator[Page, None]:
        if is_slow:
            await asyncio.Event().wait()
        return
        yield

    failure = ProviderUnavailable if is_slow else ProviderContractBroken
    async with Ahead(endless(), 0.01, moment=lambda: NOW, used=lambda: Used(Counts(), {})) as pages:
        with pytest.raises(failure):
            await pages.take()
