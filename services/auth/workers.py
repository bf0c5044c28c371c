"""The jobs of auth: what is erased when a teardown is over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from libs.common.jobs.later import Job
from libs.common.jobs.worker import JobWorker
from services.auth.deps import Deps
from services.auth.use_cases.disconnect import erase_grant
from services.auth.use_cases.later import ERASE_GRANT, ERASE_WORKSPACE
from services.auth.use_cases.workspaces import finish_erasure


def create_job_worker(deps: Deps) -> JobWorker:
    async def run_erase_grant(payload: Mapping[str, Any], job: Job) -> None:
        await erase_grant(deps=deps, workspace=job.workspace_id, integration_id=payload["integration_id"])

    async def run_erase_workspace(payload: Mapping[str, Any], job: Job) -> None:
        await finish_erasure(job.workspace_id, deps=deps)

    return JobWorker(deps.db, {ERASE_GRANT: run_erase_grant, ERASE_WORKSPACE: run_erase_workspace})
