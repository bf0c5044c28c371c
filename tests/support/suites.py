"""Runs suites one after another, printing seconds, counts and skips: `python -m tests.support.suites unit e2e`.

`--kafka` runs every test that uses a broker once more, on a real Apache Kafka, and refuses a run that covers less.
`--opensearch` runs what a search promises once more, ranked by a real OpenSearch, with what its mirror promises.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REPORTS = ROOT / ".sluice" / "reports"
ORDER = os.environ.get("SLUICE_ORDER", "2717962425")  # the shuffle is the same for everybody, so that a red run repeats
BUDGET_S = {"unit": 10, "properties": 60, "contract": 180, "integration": 480, "e2e": 180, "chaos": 450}
BUDGET_S |= {"kafka": 300, "opensearch": 150}
# A stack for each of two workers, and a file's tests in one of them; the suites of whole stacks have the machine alone.
PARALLEL = ("unit", "properties", "contract", "integration")
SEARCHES = [f"tests/integration/chunker/test_{name}.py" for name in ("searching", "hybrid", "search_api", "mirror")]
# Nothing there is drawn at random, and what does that is loaded for its last line alone.
PLUGINS = {"unit": ["-p", "no:hypothesispytest"]}
PATHS = {"contract": ["tests/contract", "libs/providers"]}


def main(arguments: list[str]) -> int:
    REPORTS.mkdir(parents=True, exist_ok=True)
    if arguments == ["--kafka"]:
        return rerun_on_kafka()
    if arguments == ["--opensearch"]:
        return rerun_on_opensearch()
    results = [run(suite, PATHS.get(suite, [f"tests/{suite}"])) for suite in arguments]
    failed = [suite for suite, result in zip(arguments, results, strict=True) if result["code"]]
    total = sum(result["tests"] for result in results)
    print(f"{total - len(failed)} tests in {len(results)} suites; failed suites: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


def run(
    name: str, paths: list[str], *, environ: dict[str, str] | None = None, extra: list[str] | None = None
) -> dict[str, int]:
    report = REPORTS / f"{name}.xml"
    started = time.monotonic()
    parallel = ["-n", "2", "--dist", "loadfile"] if name in PARALLEL else []
    command = [
        sys.executable,
        "-m",
        "pytest",
        *paths,
        *parallel,
        *PLUGINS.get(name, []),
        f"--order={ORDER}",
        f"--junitxml={report}",
        "--durations=5",
        *(extra or []),
    ]
    print(f"== suite {name}", flush=True)
    code = subprocess.run(command, cwd=ROOT, env={**os.environ, **(environ or {})}, check=False).returncode
    seconds = time.monotonic() - started
    tests, skipped = counts(report)
    print(f"figure suite_{name} value={seconds:.1f} unit=s against={BUDGET_S.get(name, 0)}", flush=True)
    print(f"figure suite_{name}_tests value={tests} unit=tests against={tests} skipped={skipped}", flush=True)
    return {"code": code, "tests": tests, "skipped": skipped}


def rerun_on_kafka() -> int:
    """The same broker tests as on the embedded stack, none skipped."""
    from tests.support.kafka import real_kafka

    expected = collected_broker_tests()
    with real_kafka() as broker:
        print(f"broker: Apache Kafka {broker.version}", flush=True)
        environ = {"SLUICE_TEST_BROKER": "kafka"}
        result = run("kafka", ["tests/integration"], environ=environ, extra=["-m", "broker", "--timeout=180"])
    same = result["tests"] == expected and result["skipped"] == 0
    print(f"figure kafka_rerun value={result['tests']} unit=tests against={expected} skipped={result['skipped']}")
    return 0 if same and not result["code"] else 1


def rerun_on_opensearch() -> int:
    """The same searches as on Postgres, none skipped."""
    from tests.support.opensearch import VERSION, real_opensearch

    started = time.monotonic()
    with real_opensearch() as node:
        print(f"OpenSearch {VERSION}, up in {time.monotonic() - started:.0f} s", flush=True)
        result = run("opensearch", SEARCHES, environ={"SLUICE_TEST_OPENSEARCH": node.url}, extra=["--timeout=180"])
    return 1 if result["code"] or result["skipped"] else 0


def collected_broker_tests() -> int:
    command = [sys.executable, "-m", "pytest", "tests/integration", "-m", "broker", "--collect-only", "-q"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sum("::" in line for line in listing.splitlines())


def counts(report: Path) -> tuple[int, int]:
    suite = ElementTree.parse(report).getroot().find("testsuite")
    if suite is None:
        return 0, 0
    return int(suite.get("tests", "0")), int(suite.get("skipped", "0"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
