"""The services' signing keys on a machine of many containers: each sees its own private key and nobody else's."""

from __future__ import annotations

import shutil
from pathlib import Path

from libs.common.security.service_tokens import make_service_keys
from libs.local.state import SERVICES


def make_keys(place: Path) -> None:
    """`<place>/<service>/` gets that service's pair and the public halves of the others; what exists is kept."""
    for service in SERVICES:
        make_service_keys(place / service, [service])
    for service in SERVICES:
        for reader in SERVICES:
            if reader != service:
                shutil.copyfile(place / service / f"{service}.public.pem", place / reader / f"{service}.public.pem")
