"""What is known of tokens beyond the exchange: no fixed length, no fixed prefix, and the end of a refresh token."""

from __future__ import annotations

import pytest

from libs.common.errors import AuthRevoked
from libs.common.provider.auth import ClientRegistration
from libs.providers.github.auth import FACET
from libs.providers.github.tests.scripted import Scripted

CLIENT = ClientRegistration(
    client_id="Iv1.one", client_secret="s3cret", redirect_uri="http://localhost:5173/back",
    base_url="https://github.com", api_url="https://api.github.com",
)  # fmt: skip


@pytest.mark.parametrize("token", ["gho_16C7e42F292c6912E7710c838347Ae178B4a", "ghs_1234_" + "e" * 900, "v1.0123abcd"])
async def test_token_of_any_length_and_prefix_is_taken(token: str) -> None:
    http = Scripted((200, {"access_token": token, "scope": "repo", "token_type": "bearer"}))
    assert (await FACET.exchange(http, CLIENT, code="c", code_verifier=None)).access_token == token
    FACET.validate_token(token)


async def test_refused_refresh_token_is_the_end_of_the_grant() -> None:
    with pytest.raises(AuthRevoked, match="bad_refresh_token"):
        await FACET.refresh(Scripted((200, {"error": "bad_refresh_token"})), CLIENT, refresh_token="ghr_old")
