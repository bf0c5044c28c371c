"""What a service is told, and what it is not."""

import os
from pathlib import Path

import pytest

from libs.local.environment import (
    SANDBOX_CLIENT_ID,
    Addresses,
    migrate_environment,
    sandbox_environment,
    service_environment,
    with_settings_file,
)
from libs.local.postgres import Postgres
from libs.local.stack import build
from libs.local.state import SERVICES, State, find_root
from libs.providers.github.sandbox.oauth.grants import CLIENT_ID

ADDRESSES = Addresses(
    gateway="http://127.0.0.1:1", services={name: f"http://127.0.0.1:{n}" for n, name in enumerate(SERVICES, 10)},
    kafka="127.0.0.1:2", redis="redis://:pw@127.0.0.1:3/0", sandbox=None,
)  # fmt: skip


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State.at(tmp_path)


def test_serving_process_never_learns_the_owner_password(state: State) -> None:
    cluster = Postgres(state, 5)
    served = service_environment(state, "sync", ADDRESSES, cluster)
    assert cluster.passwords()["sync_owner"] not in "".join(served.values())
    assert served["DATABASE_URL"] == cluster.dsn("sync_app")
    assert served["WORKER_DATABASE_URL"] == cluster.dsn("sync_worker")
    assert migrate_environment(state, "sync", ADDRESSES, cluster)["OWNER_DATABASE_URL"] == cluster.dsn("sync_owner")


def test_service_finds_its_port_and_the_others(state: State) -> None:
    served = service_environment(state, "sync", ADDRESSES, Postgres(state, 5))
    assert served["HTTP_PORT"] == "12"
    assert served["AUTH_URL"] == "http://127.0.0.1:10"
    assert served["CHUNKER_URL"] == "http://127.0.0.1:13"


def test_public_url_of_the_operator_wins_over_the_front_door(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBLIC_URL", "https://sluice.example")
    assert service_environment(state, "auth", ADDRESSES, Postgres(state, 5))["PUBLIC_URL"] == "https://sluice.example"


def test_sandbox_is_the_only_private_endpoint_allowed(state: State) -> None:
    told = sandbox_environment(state, "http://127.0.0.1:99")
    assert told["ALLOWED_PRIVATE_ENDPOINTS"] == "127.0.0.1:99"
    assert told["GITHUB_API_URL"] == "http://127.0.0.1:99/github/api"
    assert sandbox_environment(state, None) == {}


def test_services_and_sandbox_are_told_the_same_application(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_CLIENT_ID", "the-operators-own")
    specs = {spec.name: spec for spec in build(state, sandbox=True).specs}
    served = specs["auth"].env
    assert served["GITHUB_CLIENT_ID"] == SANDBOX_CLIENT_ID == CLIENT_ID
    assert served["GITHUB_CLIENT_SECRET"] == specs["sandbox"].env["SANDBOX_GITHUB_CLIENT_SECRET"]
    assert len(served["GITHUB_CLIENT_SECRET"]) == 40


def test_secret_is_told_to_the_services_that_use_it_and_to_no_other(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_CLIENT_SECRET", "0123456789abcdef0123456789abcdef01234567")
    monkeypatch.setenv("POSTGRES_PASSWORD", "of-the-compose-file-alone")
    told = {name: service_environment(state, name, ADDRESSES, Postgres(state, 5)) for name in SERVICES}
    assert [name for name in SERVICES if "GITHUB_CLIENT_SECRET" in told[name]] == ["auth"]
    assert sorted(name for name in SERVICES if "SLUICE_KEK" in told[name]) == ["auth", "webhooks"]
    assert not [name for name in SERVICES if "POSTGRES_PASSWORD" in told[name]]


def test_settings_file_is_read_and_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "GITHUB_CLIENT_ID=from-the-file\nGITHUB_CLIENT_SECRET=\n# a remark\nPUBLIC_URL='https://file.example'\n"
        "GITHUB_INTEGRATION_REDIRECT_URI=http://localhost:5173/auth-callback?provider=GitHub\n"
    )
    read = with_settings_file(tmp_path, {"PUBLIC_URL": "https://environment.example"})
    assert read == {
        "GITHUB_CLIENT_ID": "from-the-file", "PUBLIC_URL": "https://environment.example",
        "GITHUB_INTEGRATION_REDIRECT_URI": "http://localhost:5173/auth-callback?provider=GitHub",
    }  # fmt: skip
    assert with_settings_file(tmp_path / "none", {"A": "1"}) == {"A": "1"}


def test_secrets_stay_the_same_and_are_private(state: State) -> None:
    first, second = (service_environment(state, "auth", ADDRESSES, Postgres(state, 5)) for _ in range(2))
    assert first == second
    secrets = [path for path in state.keys.rglob("*") if path.is_file()]
    assert len(secrets) >= 3 + 2 * len(SERVICES)
    assert {path.stat().st_mode & 0o777 for path in secrets} == {0o600}


def test_wheels_write_into_the_state_and_the_own_home_comes_back(state: State) -> None:
    before = os.environ.get("HOME")
    with state.as_wheel_home():
        assert os.environ["HOME"] == str(state.wheels_home)
    assert os.environ.get("HOME") == before
    assert state.wheel_environment()["XDG_RUNTIME_DIR"] == str(state.wheels_runtime)


def test_home_named_by_the_operator_decides_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / ".sluice"))
    assert find_root() == tmp_path
