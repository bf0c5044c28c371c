"""Of two transactions that wait for each other one is told to come again, and nothing of it is written."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from libs.common.database.engine import Database
from libs.common.errors import Contended
from libs.local.postgres import Postgres


@pytest.fixture
async def two_rows(postgres: Postgres, name: str, db: Database) -> AsyncIterator[None]:
    admin = await asyncpg.connect(postgres.dsn("postgres", name))
    await admin.execute("CREATE TABLE public.pair (id integer PRIMARY KEY, by text NOT NULL DEFAULT '')")
    await admin.execute("INSERT INTO public.pair VALUES (1), (2); GRANT ALL ON public.pair TO PUBLIC")
    yield
    await admin.execute("DROP TABLE public.pair")
    await admin.close()


@pytest.mark.usefixtures("two_rows")
async def test_transactions_in_a_ring_end_as_one_change_and_one_to_repeat(db: Database) -> None:
    both_hold = asyncio.Barrier(2)

    async def write(by: str, first: int, then: int) -> None:
        async with db.transaction("ws") as tx:
            await tx.execute("UPDATE public.pair SET by = :by WHERE id = :id", by=by, id=first)
            await both_hold.wait()
            await tx.execute("UPDATE public.pair SET by = :by WHERE id = :id", by=by, id=then)

    ends = await asyncio.gather(write("a", 1, 2), write("b", 2, 1), return_exceptions=True)
    assert sorted(type(end) for end in ends if end) == [Contended]
    winner = "a" if ends[0] is None else "b"
    async with db.transaction("ws") as tx:
        assert await tx.fetch_value("SELECT string_agg(by, '') FROM public.pair") == winner * 2


@pytest.mark.usefixtures("two_rows")
async def test_lock_that_does_not_come_in_time_is_to_be_asked_for_again(db: Database) -> None:
    async def write() -> None:
        async with db.transaction("ws") as tx:
            await tx.execute("SET LOCAL lock_timeout = '50ms'")
            await tx.execute("UPDATE public.pair SET by = 'late' WHERE id = 1")

    async with db.transaction("ws") as holder:
        await holder.execute("SELECT FROM public.pair WHERE id = 1 FOR UPDATE")
        with pytest.raises(Contended):
            await write()
