"""A command is there at once: what only services or single verbs need is not loaded for each."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("asyncpg", "aiokafka", "cryptography", "joserfc", "litestar", "opentelemetry", "redis")


def test_command_line_starts_without_what_only_services_need() -> None:
    program = f"import sys, libs.cli.main; print(*(name for name in {HEAVY} if name in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert loaded.stdout.split() == []
