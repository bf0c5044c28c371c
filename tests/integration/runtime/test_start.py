"""What a service loads before its workers begin; its edges load the rest beside them."""

import subprocess
import sys

import pytest

OF_THE_EDGES = {"litestar", "uvicorn", "faststream", "pydantic", "click"}
OF_TERMINALS = {"rich", "pygments"}
OF_NOBODY = {"redis", "attr"}  # a whole client of Redis, and models that Litestar would serve
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
    assert loaded.isdisjoint(OF_THE_EDGES | OF_TERMINALS | OF_NOBODY)


def test_http_side_is_made_without_models_that_no_route_has() -> None:
    program = (
        "import sys, libs.common.lean, services.sync.app as app\n"
        "from libs.common.command import describing_settings\n"
        "from services.sync.settings import SyncSettings\n"
        "app.describe(describing_settings(SyncSettings))\n"
        "print(*(name for name, one in sys.modules.items() if one))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    loaded = set(said.split())
    assert "litestar" in loaded
    assert loaded.isdisjoint({"attr", "pydantic", "pydantic.v1"})
