"""One MQTT 5 connection to the broker, from CONNECT to its loss.

A shell over paho: it holds no rules and stores nothing. A new client is made for each
connection, so paho's own queue never carries a message over: the outbox is the only store.
paho's thread does nothing but hand events to the event loop.
"""

import asyncio
import contextlib
import socket
import ssl
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Final

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from devices.wire import MESSAGE_BYTES_MAX
from gateway.config import UplinkConfig

# A broker that has not answered by then is as good as gone; the next try comes soon.
CONNECT_S_MAX: Final = 10.0
_TCP_CONNECT_S_MAX: Final = 5.0

# The broker notices a dead gateway within 1.5 × this, and says its last will.
KEEPALIVE_S: Final = 30

# Receipts wait at the broker for a gateway that is away; after a day they are as well resent.
SESSION_EXPIRY_S: Final = 86_400

# A receipt is a message's ids; larger is not ours.
PACKET_BYTES_MAX: Final = MESSAGE_BYTES_MAX + 4096

# Acknowledgements and messages not yet looked at: those of everything that can be on its way,
# six times over. A broker that sends more than that at once is left, and connected to anew.
EVENTS_MAX: Final = 256

# Unacknowledged messages the broker may have towards us.
RECEIVE_MAX: Final = 20

# Messages of ours the broker has not acknowledged, unless it says it takes fewer.
PUBLISHED_MAX: Final = 20

_GOODBYE_S_MAX: Final = 0.5
_FAILURE: Final = 0x80  # MQTT 5, 2.4: reason codes from here on are failures


class BrokerError(Exception):
    """The broker cannot be reached, or does not want us.

    Attributes:
        key: The configuration key to look at.
        problem: What happened.
        cure: What to do.
    """

    def __init__(self, key: str, problem: str, cure: str) -> None:
        self.key = key
        self.problem = problem
        self.cure = cure
        super().__init__(f"{key}: {problem}. {cure}")


class BrokerLost(Exception):
    """The connection that stood is gone."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who connects: client id, its last will and what it listens to; a probe has neither."""

    client_id: str
    will_topic: str | None = None
    will: bytes = b""
    listen_topics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The broker took a message, or says why not. No proof that anybody keeps it."""

    message_id: int
    refusal: str | None


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message to us."""

    topic: str
    payload: bytes
    correlation: bytes | None


