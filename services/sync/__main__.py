"""`python -m services.sync serve [--only http|consumers|workers] | migrate | openapi | settings`."""

import sys

import libs.common.lean  # noqa: F401 - before anything that it leaves out
from libs.common.command import run_command
from services.sync.settings import SyncSettings

if __name__ == "__main__":
    sys.exit(run_command("sync", SyncSettings, "services.sync.app"))
