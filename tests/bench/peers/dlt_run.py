"""One run of dlt's rest_api source into Postgres; runs in dlt's own environment, never in ours.

`dlt_run.py <api> <dsn> <dataset> <working directory> <flat|nested>`
"""

from __future__ import annotations

import os
import sys

import dlt
from dlt.sources.rest_api import rest_api_source

REPOSITORY = "bench/large"
FIRST = "2026-01-01T00:00:00Z"


def main(api: str, dsn: str, dataset: str, place: str, shape: str) -> None:
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"
    source = rest_api_source(
        {
            "client": {"base_url": api, "auth": {"type": "bearer", "token": "ghp_bench"}, "paginator": "header_link"},
            "resource_defaults": {"primary_key": "id", "write_disposition": "merge"},
            "resources": [
                {
                    "name": "issues",
                    "endpoint": {
                        "path": f"repos/{REPOSITORY}/issues",
                        "params": {
                            "state": "all", "sort": "updated", "direction": "asc", "per_page": 100,
                            "since": "{incremental.start_value}",
                        },
                        "incremental": {"cursor_path": "updated_at", "initial_value": FIRST},
                    },
                }
            ],
        },
        max_table_nesting=0 if shape == "flat" else None,
    )  # fmt: skip
    pipeline = dlt.pipeline(
        "bench", destination=dlt.destinations.postgres(dsn), dataset_name=dataset, pipelines_dir=place, progress=None
    )
    pipeline.run(source)


if __name__ == "__main__":
    main(*sys.argv[1:])
