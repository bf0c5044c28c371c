"""Settings as an operator meets them: named when missing or weak, described once, read by someone."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from libs.common.command import DESCRIBING, run_command
from libs.common.errors import ConfigurationError
from libs.common.settings import CommonSettings, load_settings, settings_schema
from libs.local.deploy.fill import fill, make_env
from libs.local.deploy.pages import example, operating
from libs.local.deploy.settings import manifests, provider_settings, service_settings
from services.auth.registrations import Registrations
from services.auth.settings import AuthSettings
from services.chunker.settings import ChunkerSettings
from services.sync.settings import SyncSettings
from services.webhooks.settings import WebhooksSettings
from tests.house.source import ROOT

KINDS: dict[str, type[CommonSettings]] = {
    "auth": AuthSettings, "webhooks": WebhooksSettings, "sync": SyncSettings, "chunker": ChunkerSettings,
}  # fmt: skip
SHORT_KEY = "c2hvcnQga2V5IG9mIG9uZSBkYXk="
BAD = {
    "no key": ("auth", "SLUICE_KEK", ""),
    "short key": ("auth", "SLUICE_KEK", SHORT_KEY),
    "default key": ("webhooks", "SLUICE_KEK", "changeme"),
    "key of one byte": ("webhooks", "SLUICE_KEK", "A" * 43 + "="),
    "key that is no base64": ("auth", "SLUICE_KEK", "not base64 at all, but thirty-two"),
    "any origin": ("chunker", "CORS_ALLOWED_ORIGINS", "https://app.example,*"),
    "origin with a path": ("sync", "CORS_ALLOWED_ORIGINS", "https://app.example/"),
    "http outside loopback": ("auth", "PUBLIC_URL", "http://sluice.example"),
    "default password": ("sync", "DATABASE_URL", "postgresql://sync_app:changeme@db/sluice"),
    "key instead of its digest": ("auth", "BOOTSTRAP_API_KEY_SHA256", "slk_a-key-that-was-pasted-here"),
    "digest of a default word": ("auth", "BOOTSTRAP_API_KEY_SHA256", sha256(b"changeme").hexdigest()),
    "debugging level that is none": ("chunker", "LOG_LEVEL", "verbose-secret"),
    "no broker": ("sync", "KAFKA_BOOTSTRAP_SERVERS", ""),
    "no address of auth": ("webhooks", "AUTH_URL", ""),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_setting_refuses_to_start_naming_the_variable_and_not_its_value(case: str) -> None:
    service, name, value = BAD[case]
    with pytest.raises(ConfigurationError) as refusal:
        load_settings(KINDS[service], {**DESCRIBING, name: value})
    assert name in refusal.value.detail
    assert not value or value not in refusal.value.detail


@pytest.mark.parametrize("service", ["auth", "sync", "webhooks"])
@pytest.mark.parametrize("name", ["GITHUB_BASE_URL", "GITHUB_API_URL"])
def test_provider_in_clear_outside_loopback_refuses_to_start_wherever_tokens_are_sent(
    service: str, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable, value in {**DESCRIBING, name: "http://github.example/api"}.items():
        monkeypatch.setenv(variable, value)
    assert run_command(service, KINDS[service], f"services.{service}.app", ["serve"]) == 2
    assert name in capsys.readouterr().err


def test_process_with_a_bad_setting_ends_with_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {**DESCRIBING, "SLUICE_KEK": SHORT_KEY}.items():
        monkeypatch.setenv(name, value)
    assert run_command("auth", AuthSettings, "services.auth.app", ["serve"]) == 2
    told = capsys.readouterr().err
    assert told == "auth cannot start: SLUICE_KEK is weak: set it to 32 random bytes in base64\n"


@pytest.mark.parametrize("service", KINDS)
def test_every_missing_variable_is_named(service: str) -> None:
    for name in settings_schema(KINDS[service])["required"]:
        with pytest.raises(ConfigurationError, match=f"{name.upper()} is not set"):
            load_settings(KINDS[service], {key: value for key, value in DESCRIBING.items() if key != name.upper()})


@pytest.mark.parametrize("url", ["http://localhost:8080", "http://127.0.0.1:1", "http://[::1]:8", "https://a.example"])
def test_loopback_may_be_http_and_everything_else_is_https(url: str) -> None:
    assert load_settings(AuthSettings, {**DESCRIBING, "PUBLIC_URL": url}).public_url == url


def test_empty_variable_takes_the_default() -> None:
    settings = load_settings(SyncSettings, {**DESCRIBING, "SYNC_WORKERS": "", "CORS_ALLOWED_ORIGINS": ""})
    assert (settings.sync_workers, settings.cors_allowed_origins) == (4, ("http://localhost:5173",))


def test_every_setting_says_what_it_means() -> None:
    for kind in KINDS.values():
        assert [name for name, said in settings_schema(kind)["properties"].items() if not said.get("description")] == []


def test_example_lists_every_variable_once_with_its_meaning() -> None:
    described = service_settings({name: settings_schema(kind) for name, kind in KINDS.items()})
    lines = example([*described, *provider_settings(manifests())]).splitlines()
    names = [line.lstrip("# ").partition("=")[0] for line in lines if line.lstrip("# ").partition("=")[0].isupper()]
    assert len(names) == len(set(names))
    assert {setting.name for setting in described} <= set(names)
    assert "# GITHUB_INTEGRATION_REDIRECT_URI=http://localhost:5173/auth-callback?provider=GitHub" in lines
    assert {"# GITHUB_CLIENT_ID=", "# GITHUB_CLIENT_SECRET="} <= set(lines)


def test_documented_callback_page_is_the_one_that_auth_sends() -> None:
    shown = {setting.name: setting.default for setting in provider_settings(manifests())}
    for manifest in (found for found in manifests() if found.oauth):
        sent = Registrations({}).redirect_uri(manifest, "application", "https://sluice.example")
        assert shown[f"{manifest.id.upper()}_INTEGRATION_REDIRECT_URI"] == sent


def test_filled_environment_starts_every_service_and_holds_no_api_key() -> None:
    filled = fill((ROOT / ".env.example").read_text(), "slk_this-key-is-shown-once")
    given = dict(line.split("=", 1) for line in filled.splitlines() if line and not line.startswith("#"))
    assert all(given.values())
    assert len(set(given.values())) == len(given)
    assert "slk_" not in filled
    for kind in KINDS.values():
        load_settings(kind, {**DESCRIBING, **given})


def test_environment_that_exists_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / ".env.example").write_text("SLUICE_KEK=\n")
    assert make_env(tmp_path).startswith("slk_")
    before = (tmp_path / ".env").read_text()
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        make_env(tmp_path)
    assert (tmp_path / ".env").read_text() == before


def test_page_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="marks"):
        operating("# Operating\n", [])
