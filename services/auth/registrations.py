"""What an operator registered at each provider, read by its manifest's id: `<PROVIDER>_CLIENT_ID` and its siblings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from libs.common.errors import ConfigurationError
from libs.common.provider.auth import ClientRegistration
from libs.common.provider.http import check_addresses, provider_urls
from libs.common.provider.manifest import Manifest
from libs.common.settings import WEAK, require_secure
from services.auth.domain.attempt import Callback
from services.auth.domain.refusals import ProviderNotConfigured

# A front end's page: RFC 6749 section 3.1.2.3 compares redirect URIs as plain text, so it is sent as it is written.
DOCUMENTED_PAGE = "http://localhost:5173/auth-callback?provider={name}"
SHORTEST_SECRET = 16


class Registrations:
    """One client registration a provider: the operator's own. Its id (`ctx`) is the provider's id."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def missing(self, manifest: Manifest) -> tuple[str, ...]:
        """The variables that an operator has yet to set before OAuth works; an empty one is not set."""
        names = (_variable(manifest, "CLIENT_ID"), _variable(manifest, "CLIENT_SECRET"))
        return tuple(name for name in names if not self._environ.get(name))

    def default_callback(self, manifest: Manifest) -> Callback:
        """Whoever names a page of the application wants to be called back there."""
        return "application" if self._environ.get(_page_variable(manifest)) else "sluice"

    def redirect_uri(self, manifest: Manifest, callback: Callback, public_url: str) -> str:
        if callback == "sluice":
            return f"{public_url.rstrip('/')}/v1/oauth/callback/{manifest.id}"
        documented = DOCUMENTED_PAGE.format(name=manifest.name.replace(" ", ""))
        return self._environ.get(_page_variable(manifest)) or documented

    def client(self, manifest: Manifest, redirect_uri: str = "") -> ClientRegistration:
        """Raises ProviderNotConfigured (409) that names what is missing."""
        missing = self.missing(manifest)
        if missing:
            raise ProviderNotConfigured(
                f"{manifest.name} cannot be connected by OAuth yet: set {' and '.join(missing)}", pointer="/provider"
            )
        api_url, base_url = provider_urls(manifest, self._environ)
        return ClientRegistration(
            client_id=self._environ[_variable(manifest, "CLIENT_ID")],
            client_secret=self._environ[_variable(manifest, "CLIENT_SECRET")],
            redirect_uri=redirect_uri,
            base_url=base_url,
            api_url=api_url,
        )


def check_registrations(environ: Mapping[str, str], manifests: Iterable[Manifest]) -> None:
    """Refuses to start on a weak secret or on an address in clear. Raises ConfigurationError naming the variable."""
    known = list(manifests)
    check_addresses(known, environ)
    for manifest in known:
        if "oauth" in manifest.connect:
            _check_secret(_variable(manifest, "CLIENT_SECRET"), environ)
            _check_page(_page_variable(manifest), environ)


def _check_secret(variable: str, environ: Mapping[str, str]) -> None:
    secret = environ.get(variable, "")
    if secret and (secret.lower() in WEAK or len(secret) < SHORTEST_SECRET or len(set(secret)) < 6):
        raise ConfigurationError(f"{variable} is weak: set it to the client secret that the provider made")


def _check_page(variable: str, environ: Mapping[str, str]) -> None:
    if environ.get(variable):
        require_secure(variable, environ[variable])
        if "#" in environ[variable]:
            raise ConfigurationError(f"{variable} must not have a fragment (RFC 6749 section 3.1.2)")


def _variable(manifest: Manifest, suffix: str) -> str:
    return f"{manifest.id.upper()}_{suffix}"


def _page_variable(manifest: Manifest) -> str:
    return _variable(manifest, "INTEGRATION_REDIRECT_URI")
