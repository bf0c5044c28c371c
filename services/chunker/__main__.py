"""`python -m services.chunker serve [--only http|consumers|workers] | migrate | openapi | settings`."""

import sys

import libs.common.lean  # noqa: F401 - before anything that it leaves out
from libs.common.command import run_command
from services.chunker.settings import ChunkerSettings

if __name__ == "__main__":
    sys.exit(run_command("chunker", ChunkerSettings, "services.chunker.app"))
