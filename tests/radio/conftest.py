"""A room with a virtual radio, and a gateway's radio plugged into it."""

from collections.abc import AsyncIterator

import pytest

from gateway.radio import Radio, RadioConfig, open_radio
from simulator.radio import VirtualRadio
from tests.radio.central import Central
from tests.radio.ear import Ear


@pytest.fixture
async def room() -> AsyncIterator[VirtualRadio]:
    async with VirtualRadio() as room:
        yield room


@pytest.fixture
def plug(room: VirtualRadio) -> RadioConfig:
    """The configuration of a gateway in this room."""
    return RadioConfig(backend="bumble", transport=room.transport)


@pytest.fixture
async def radio(plug: RadioConfig) -> AsyncIterator[Radio]:
    async with open_radio(plug) as radio:
        yield radio


@pytest.fixture
async def ear(radio: Radio) -> AsyncIterator[Ear]:
    """What the radio's permanent scanner hears."""
    ear = Ear()
    async with radio.scanner(ear):
        yield ear


@pytest.fixture
def central() -> Central:
    return Central()
