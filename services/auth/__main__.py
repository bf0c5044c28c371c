"""`python -m services.auth serve [--only http|consumers|workers] | migrate | openapi | settings`."""

import sys

import libs.common.lean  # noqa: F401 - before anything that it leaves out
from libs.common.command import run_command
from services.auth.settings import AuthSettings

if __name__ == "__main__":
    sys.exit(run_command("auth", AuthSettings, "services.auth.app"))