class Connection:
    """A connection that stands. Made by ``connect``; used once."""

    def __init__(
        self, settings: UplinkConfig, identity: Identity, wake: Callable[[], None]
    ) -> None:
        self._address = f"{settings.host}:{settings.port}"
        self._settings = settings
        self._identity = identity
        self._wake = wake
        self._loop = asyncio.get_running_loop()
        self._events: deque[Acknowledged | Arrived] = deque()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._closed = asyncio.Event()
        self._goodbye = False
        self.lost: str | None = None  # why, once it is
        self.listen_refusals: dict[str, str] = {}  # topic → why the broker denies it
        self.packet_bytes_max = PACKET_BYTES_MAX
        self.receive_max = PUBLISHED_MAX
        self._client = self._make_client()

    def events(self) -> list[Acknowledged | Arrived]:
        """Return what came since the last call, in order.

        Raises:
            BrokerLost: The connection is gone, and everything it brought was returned.
        """
        if self.lost is not None and not self._events:
            raise BrokerLost(self.lost)
        events = list(self._events)
        self._events.clear()
        return events

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        retain: bool = False,
        response_topic: str | None = None,
        correlation: bytes | None = None,
    ) -> int:
        """Hand a message to the connection, QoS 1; return its id for ``Acknowledged``."""
        properties = _properties(PacketTypes.PUBLISH)
        if response_topic is not None:
            properties.ResponseTopic = response_topic
        if correlation is not None:
            properties.CorrelationData = correlation
        return self._client.publish(topic, payload, qos=1, retain=retain, properties=properties).mid

    async def start(self) -> None:
        """Connect and listen.

        Raises:
            BrokerError: It is not possible now.
        """
        self._client.loop_start()
        try:
            async with asyncio.timeout(CONNECT_S_MAX):
                await self._ready
        except TimeoutError:
            raise _unreachable(self._address, TimeoutError("no answer")) from None

    async def stop(self) -> None:
        """Say goodbye. paho's thread ends by itself."""
        self._goodbye = True
        self._client.disconnect()
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GOODBYE_S_MAX):
                    await self._closed.wait()
        finally:
            # They hold us, and we hold the client: apart, its sockets close when its thread
            # ends, not when the garbage collector comes by.
            client = self._client
            client.on_connect = client.on_connect_fail = client.on_disconnect = None
            client.on_subscribe = client.on_publish = client.on_message = None
            # An error that was raised holds the frames that hold us.
            self._ready = self._loop.create_future()
            self._ready.cancel()

    def _make_client(self) -> paho.Client:
        settings, identity = self._settings, self._identity
        # First what may fail: a client takes sockets as soon as there is one.
        password = _password(settings)
        context = _tls(settings) if settings.uses_tls else None
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=identity.client_id,
            protocol=paho.MQTTv5,
            reconnect_on_failure=False,
        )
        client.connect_timeout = _TCP_CONNECT_S_MAX
        if settings.username is not None:
            client.username_pw_set(settings.username, password)
        if context is not None:
            client.tls_set_context(context)
        if identity.will_topic is not None:
            client.will_set(identity.will_topic, identity.will, qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        properties = _properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = SESSION_EXPIRY_S if identity.listen_topics else 0
        properties.ReceiveMaximum = RECEIVE_MAX
        properties.MaximumPacketSize = PACKET_BYTES_MAX
        client.connect_async(
            settings.host, settings.port, KEEPALIVE_S, clean_start=False, properties=properties
        )
        return client

    # From here to the next comment: in paho's thread. Only `_post` may be called.

    def _post(self, action: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(action, *arguments)

    def _on_connect(
        self, client: paho.Client, _: Any, _flags: Any, code: ReasonCode, properties: Any
    ) -> None:
        if code.is_failure:
            self._post(self._fail, _refused(str(code)))
            client.disconnect()
            return
        packet_bytes_max = getattr(properties, "MaximumPacketSize", PACKET_BYTES_MAX)
        receive_max = getattr(properties, "ReceiveMaximum", PUBLISHED_MAX)
        self._post(self._connected, packet_bytes_max, receive_max)
        if self._identity.listen_topics:
            client.subscribe([(topic, 1) for topic in self._identity.listen_topics])
        else:
            self._post(self._subscribed, {})

    def _on_connect_fail(self, client: paho.Client, _: Any) -> None:
        error = sys.exception()  # paho calls this while it handles the error
        self._post(self._fail, _unreachable(self._address, error))
        self._post(self._closed.set)
        client.disconnect()

    def _on_disconnect(
        self, _client: paho.Client, _: Any, _flags: Any, code: ReasonCode, _properties: Any
    ) -> None:
        self._post(self._disconnected, str(code))

    def _on_subscribe(
        self, _client: paho.Client, _: Any, _mid: int, codes: list[ReasonCode], _properties: Any
    ) -> None:
        answers = zip(self._identity.listen_topics, codes, strict=False)
        refusals = {topic: str(code) for topic, code in answers if code.value >= _FAILURE}
        self._post(self._subscribed, refusals)

    def _on_publish(
        self, _client: paho.Client, _: Any, mid: int, code: ReasonCode, _properties: Any
    ) -> None:
        refusal = str(code) if code.value >= _FAILURE else None
        self._post(self._push, Acknowledged(mid, refusal))

    def _on_message(self, _client: paho.Client, _: Any, message: paho.MQTTMessage) -> None:
        correlation = getattr(message.properties, "CorrelationData", None)
        self._post(self._push, Arrived(message.topic, bytes(message.payload), correlation))

    # In the event loop again.

    def _connected(self, packet_bytes_max: int, receive_max: int) -> None:
        self.packet_bytes_max = min(PACKET_BYTES_MAX, packet_bytes_max)
        self.receive_max = min(PUBLISHED_MAX, receive_max)

    def _subscribed(self, refusals: dict[str, str]) -> None:
        self.listen_refusals = refusals
        if not self._ready.done():
            self._ready.set_result(None)

    def _push(self, event: Acknowledged | Arrived) -> None:
        if len(self._events) < EVENTS_MAX:
            self._events.append(event)
        elif self.lost is None:
            self.lost = f"{EVENTS_MAX} messages came at once"
        self._wake()

    def _fail(self, error: BrokerError) -> None:
        if not self._ready.done():
            self._ready.set_exception(error)

    def _disconnected(self, reason: str) -> None:
        self._fail(_unreachable(self._address, ConnectionError(reason)))
        self._closed.set()
        if not self._goodbye:
            self.lost = reason
            self._wake()


@contextlib.asynccontextmanager
async def connect(
    settings: UplinkConfig, identity: Identity, wake: Callable[[], None] = lambda: None
) -> AsyncIterator[Connection]:
    """Connect, and disconnect politely at the end.

    Args:
        settings: Where and as whom.
        identity: Who we say we are.
        wake: Called in the event loop when there is something in ``events``.

    Raises:
        BrokerError: The broker cannot be reached, or does not want us.
    """
    connection = Connection(settings, identity, wake)
    try:
        await connection.start()
        yield connection
    finally:
        await connection.stop()


def _properties(packet_type: int) -> Properties:
    return Properties(packet_type)  # type: ignore[no-untyped-call]


def _password(settings: UplinkConfig) -> str | None:
    try:
        return settings.password()
    except (OSError, UnicodeDecodeError) as error:
        key, problem = "uplink.password_file", f"cannot be read any more ({error})"
        raise BrokerError(key, problem, "Put the file back") from error


def _tls(settings: UplinkConfig) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
        if settings.cert_file is not None:
            context.load_cert_chain(settings.cert_file, settings.key_file)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        key = "uplink.ca_file" if settings.cert_file is None else "uplink.cert_file"
        cure = "Give PEM files: the certificate authority, and the gateway's own pair"
        raise BrokerError(key, f"not usable ({error})", cure) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _refused(reason: str) -> BrokerError:
    problem = f"the broker refuses the connection ({reason})"
    cure = "Check uplink.username, uplink.password_file and the gateway's certificate"
    return BrokerError("uplink.username", problem, cure)


def _unreachable(address: str, error: BaseException | None) -> BrokerError:
    if isinstance(error, socket.gaierror):
        problem = f"no such host in {address} ({error.strerror})"
        return BrokerError("uplink.host", problem, "Correct the name, or the network's DNS")
    if isinstance(error, ConnectionRefusedError):
        problem = f"nobody listens at {address}"
        return BrokerError("uplink.host", problem, "Start the broker, or correct host and port")
    if isinstance(error, ssl.SSLCertVerificationError):
        problem = f"the certificate of {address} is not trusted ({error.verify_message})"
        return BrokerError("uplink.ca_file", problem, "Give the authority that signed it")
    if isinstance(error, ssl.SSLError):
        problem = f"no TLS connection with {address} ({error.reason})"
        return BrokerError("uplink.tls", problem, "Check that the port speaks TLS")
    problem = f"no connection to {address} ({error})"
    return BrokerError("uplink.host", problem, "Check the network, the address and the firewall")
