"""Who may relay: one row, an owner, an epoch and a term in database time; each write of the owner says its epoch."""

from __future__ import annotations

from libs.common.database.engine import Database
from libs.common.database.transaction import Transaction
from libs.common.errors import LeaseLost

NAME = "outbox"
TAKE = """
UPDATE relay SET owner = :owner, epoch = epoch + 1, lease_until = clock_timestamp() + make_interval(secs => :seconds)
WHERE name = :name AND lease_until < clock_timestamp() RETURNING epoch
"""
EXTEND = """
UPDATE relay SET lease_until = clock_timestamp() + make_interval(secs => :seconds)
WHERE name = :name AND epoch = :epoch
"""
HOLD = "SELECT true FROM relay WHERE name = :name AND epoch = :epoch FOR UPDATE"
ADVANCE = """
UPDATE relay SET last_seq = last_seq + CAST(:by AS bigint) WHERE name = :name AND epoch = :epoch RETURNING last_seq
"""
RELEASE = "UPDATE relay SET owner = NULL, lease_until = '-infinity' WHERE name = :name AND epoch = :epoch"


class Lease:
    """A term of one owner. Raises LeaseLost as soon as another owner has begun its own."""

    def __init__(self, db: Database, epoch: int, seconds: float) -> None:
        self._db = db
        self.epoch = epoch
        self.seconds = seconds

    async def extend(self) -> None:
        async with self._db.queue() as tx:
            if not await tx.execute(EXTEND, name=NAME, epoch=self.epoch, seconds=self.seconds):
                raise LeaseLost("another relay took over")

    async def hold(self, tx: Transaction) -> None:
        """Locks the row until the transaction ends, so that no other epoch can begin."""
        if not await tx.fetch_value(HOLD, name=NAME, epoch=self.epoch):
            raise LeaseLost("another relay took over")

    async def advance(self, tx: Transaction, by: int) -> int:
        """Holds as well; answers the last seq, which has moved by so many."""
        last_seq = await tx.fetch_value(ADVANCE, name=NAME, epoch=self.epoch, by=by)
        if last_seq is None:
            raise LeaseLost("another relay took over")
        return int(last_seq)

    async def release(self) -> None:
        async with self._db.queue() as tx:
            await tx.execute(RELEASE, name=NAME, epoch=self.epoch)


async def take_lease(db: Database, owner: str, seconds: float) -> Lease | None:
    """None while another owner's term runs."""
    async with db.queue() as tx:
        epoch = await tx.fetch_value(TAKE, name=NAME, owner=owner, seconds=seconds)
    return None if epoch is None else Lease(db, int(epoch), seconds)
