"""tap-github as it is, but for one address: it asks api.github.com for the rate limit whatever `api_url_base` says.

`singer_run.py <api> <the tap's own arguments>`; runs in the tap's own environment, never in ours.
"""

from __future__ import annotations

import sys
from typing import Any

import requests
from tap_github.tap import TapGitHub

WRITTEN = "https://api.github.com"


def main(api: str) -> None:
    real = requests.get

    def get(url: str, **given: Any) -> requests.Response:
        return real(url.replace(WRITTEN, api, 1), **given)

    requests.get = get
    TapGitHub.cli()


if __name__ == "__main__":
    main(sys.argv.pop(1))
