"""`make bench`: every figure beside its anchor, one after another on the same machine."""

from __future__ import annotations

import importlib
import subprocess
import sys

BENCHES = (
    "chunking",
    "code_chunking",
    "embedding",
    "pages",
    "sync",
    "statuses",
    "outbox",
    "scheduler",
    "issues",
    "search",
    "search_index",
    "freshness",
    "peers",
)


def main(chosen: list[str]) -> int:
    """Each bench in a process of its own, so that none warms or burdens the next."""
    failed = []
    for name in chosen or BENCHES:
        importlib.import_module(f"tests.bench.{name}")  # a broken bench fails before the first one runs
        print(f"== bench {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"tests.bench.{name}"], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
