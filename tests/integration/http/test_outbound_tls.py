"""A real handshake: only who shows a certificate of a trusted authority, in its own name, is told anything."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from libs.common.errors import ProviderUnavailable
from libs.common.http import trust
from libs.common.http.client import OutboundClient
from tests.integration.http.canary import Canary


def certificate(place: Path, address: str) -> Path:
    """Self-signed, for one address: with its key in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sluice test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = place / "server.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return pem


@asynccontextmanager
async def listening(pem: Path) -> AsyncIterator[Canary]:
    canary = Canary()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    server = await asyncio.start_server(canary.handle, "127.0.0.1", 0, ssl=context)
    canary.port = server.sockets[0].getsockname()[1]
    try:
        yield canary
    finally:
        server.close()


async def asked(canary: Canary) -> int:
    async with OutboundClient([canary.endpoint]) as client:
        return (await client.request("GET", f"https://{canary.endpoint}/", retries=0)).status


async def test_certificate_of_no_authority_is_refused_and_nothing_is_told(tmp_path: Path) -> None:
    async with listening(certificate(tmp_path, "127.0.0.1")) as canary:
        with pytest.raises(ProviderUnavailable):
            await asked(canary)
        assert canary.seen == []


async def test_certificate_of_a_trusted_authority_is_believed_in_its_own_name_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for address, names in (("127.0.0.1", True), ("127.0.0.2", False)):
        pem = certificate(tmp_path, address)
        monkeypatch.setattr(trust, "trust", lambda pem=pem: ssl.create_default_context(cafile=pem))
        async with listening(pem) as canary:
            if names:
                assert await asked(canary) == 200
            else:
                with pytest.raises(ProviderUnavailable):
                    await asked(canary)
            assert len(canary.seen) == int(names)


async def test_stand_in_of_the_pool_trusts_nobody() -> None:
    context = trust.trust_nobody()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.cert_store_stats()["x509_ca"] == 0
