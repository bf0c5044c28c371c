"""The SQL that prepares a cluster."""

import base64
import hashlib
import hmac

import pytest

from libs.local import roles

PASSWORDS = {role: f"password of {role}" for role in roles.all_roles()}


def test_statements_never_contain_a_password() -> None:
    text = "\n".join(roles.cluster_statements(PASSWORDS))
    assert all(password not in text for password in PASSWORDS.values())


@pytest.mark.parametrize("service", ["auth", "webhooks", "sync", "chunker"])
def test_serving_roles_get_rows_but_neither_schema_nor_rights_over_roles(service: str) -> None:
    text = "\n".join(roles.cluster_statements(PASSWORDS))
    assert f"CREATE SCHEMA IF NOT EXISTS {service} AUTHORIZATION {service}_owner" in text
    assert f"GRANT USAGE ON SCHEMA {service} TO {service}_app, {service}_worker" in text
    assert "GRANT CREATE" not in text


def test_scram_verifier_accepts_its_password_and_no_other() -> None:
    verifier = roles.scram_verifier("right")
    assert _matches(verifier, "right")
    assert not _matches(verifier, "wrong")


def _matches(verifier: str, password: str) -> bool:
    _, parameters, secrets = verifier.split("$")
    iterations, salt = parameters.split(":")
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), int(iterations))
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    return base64.b64decode(secrets.split(":")[0]) == stored
