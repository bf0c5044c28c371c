"""Run later, durably, by lease."""

from libs.common.jobs.later import Job, forget_job, run_later
from libs.common.jobs.worker import JobWorker

__all__ = ["Job", "JobWorker", "forget_job", "run_later"]
