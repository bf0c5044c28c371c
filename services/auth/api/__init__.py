"""The HTTP edge of auth: parse, one use case, answer."""

from __future__ import annotations

from services.auth.api.client_tokens import post_client_token
from services.auth.api.integrations import IntegrationController, connect, list_integrations
from services.auth.api.internal import lend_access_token
from services.auth.api.oauth import begin_connect, complete_connect, read_attempt, receive_consent, start_consent
from services.auth.api.workspaces import delete_workspace, list_providers, put_workspace, read_icon

HANDLERS = (
    put_workspace,
    delete_workspace,
    post_client_token,
    list_providers,
    read_icon,
    connect,
    list_integrations,
    IntegrationController,
    begin_connect,
    start_consent,
    receive_consent,
    complete_connect,
    read_attempt,
    lend_access_token,
)

__all__ = ["HANDLERS"]
