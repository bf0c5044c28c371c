"""What a service loads before its workers begin; its edges load the rest beside them."""

import subprocess
import sys

import pytest

OF_THE_EDGES = {"litestar", "uvicorn", "faststream", "pydantic", "click"}
OF_TERMINALS = {"rich", "pygments"}
PROGRAM = """
import sys
import libs.common.lean, libs.common.command, libs.common.serving, services.{}.app
{}
print(*(name for name, one in sys.modules.items() if one))
"""


def loaded_by(program: str) -> set[str]:
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    return {name.partition(".")[0] for name in said.split()}


@pytest.mark.parametrize("service", ["auth", "webhooks", "sync", "chunker"])
def test_workers_begin_without_what_only_the_edges_need(service: str) -> None:
    loaded = loaded_by(PROGRAM.format(service, ""))
    assert "asyncpg" in loaded
    assert loaded.isdisjoint(OF_THE_EDGES | OF_TERMINALS)


def test_process_of_workers_alone_answers_its_probes_without_a_framework() -> None:
    loaded = loaded_by(PROGRAM.format("sync", "import libs.common.http.server, libs.common.http.probes"))
    assert "uvicorn" in loaded
    assert loaded.isdisjoint(OF_THE_EDGES - {"uvicorn", "click"})
