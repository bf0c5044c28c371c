"""What starts without a database: the settings' refusals and the OpenAPI document."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.command import DESCRIBING, describing_settings
from libs.common.errors import ConfigurationError
from libs.common.http.openapi import openapi_document
from libs.common.settings import load_settings
from services.auth.app import describe
from services.auth.settings import AuthSettings


def document() -> dict[str, Any]:
    return openapi_document(describe(describing_settings(AuthSettings)))


def test_document_lists_every_route_of_auth() -> None:
    paths = document()["paths"]
    told = {
        (method, path) for path, item in paths.items() for method in item if path.startswith(("/v1/", "/internal/"))
    }
    one = "/v1/integrations/{integration}"
    assert told == {
        ("put", "/v1/workspaces/{workspace}"),
        ("delete", "/v1/workspaces/{workspace}"),
        ("get", "/v1/providers"),
        ("get", "/v1/providers/{provider}/icon"),
        ("post", "/v1/workspaces/{workspace}/integrations"),
        ("get", "/v1/workspaces/{workspace}/integrations"),
        ("get", one),
        ("patch", one),
        ("delete", one),
        ("post", f"{one}/check"),
        ("post", f"{one}/pause"),
        ("post", f"{one}/resume"),
        ("post", f"{one}/reconnect"),
        ("post", "/v1/workspaces/{workspace}/connect"),
        ("post", "/v1/workspaces/{workspace}/client-tokens"),
        ("get", "/v1/oauth/start/{attempt}"),
        ("get", "/v1/oauth/callback/{ctx}"),
        ("post", "/v1/oauth/complete"),
        ("get", "/v1/oauth/attempts/{attempt}"),
        ("post", "/internal/v1/integrations/{integration}/access-token"),
    }


def test_document_is_the_same_twice() -> None:
    assert document() == document()


@pytest.mark.parametrize("seconds", [0, 3601])
def test_teardown_outside_its_bounds_refuses_to_start(seconds: int) -> None:
    with pytest.raises(ConfigurationError, match="TEARDOWN_SECONDS"):
        load_settings(AuthSettings, {**DESCRIBING, "TEARDOWN_SECONDS": str(seconds)})


def test_printed_settings_show_no_secret() -> None:
    settings = describing_settings(AuthSettings)
    assert settings.sluice_kek not in repr(settings)
