"""What starts without a database: the settings' refusals and the OpenAPI document."""

from __future__ import annotations

import msgspec
import pytest

from libs.common.errors import ConfigurationError
from services.auth.__main__ import openapi
from services.auth.settings import document_settings


def test_document_lists_every_route_of_auth() -> None:
    paths = msgspec.json.decode(openapi())["paths"]
    told = {
        (method, path) for path, item in paths.items() for method in item if path.startswith(("/v1/", "/internal/"))
    }
    one = "/v1/integrations/{integration}"
    assert told == {
        ("put", "/v1/workspaces/{workspace}"),
        ("delete", "/v1/workspaces/{workspace}"),
        ("get", "/v1/providers"),
        ("post", "/v1/workspaces/{workspace}/integrations"),
        ("get", "/v1/workspaces/{workspace}/integrations"),
        ("get", one),
        ("patch", one),
        ("delete", one),
        ("post", f"{one}/check"),
        ("post", f"{one}/pause"),
        ("post", f"{one}/resume"),
        ("post", f"{one}/reconnect"),
        ("post", "/internal/v1/integrations/{integration}/access-token"),
    }


def test_document_is_the_same_twice() -> None:
    assert openapi() == openapi()


@pytest.mark.parametrize("seconds", [0, 3601])
def test_teardown_outside_its_bounds_refuses_to_start(seconds: int) -> None:
    with pytest.raises(ConfigurationError, match="TEARDOWN_SECONDS"):
        document_settings(teardown_seconds=seconds)


def test_printed_settings_show_no_secret() -> None:
    settings = document_settings()
    assert settings.sluice_kek not in repr(settings)
