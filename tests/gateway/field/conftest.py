"""A home with a virtual radio and a gateway, for each test of the field."""

from collections.abc import AsyncIterator

import pytest

from gateway.inbox import Inbox
from gateway.outbox import Outbox
from simulator.radio import VirtualRadio
from tests.gateway.home import Home


@pytest.fixture
async def home(inbox: Inbox, outbox: Outbox) -> AsyncIterator[Home]:
    async with VirtualRadio() as radio:
        yield Home(radio, inbox, outbox)


@pytest.fixture
async def touchy_home(inbox: Inbox, outbox: Outbox) -> AsyncIterator[Home]:
    """The same with an adapter that freezes when it is misused."""
    async with VirtualRadio(is_touchy=True) as radio:
        yield Home(radio, inbox, outbox)
