"""A gateway's store, fresh for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.database import Database
from gateway.inbox import Inbox
from gateway.outbox import Outbox


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "data") as database:
        yield database


@pytest.fixture
def inbox(store: Database) -> Inbox:
    return Inbox(store)


@pytest.fixture
def outbox(store: Database, inbox: Inbox) -> Outbox:
    return Outbox(store, inbox)
