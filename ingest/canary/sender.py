"""Sender: speaks to the broker as the canary's gateway does, once for each beat."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from paho.mqtt import client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from devices import wire
from devices.errors import MalformedMessage, UnsupportedVersion
from devices.reading import Reading
from ingest.config import ConnectionSettings
from ingest.mqtt import new_client

KEEPALIVE_S: Final = 30
_QOS: Final = 1


class Unusable(Exception):
    """Her certificate, key or password cannot be read; the message says why."""


class Sender:
    """One connection. Made by ``connected``."""

    def __init__(self, settings: ConnectionSettings, gateway_id: str) -> None:
        self._gateway_id = gateway_id
        self._receipts = wire.topic(gateway_id, wire.TopicKind.RECEIPTS)
        self._loop = asyncio.get_running_loop()
        self._is_listening = asyncio.Event()
        self._has_receipt = asyncio.Event()
        self._correlation = uuid4().bytes
        self.refused = ""  # why, in the words of the receipt or the broker
        self.is_denied = False  # the broker itself did not take it
        # The broker knows a gateway by this name alone.
        self._client = new_client(settings, gateway_id, manual_ack=False)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_publish = self._on_publish
        self._client.on_message = self._on_message
        self._client.connect_async(settings.host, settings.port, KEEPALIVE_S, clean_start=True)
        self._client.loop_start()

    async def send(self, reading: Reading) -> None:
        """Publish *reading* once the broker listens to us and we to it. May wait for ever."""
        await self._is_listening.wait()
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ResponseTopic = self._receipts
        properties.CorrelationData = self._correlation
        self._client.publish(
            wire.topic(self._gateway_id, wire.TopicKind.READINGS),
            wire.encode_message(self._gateway_id, datetime.now(UTC), [reading]),
            _QOS,
            properties=properties,
        )

    @property
    def has_receipt(self) -> bool:
        """Whether the answer to what was sent has come."""
        return self._has_receipt.is_set()

    def close(self) -> None:
        """End the connection; waits for the library's thread."""
        self._client.disconnect()
        self._client.loop_stop()

    # Called in paho's thread.

    def _soon(self, call: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(call)

    def _on_connect(
        self,
        client: paho.Client,
        _userdata: Any,
        _flags: paho.ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self.refused = _refused("connecting", reason)
        else:
            # Unless it hung up for what it denied.
            self.refused = self.refused if self.is_denied else ""
            client.subscribe(self._receipts, qos=_QOS)

    def _on_subscribe(
        self,
        _client: paho.Client,
        _userdata: Any,
        _mid: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        if reasons[0].is_failure:
            self._denied("subscribing to receipts", reasons[0])
        else:
            self._soon(self._is_listening.set)

    def _on_publish(
        self,
        _client: paho.Client,
        _userdata: Any,
        _mid: int,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._denied("publishing readings", reason)

    def _denied(self, what: str, reason: ReasonCode) -> None:
        self.refused = _refused(what, reason)
        self.is_denied = True

    def _on_message(self, _client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        if getattr(message.properties, "CorrelationData", None) != self._correlation:
            return
        try:
            receipt = wire.decode_receipt(bytes(message.payload))
        except (MalformedMessage, UnsupportedVersion) as error:
            self.refused = f"the receipt cannot be read: {error}"
            return
        if receipt.stored:
            self._soon(self._has_receipt.set)
        else:
            said = [f"{refusal.reason}: {refusal.detail}" for refusal in receipt.refused]
            self.refused = receipt.message_refused or "; ".join(said)


def _refused(what: str, reason: ReasonCode) -> str:
    return f"the broker refuses {what}: {reason}"


@asynccontextmanager
async def connected(settings: ConnectionSettings, gateway_id: str) -> AsyncIterator[Sender]:
    """Give a sender, and end its connection whatever happens.

    Raises:
        Unusable: What proves who she is cannot be used.
    """
    try:
        sender = Sender(settings, gateway_id)
    except OSError as error:  # what is no certificate is an SSLError, which is one
        problem = f"her certificate, key or password: {error}"
        raise Unusable(problem) from error
    try:
        yield sender
    finally:
        await asyncio.to_thread(sender.close)
