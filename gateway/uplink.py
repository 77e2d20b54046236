"""Uplink: outbox → MQTT 5, QoS 1; a receipt empties the outbox, an acknowledgement does not.

What to send and what a receipt means is decided in dispatch.py; this is the loop around it.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import datetime
from random import Random
from typing import Final

from devices.errors import MalformedMessage
from devices.wire import (
    MESSAGE_BYTES_MAX,
    ConditionCode,
    GatewayState,
    TopicKind,
    decode_receipt,
    join_message,
    topic,
)
from gateway.broker import (
    Acknowledged,
    Arrived,
    BrokerError,
    BrokerLost,
    Connection,
    Identity,
    connect,
)
from gateway.config import UplinkConfig
from gateway.database import StoreFull
from gateway.dispatch import Dispatch, Send
from gateway.event import GatewayEvent, OnEvent, tell_nobody
from gateway.health import Health
from gateway.heartbeat import Heartbeat, last_will
from gateway.log import get_logger
from gateway.outbox import Outbox

_log = get_logger()

# How long readings may still go out after SIGTERM. They are durable anyway, so this is for
# the nurse, not for safety; short enough for someone who waits at a terminal.
DRAIN_S: Final = 1.5

# Wait between tries to connect: doubled from the first to the last, half of it at random.
RECONNECT_S_MIN: Final = 0.5
RECONNECT_S_MAX: Final = 60.0

# A connection that stood this long was a good one: the next back-off starts from the bottom.
GOOD_CONNECTION_S: Final = 60.0

# The loop turns at least so often, and says that it lives; it may be late by a slow broker's
# connection attempts, and the back-off between them.
_TURN_S_MAX: Final = 60.0
_ALIVE_WITHIN_S: Final = 5 * _TURN_S_MAX

# Topic, properties and header of a publish.
_PACKET_OVERHEAD_BYTES: Final = 1024


class Uplink:
    """Sends what waits in the outbox, for ever.

    Args:
        settings: The broker.
        gateway_id: Ours; the client id too.
        outbox: What waits.
        heartbeat: What to say of ourselves.
        health: Where problems are told.
        wake: Set by everyone who has something to send; cleared here.
        now: The clock, for ``sent_at``.
        on_config: Takes what comes on the configuration's topic; never raises.
        on_event: Told when readings are stored, and of the broker coming and going.
        random: For jitter and correlation ids.
    """

    def __init__(
        self,
        settings: UplinkConfig,
        gateway_id: str,
        *,
        outbox: Outbox,
        heartbeat: Heartbeat,
        health: Health,
        wake: asyncio.Event,
        now: Callable[[], datetime],
        on_config: Callable[[bytes], None] = lambda _: None,
        on_event: OnEvent = tell_nobody,
        random: Random | None = None,
    ) -> None:
        self._settings = settings
        self._gateway_id = gateway_id
        self._outbox = outbox
        self._heartbeat = heartbeat
        self._health = health
        self._wake = wake
        self._now = now
        self._on_config = on_config
        self._on_event = on_event
        self._is_told: GatewayEvent | None = None  # what was said last of the connection
        self._random = random or Random()  # noqa: S311 - jitter and ids nobody guesses for gain
        self._dispatch = Dispatch(
            newest_row_id=outbox.newest_row_id,
            resend_after_s=settings.resend_after_s,
            random=self._random,
        )
        self._published: dict[int, Send | None] = {}  # not yet acknowledged; None: a status
        self._unreadable = 0  # receipts, since the start
        self._must_renew = False  # the connection, as soon as nothing is on its way
        self._topics = {kind: topic(gateway_id, kind) for kind in TopicKind}
        self._identity = Identity(
            client_id=gateway_id,
            will_topic=self._topics[TopicKind.STATUS],
            will=last_will(gateway_id),
            listen_topics=(self._topics[TopicKind.RECEIPTS], self._topics[TopicKind.CONFIG]),
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Connect, send and connect again until *stop*; then drain, say goodbye and return."""
        failures = 0
        while True:
            self._alive()
            self._published.clear()
            self._dispatch.connection_lost(time.monotonic())
            since_s = time.monotonic()
            try:
                async with connect(self._settings, self._identity, self._wake.set) as connection:
                    await self._serve(connection, stop)
                if stop.is_set():
                    return
                continue
            except BrokerError as error:
                self._health.problem(ConditionCode.BROKER_AWAY, str(error))
            except BrokerLost as error:
                self._health.problem(
                    ConditionCode.BROKER_AWAY, f"the connection was lost ({error})"
                )
                if time.monotonic() - since_s >= GOOD_CONNECTION_S:
                    failures = 0
            self._tell_connection(GatewayEvent.NOT_CONNECTED)
            if stop.is_set() or await _happens(stop, self._back_off_s(failures)):
                return  # without a broker there is nothing to drain to
            failures += 1

    def acknowledged(self, send: Send) -> None:
        """The broker took *send*. That is no proof of anything: wait for the receipt."""

    def reconnect(self) -> None:
        """Connect anew, with the files as they are now, as soon as nothing is on its way.

        The session at the broker is kept, and the last will is not said. Changes nothing while
        there is no connection.
        """
        self._must_renew = True
        self._wake.set()

    async def _serve(self, connection: Connection, stop: asyncio.Event) -> None:
        """Serve the connection until *stop*, and say goodbye; or until it is to be renewed."""
        self._must_renew = False
        self._connected(connection)
        drain_until_s = float("inf")
        while True:
            self._alive()
            self._wake.clear()
            for event in connection.events():
                self._take(event)
            now_s = time.monotonic()
            if stop.is_set():
                drain_until_s = min(drain_until_s, now_s + DRAIN_S)
                if not self._outbox.depth or now_s >= drain_until_s:
                    break
            elif self._must_renew:
                if not self._published:
                    return
                await _happens(self._wake, _TURN_S_MAX)
                continue
            self._send_due(connection, now_s)
            await self._until_something(stop, drain_until_s)
        await self._goodbye(connection)

    def _alive(self) -> None:
        self._health.pulse.beat("uplink", _ALIVE_WITHIN_S)

    def _connected(self, connection: Connection) -> None:
        _log.info("uplink.connected", host=self._settings.host, port=self._settings.port)
        self._health.solved(ConditionCode.BROKER_AWAY)
        refusals = connection.listen_refusals
        if refusals:
            words = "; ".join(f"the broker denies {name}: {why}" for name, why in refusals.items())
            self._health.problem(ConditionCode.BROKER_REFUSES, words, part="listen")
        else:
            self._health.solved(ConditionCode.BROKER_REFUSES, part="listen")
        # Without receipts nothing is ever known to be stored: to the room that is no connection.
        can_listen = self._topics[TopicKind.RECEIPTS] not in refusals
        self._tell_connection(GatewayEvent.CONNECTED if can_listen else GatewayEvent.NOT_CONNECTED)
        self._heartbeat.restart()
        room = connection.packet_bytes_max - _PACKET_OVERHEAD_BYTES
        self._dispatch.message_bytes_max = min(MESSAGE_BYTES_MAX, room)
        self._health.solved(ConditionCode.MESSAGE_TOO_LARGE)

    def _tell_connection(self, event: GatewayEvent) -> None:
        if event is not self._is_told:
            self._is_told = event
            self._on_event(event)

    def _send_due(self, connection: Connection, now_s: float) -> None:
        if self._heartbeat.due_at_s() <= now_s:
            self._say(connection, GatewayState.ONLINE)
        if late := self._dispatch.expire(now_s):
            _log.info("uplink.no_receipt", messages=late)
        while len(self._published) < connection.receive_max:
            send = self._dispatch.next_send(self._outbox, now_s)
            if send is None:
                break
            self._publish(connection, send)
        if self._dispatch.too_large:
            words = f"{len(self._dispatch.too_large)} readings are larger than the broker takes"
            self._health.problem(ConditionCode.MESSAGE_TOO_LARGE, words)

    def _publish(self, connection: Connection, send: Send) -> None:
        message = join_message(self._gateway_id, self._now(), [row.encoded for row in send.rows])
        message_id = connection.publish(
            self._topics[TopicKind.READINGS],
            message,
            response_topic=self._topics[TopicKind.RECEIPTS],
            correlation=send.correlation,
        )
        self._published[message_id] = send
        _log.debug("uplink.sent", readings=len(send.rows), attempt=send.attempt)

    def _say(self, connection: Connection, state: GatewayState) -> None:
        status = self._heartbeat.say(state, time.monotonic())
        message_id = connection.publish(self._topics[TopicKind.STATUS], status, retain=True)
        self._published[message_id] = None

    def _take(self, event: Acknowledged | Arrived) -> None:
        match event:
            case Acknowledged(message_id, refusal):
                send = self._published.pop(message_id, None)
                if refusal is not None:
                    what = "readings" if send else "status"
                    words = f"the broker refuses our {what}: {refusal}. Check its access rules"
                    self._health.problem(ConditionCode.BROKER_REFUSES, words, part="publish")
                elif send is not None:
                    self._health.solved(ConditionCode.BROKER_REFUSES, part="publish")
                    self.acknowledged(send)
            case Arrived(name, payload, _) if name == self._topics[TopicKind.CONFIG]:
                self._on_config(payload)
            case Arrived(_, payload, correlation):
                self._receipt(payload, correlation)

    def _receipt(self, payload: bytes, correlation: bytes | None) -> None:
        try:
            receipt = decode_receipt(payload)
        except MalformedMessage as error:
            self._unreadable += 1
            words = f"{self._unreadable} receipts could not be read; last: {error}"
            self._health.problem(ConditionCode.RECEIPT_UNREADABLE, words)
            return
        self._health.solved(ConditionCode.RECEIPT_UNREADABLE)
        settlement = self._dispatch.receipt(correlation, receipt)
        if settlement.is_unknown:
            _log.warning("uplink.unknown_message_refused", problem=receipt.message_refused)
        try:
            settled = self._outbox.settle(stored=settlement.stored, refused=settlement.refused)
        except (
            StoreFull
        ) as error:  # they stay, are sent again, and are known to ingest by their ids
            self._health.problem(
                ConditionCode.STORAGE_FULL, f"a receipt could not be noted: {error}"
            )
            return
        self._dispatch.settled(settlement.stored | settlement.refused.keys())
        if settled.stored:
            self._on_event(GatewayEvent.STORED, settlement.stored)
        for reading_id, reason in settlement.refused.items():
            _log.warning("uplink.refused", reading_id=str(reading_id), reason=reason)

    async def _until_something(self, stop: asyncio.Event, drain_until_s: float) -> None:
        """Wait for an event, a new reading, or the time when something is due."""
        if stop.is_set():
            due_s = min(self._dispatch.wake_at_s(), drain_until_s)
        else:
            due_s = min(self._dispatch.wake_at_s(), self._heartbeat.due_at_s())
        await _happens(self._wake, min(due_s - time.monotonic(), _TURN_S_MAX))

    async def _goodbye(self, connection: Connection) -> None:
        self._say(connection, GatewayState.STOPPED)
        _log.info("uplink.stopped", outbox=self._outbox.depth)

    def _back_off_s(self, failures: int) -> float:
        longest = min(RECONNECT_S_MAX, RECONNECT_S_MIN * 2.0 ** min(failures, 30))
        return longest * self._random.uniform(0.5, 1.0)


async def _happens(event: asyncio.Event, within_s: float) -> bool:
    """Return whether *event* is set within so many seconds."""
    if event.is_set() or within_s <= 0:
        return event.is_set()
    try:
        async with asyncio.timeout(within_s):
            await event.wait()
    except TimeoutError:
        return False
    return True
