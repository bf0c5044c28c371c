"""The one import for calling out: to the world through the guard, and to our own services."""

from __future__ import annotations

from libs.common.http.addresses import AddressRefused
from libs.common.http.internal import InternalClient
from libs.common.http.outbound import OutboundClient, Response

__all__ = ["AddressRefused", "InternalClient", "OutboundClient", "Response"]
