"""What an operator registered: read by the manifest's id, judged at start, named when it is missing."""

from __future__ import annotations

import pytest

from libs.common.errors import ConfigurationError
from libs.providers.registry import manifest, manifests
from services.auth.domain.refusals import ProviderNotConfigured
from services.auth.registrations import Registrations, check_registrations

GITHUB = manifest("github")
SECRET = "0123456789abcdef0123456789abcdef01234567"
BOTH = {"GITHUB_CLIENT_ID": "Ov23", "GITHUB_CLIENT_SECRET": SECRET}
PUBLIC = "https://sluice.example/"


@pytest.mark.parametrize(
    ("environ", "missing"),
    [
        (BOTH, ()),
        ({}, ("GITHUB_CLIENT_ID", "GITHUB_CLIENT_SECRET")),
        ({"GITHUB_CLIENT_ID": "Ov23"}, ("GITHUB_CLIENT_SECRET",)),
        ({**BOTH, "GITHUB_CLIENT_ID": ""}, ("GITHUB_CLIENT_ID",)),
    ],
)
def test_missing_variables_are_named(environ: dict[str, str], missing: tuple[str, ...]) -> None:
    registrations = Registrations(environ)
    assert registrations.missing(GITHUB) == missing
    if missing:
        with pytest.raises(ProviderNotConfigured) as caught:
            registrations.client(GITHUB)
        assert all(name in caught.value.detail for name in missing)
        assert SECRET not in caught.value.detail


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (None, "http://localhost:5173/auth-callback?provider=GitHub"),
        ("", "http://localhost:5173/auth-callback?provider=GitHub"),
        ("https://app.example/cb?provider=GitHub&a=%20b", "https://app.example/cb?provider=GitHub&a=%20b"),
    ],
)
def test_page_of_the_application_is_kept_byte_for_byte(page: str | None, expected: str) -> None:
    environ = BOTH if page is None else {**BOTH, "GITHUB_INTEGRATION_REDIRECT_URI": page}
    registrations = Registrations(environ)
    assert registrations.redirect_uri(GITHUB, "application", PUBLIC) == expected
    assert registrations.redirect_uri(GITHUB, "sluice", PUBLIC) == "https://sluice.example/v1/oauth/callback/github"
    assert registrations.default_callback(GITHUB) == ("application" if page else "sluice")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GITHUB_CLIENT_SECRET", "changeme"),
        ("GITHUB_CLIENT_SECRET", "Secret"),
        ("GITHUB_CLIENT_SECRET", "too-short"),
        ("GITHUB_CLIENT_SECRET", "aaaaaaaaaaaaaaaaaaaaaaaa"),
        ("GITHUB_INTEGRATION_REDIRECT_URI", "http://app.example/cb"),
        ("GITHUB_INTEGRATION_REDIRECT_URI", "https://app.example/cb#x"),
        ("GITHUB_INTEGRATION_REDIRECT_URI", "/auth-callback"),
        ("GITHUB_BASE_URL", "http://github.example"),
        ("GITHUB_API_URL", "http://10.0.0.1/api/v3"),
        ("GITHUB_API_URL", "ftp://github.example"),
    ],
)
def test_weak_secret_or_address_in_clear_refuses_to_start_by_name(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_registrations({**BOTH, variable: value}, manifests().values())
    assert caught.value.detail.startswith(variable)
    assert value not in caught.value.detail


@pytest.mark.parametrize(
    "environ",
    [
        {},
        BOTH,
        {**BOTH, "GITHUB_CLIENT_SECRET": ""},
        {**BOTH, "GITHUB_INTEGRATION_REDIRECT_URI": "http://localhost:5173/auth-callback?provider=GitHub"},
        {
            **BOTH,
            "GITHUB_BASE_URL": "http://127.0.0.1:9000/github",
            "GITHUB_API_URL": "http://127.0.0.1:9000/github/api",
        },
        {**BOTH, "GITHUB_BASE_URL": "https://git.example", "GITHUB_API_URL": "https://git.example/api/v3"},
    ],
)
def test_sound_environment_starts(environ: dict[str, str]) -> None:
    check_registrations(environ, manifests().values())


def test_moved_provider_is_asked_where_it_moved() -> None:
    client = Registrations(
        {**BOTH, "GITHUB_BASE_URL": "https://git.example/", "GITHUB_API_URL": "https://git.example/api/v3"}
    )
    found = client.client(GITHUB, "https://app.example/cb")
    assert (found.base_url, found.api_url) == ("https://git.example", "https://git.example/api/v3")
    assert (found.client_id, found.client_secret, found.redirect_uri) == ("Ov23", SECRET, "https://app.example/cb")
