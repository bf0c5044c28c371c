"""Every provider folder keeps the contract; a new one is picked up by its manifest."""

from __future__ import annotations

import subprocess
import sys

import pytest

from libs.common.errors import NotFound
from libs.common.testing import conformance
from libs.providers import registry

PROVIDERS = sorted(registry.manifests())


def with_facet(name: str) -> list[str]:
    return [provider for provider, manifest in registry.manifests().items() if name in manifest.facets]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_manifest_read_from_disk_has_no_faults(provider: str) -> None:
    manifest = registry.manifest(provider)
    assert list(conformance.manifest_faults(manifest, registry.ROOM / provider)) == []


AVAILABLE = [name for name, manifest in registry.manifests().items() if manifest.status == "available"]


@pytest.mark.parametrize("provider", sorted(AVAILABLE))
def test_available_provider_names_a_test_or_a_reason_for_each_rule(provider: str) -> None:
    assert list(conformance.quality_faults(registry.ROOM / provider)) == []


@pytest.mark.parametrize("provider", with_facet("auth"))
def test_auth_facet_given_bad_values_refuses_them(provider: str) -> None:
    assert list(conformance.auth_faults(registry.facet(provider, "auth"))) == []


@pytest.mark.parametrize("provider", [name for name, one in registry.manifests().items() if one.oauth is not None])
def test_consent_page_is_asked_byte_for_byte(provider: str) -> None:
    facet = registry.facet(provider, "auth")
    assert list(conformance.consent_faults(facet, registry.manifest(provider))) == []


@pytest.mark.parametrize("provider", with_facet("webhooks"))
def test_webhook_facet_given_unsigned_or_unreadable_refuses(provider: str) -> None:
    facet = registry.facet(provider, "webhooks")
    assert list(conformance.webhook_faults(facet, registry.manifest(provider))) == []


@pytest.mark.parametrize("provider", with_facet("chunks"))
def test_chunk_facet_lays_out_every_source_type(provider: str) -> None:
    facet = registry.facet(provider, "chunks")
    assert list(conformance.chunk_faults(facet, registry.manifest(provider))) == []


@pytest.mark.parametrize("provider", with_facet("sync"))
def test_sync_facet_has_every_verb(provider: str) -> None:
    assert list(conformance.sync_faults(registry.facet(provider, "sync"))) == []


@pytest.mark.parametrize("provider", with_facet("chunks"))
def test_loading_one_facet_loads_no_other(provider: str) -> None:
    """The chunker must not fall over a broken auth.py, nor webhooks load a tokenizer."""
    program = (
        "import sys; from libs.providers import registry; "
        f"registry.facet({provider!r}, 'chunks'); "
        f"loaded = [n for n in sys.modules if n.startswith('libs.providers.{provider}.')]; "
        "print(' '.join(n.rsplit('.', 1)[1] for n in loaded)); print('httpx' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    loaded, httpx_loaded = answer.strip().splitlines()
    assert not {"auth", "sync", "webhooks"} & set(loaded.split())
    assert httpx_loaded == "False"


@pytest.mark.parametrize("spelling", ["GitHub", "github", "GITHUB", "git-hub", "git_hub"])
def test_provider_in_any_spelling_is_found(spelling: str) -> None:
    assert registry.manifest(spelling).id == "github"


def test_unknown_provider_is_not_found_and_told_what_there_is() -> None:
    with pytest.raises(NotFound, match="github"):
        registry.manifest("nowhere")
