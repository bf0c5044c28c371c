"""A job worker in a process of its own, so that it can be killed between claim and end."""

import asyncio
import os
from collections.abc import Mapping
from typing import Any

from libs.common.database.engine import Database
from libs.common.jobs import Job, JobWorker
from tests.integration.bus.rig import SEE

db = Database("auth", app_url=os.environ["APP_URL"], worker_url=os.environ["WORKER_URL"])


async def renew(payload: Mapping[str, Any], job: Job) -> None:
    async with db.transaction(job.workspace_id) as tx:
        await tx.execute(SEE, workspace=job.workspace_id, key=job.dedupe_key, version=1)


asyncio.run(JobWorker(db, {"renew": renew}, lease_seconds=1.0, idle=0.05).run(asyncio.Event()))
