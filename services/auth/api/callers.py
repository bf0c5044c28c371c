"""For whom a caller acts: what every step of a consent compares."""

from __future__ import annotations

from libs.common.errors import InvalidInput
from libs.common.security.principals import Principal
from services.auth.domain.attempt import Starter
from services.auth.domain.input import check_subject


def starter_of(principal: Principal, subject: str | None) -> Starter:
    """A client token is its user's and nobody else's; an API key may name the user that it acts for."""
    if principal.user is not None:
        if subject not in (None, principal.user):
            raise InvalidInput("a client token acts for its own subject only", pointer="/subject")
        return Starter(principal=principal.subject, subject=principal.user)
    return Starter(principal=principal.subject, subject="" if subject is None else check_subject(subject))
