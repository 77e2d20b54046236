"""A consumer that has subscribed, and what it hears."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ingest.config import BrokerSettings
from ingest.consumer import MqttConsumer
from ingest.delivery import Delivery
from ingest.meter import NullMeter

WAIT_S = 20.0


class Watched(NullMeter):
    """Notes what a consumer reports."""

    def __init__(self) -> None:
        self.is_subscribed = asyncio.Event()
        self.is_lost = asyncio.Event()
        self.subscriptions = 0
        self.taken_over_times = 0
        self.is_taken_over = asyncio.Event()
        self.holding: list[tuple[int, int]] = []

    def subscribed(self, is_subscribed: bool) -> None:
        self.subscriptions += is_subscribed
        (self.is_subscribed if is_subscribed else self.is_lost).set()

    def taken_over(self) -> None:
        self.taken_over_times += 1
        self.is_taken_over.set()

    def held(self, deliveries: int, size_bytes: int) -> None:
        self.holding.append((deliveries, size_bytes))


@asynccontextmanager
async def consuming(settings: BrokerSettings, receive_max: int) -> AsyncIterator[MqttConsumer]:
    """Run a consumer, from its subscription on."""
    watched = Watched()
    async with MqttConsumer(settings, receive_max, watched) as consumer:
        async with asyncio.timeout(WAIT_S):
            await watched.is_subscribed.wait()
        yield consumer


async def next_one(consumer: MqttConsumer) -> Delivery:
    """Return the next delivery."""
    (delivery,) = await next_ones(consumer, 1)
    return delivery


async def next_ones(consumer: MqttConsumer, count: int) -> list[Delivery]:
    """Return the next deliveries, so many."""
    found: list[Delivery] = []
    async with asyncio.timeout(WAIT_S):
        while len(found) < count:
            await consumer.wait(1)
            found += consumer.take(count - len(found))
    return found
