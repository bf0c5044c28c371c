"""What a service loads before its workers begin; its edges load the rest beside them."""

import subprocess
import sys

import pytest

OF_THE_EDGES = {"litestar", "uvicorn", "faststream", "pydantic", "click"}
OF_TERMINALS = {"rich", "pygments"}
PROGRAM = """
import sys
import libs.common.lean, libs.common.command, libs.common.serving, services.{}.app
print(*(name for name, one in sys.modules.items() if one))
"""


@pytest.mark.parametrize("service", ["auth", "webhooks", "sync", "chunker"])
def test_workers_begin_without_what_only_the_edges_need(service: str) -> None:
    program = [sys.executable, "-c", PROGRAM.format(service)]
    said = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    loaded = {name.partition(".")[0] for name in said.split()}
    assert "asyncpg" in loaded
    assert loaded.isdisjoint(OF_THE_EDGES | OF_TERMINALS)
