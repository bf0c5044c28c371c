"""The outermost layer of a surface: ours, so that 404, 405 and CORS answers pass through it as well."""

from __future__ import annotations

from typing import Any

from litestar import Litestar
from litestar.plugins import PluginProtocol
from litestar.plugins.core import MsgspecDIPlugin

from libs.common.http.exchange import Exchange


class EdgeApp(Litestar):
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        await Exchange(scope).run(super().__call__, receive, send)

    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        """Our models are msgspec's. Litestar would serve two more libraries because they are installed, and loading
        those takes as long as making the application."""
        return [*plugins, MsgspecDIPlugin()]
