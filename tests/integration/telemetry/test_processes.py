"""What a process of its own writes: its spans if it is told where, and no local variable of what failed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec

from libs.common.telemetry.spans import SpanLine

CANARY = "s3cr3t-canary-0123456789"


def test_process_that_configures_nothing_shows_no_local_variable() -> None:
    program = f"""
from libs.common.telemetry.logging import get_logger
def fail(hidden):
    raise ValueError(hidden)
try:
    fail("{CANARY}")
except ValueError as error:
    get_logger("x").error("failed", exc_info=error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert json.loads(done.stderr)["error_type"] == "ValueError"
    assert CANARY not in done.stderr + done.stdout


PROGRAM = """
from libs.common.telemetry.tracing import configure_tracing, flush_traces, span
configure_tracing("demo", {file!r})
with span("work", run_id="r1"):
    pass
flush_traces()
"""


def test_configured_process_writes_its_spans(tmp_path: Path) -> None:
    file = tmp_path / "demo.jsonl"
    program = PROGRAM.format(file=str(file))
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30, env={**os.environ, "PYTHONPATH": "."})
    spans = [msgspec.json.decode(line, type=SpanLine) for line in file.read_bytes().splitlines()]
    assert [(span.name, span.service) for span in spans] == [("work", "demo")]
