"""Meter: what the parts of ingest report of themselves, whoever listens.

The parts know only this; ``ingest.watch`` counts, and the bench and most tests listen to nothing.
Called on the hot path once a batch or once a change of state, never once a reading or a message.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from ingest.batch import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReport:
    """One batch that is committed."""

    messages: int
    readings: int  # n, of these messages, refused ones too
    new: int  # stored now
    repeated: int  # stored before, or twice in this batch
    refused: Mapping[str, int]  # rows of quarantine by ``quarantine.Reason`` value
    # (k,) float64, seconds, of the readings that are stored; may hold negatives (a gateway's
    # clock runs ahead) and is not kept.
    measured_to_stored_s: Floats
    arrived_to_stored_s: Floats
    commit_s: float  # from the first attempt to the commit, retries too


class Meter(Protocol):
    """Takes reports. Nothing here raises, waits or keeps what it is given."""

    def settled(self, batch: BatchReport) -> None:
        """The pipeline committed a batch, and acknowledged it."""

    def retried(self) -> None:
        """An attempt at the database failed for the world's fault, and will be made again."""

    def answered(self) -> None:
        """The database committed something: a batch, a chore."""

    def subscribed(self, is_subscribed: bool) -> None:  # noqa: FBT001 - a state
        """The broker has our subscription, or the connection to it has ended."""

    def taken_over(self) -> None:
        """The broker ended our session for another client of the same name (0x8E)."""

    def held(self, deliveries: int, size_bytes: int) -> None:
        """So much is taken from the broker and not acknowledged. At least once a batch."""

    def leads(self, is_leader: bool) -> None:  # noqa: FBT001 - a state
        """This process is the clock's leader, or not any longer."""

    def chore_done(self, chore: str, rows: int, took_s: float) -> None:
        """The clock has done *rows* rows of a chore; *chore* is one of a few names."""


class NullMeter:
    """Listens to nothing."""

    def settled(self, batch: BatchReport) -> None:
        """See ``Meter``."""

    def retried(self) -> None:
        """See ``Meter``."""

    def answered(self) -> None:
        """See ``Meter``."""

    def subscribed(self, is_subscribed: bool) -> None:  # noqa: FBT001
        """See ``Meter``."""

    def taken_over(self) -> None:
        """See ``Meter``."""

    def held(self, deliveries: int, size_bytes: int) -> None:
        """See ``Meter``."""

    def leads(self, is_leader: bool) -> None:  # noqa: FBT001
        """See ``Meter``."""

    def chore_done(self, chore: str, rows: int, took_s: float) -> None:
        """See ``Meter``."""


NOBODY: Final[Meter] = NullMeter()
