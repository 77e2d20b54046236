"""Inbox and outbox against a plain model, with power cuts at any moment."""

import shutil
import tempfile
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from devices.drivers import RawValue
from gateway.database import FILE_NAME, Database
from gateway.inbox import Inbox, InboxSession
from gateway.outbox import Outbox
from tests.gateway.material import START, reading

_NUMBERS = st.integers(0, 40)


class StoreMachine(RuleBasedStateMachine):
    """After every step the store holds exactly what the model says.

    A power cut copies the files as they lie on the disk, with no goodbye, and goes on with
    the copy: the original is never closed before it is copied.
    """

    sessions = Bundle("sessions")

    @initialize()
    def begin(self) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.generation = 0
        self.waiting: dict[UUID, None] = {}
        self.settled: set[UUID] = set()
        self.values: dict[int, list[RawValue]] = {}
        self.clock = START
        self.opened: list[Database] = []
        self._open(self.root / "0")

    def teardown(self) -> None:
        for database in getattr(self, "opened", []):
            database.close()
        if hasattr(self, "root"):
            shutil.rmtree(self.root)

    def _open(self, directory: Path) -> None:
        self.directory = directory
        self.database = Database(directory)
        self.opened.append(self.database)
        self.inbox = Inbox(self.database)
        self.outbox = Outbox(self.database, self.inbox, now=lambda: START)

    @rule(numbers=st.lists(_NUMBERS, max_size=4, unique=True))
    def append(self, numbers: list[int]) -> None:
        new = {reading(n).reading_id for n in numbers} - self.waiting.keys() - self.settled
        assert self.outbox.append(map(reading, numbers)) == len(new)
        self._expect(numbers)

    @rule(target=sessions)
    def open_session(self) -> InboxSession:
        return InboxSession("C4:64:E3:00:00:01", "blood_pressure")

    @rule(session=sessions, payload=st.binary(max_size=4))
    def value_arrives(self, session: InboxSession, payload: bytes) -> None:
        if session.session_id is not None and session.session_id not in self.values:
            return  # it is over
        self.clock += timedelta(milliseconds=1)
        raw = RawValue("2a35", payload, self.clock)
        self.inbox.append(session, raw)
        assert session.session_id is not None
        self.values.setdefault(session.session_id, []).append(raw)

    @rule(session=sessions, numbers=st.lists(_NUMBERS, max_size=3, unique=True), ends=st.booleans())
    def driver_gives(self, session: InboxSession, numbers: list[int], *, ends: bool) -> None:
        if session.session_id not in self.values:
            return
        self.outbox.append_from_session(session, map(reading, numbers), finished=ends)
        self._expect(numbers)
        if ends:
            del self.values[session.session_id]

    @rule(numbers=st.lists(_NUMBERS, max_size=5, unique=True), refused=st.lists(_NUMBERS))
    def receipt(self, numbers: list[int], refused: list[int]) -> None:
        stored = [reading(n).reading_id for n in numbers]
        reasons = {reading(n).reading_id: "implausible" for n in refused}
        gone = self.waiting.keys() & {*stored, *reasons}
        settled = self.outbox.settle(stored=stored, refused=reasons)
        assert settled.stored + settled.refused == len(gone)
        for reading_id in gone:
            del self.waiting[reading_id]
        self.settled |= gone

    @rule()
    def power_cut(self) -> None:
        self.generation += 1
        copy = self.root / str(self.generation)
        copy.mkdir()
        for file in self.directory.glob(f"{FILE_NAME}*"):
            if not file.name.endswith("-shm"):  # memory, not disk
                shutil.copy(file, copy)
        self._open(copy)

    @precondition(lambda self: self.values)
    @rule()
    def replay(self) -> None:
        for session in list(self.inbox.unfinished()):
            assert session.session_id is not None
            assert self.inbox.values(session) == self.values.pop(session.session_id)
            self.outbox.append_from_session(session, [], finished=True)

    def _expect(self, numbers: list[int]) -> None:
        for number in numbers:
            reading_id = reading(number).reading_id
            if reading_id not in self.settled:
                self.waiting.setdefault(reading_id)

    @invariant()
    def holds_what_the_model_says(self) -> None:
        if not hasattr(self, "outbox"):
            return
        rows = self.outbox.peek(1000)
        assert [row.reading_id for row in rows] == list(self.waiting)
        assert self.outbox.depth == len(self.waiting)
        assert self.inbox.depth == sum(map(len, self.values.values()))


StoreMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestStore = StoreMachine.TestCase
