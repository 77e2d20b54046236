"""What stands in the access log, and the hash that ties one entry to the one before it. Pure.

An entry's hash is ``sha256(previous + text)``. The text is JSON without spaces and with its keys
in order, so that everybody who reads the columns writes the same bytes. The database computes it
when it appends (``alerts.audit.chain``) and we compute it when we verify: neither trusts the other.
"""

import enum
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Self

from alerts.care.people import Viewer

# Entries of different patients seldom wait for each other; more would make the heads' table long.
CHAINS: Final = 16

# The ground of what was refused.
DENIED: Final = "denied"


class Action(enum.StrEnum):
    """What somebody did that is kept."""

    WORKLIST_SEEN = "worklist_seen"
    PATIENT_SEEN = "patient_seen"
    OWN_PAGE_SEEN = "own_page_seen"
    RELATIVE_PAGE_SEEN = "relative_page_seen"
    ALERT_ACKNOWLEDGED = "alert_acknowledged"
    ALERT_CLOSED = "alert_closed"
    ALERT_SNOOZED = "alert_snoozed"
    CONSENT_GIVEN = "consent_given"
    CONSENT_REVOKED = "consent_revoked"
    BLOCK_SET = "block_set"
    BLOCK_LIFTED = "block_lifted"
    EMERGENCY_OPENED = "emergency_opened"
    EMERGENCY_MISSED = "emergency_missed"  # there is nobody here with that number
    EMERGENCY_REVIEWED = "emergency_reviewed"
    HANDOVER_OFFERED = "handover_offered"
    HANDOVER_ACCEPTED = "handover_accepted"
    HANDOVER_DECLINED = "handover_declined"
    HANDOVER_WITHDRAWN = "handover_withdrawn"
    SUBSTITUTES_NAMED = "substitutes_named"
    PLAN_PROPOSED = "plan_proposed"
    PLAN_PREVIEWED = "plan_previewed"
    PLAN_QUESTIONED = "plan_questioned"
    PLAN_AGREED = "plan_agreed"
    PLAN_DECLINED = "plan_declined"
    PLAN_WITHDRAWN = "plan_withdrawn"
    PLAN_ENDED = "plan_ended"
    TEMPLATE_APPROVED = "template_approved"
    TEMPLATE_RETIRED = "template_retired"
    PAUSE_BEGUN = "pause_begun"
    PAUSE_ENDED = "pause_ended"
    DEVICE_LENT = "device_lent"
    DEVICE_RETURNED = "device_returned"
    READING_SEEN = "reading_seen"
    READING_CONFIRMED = "reading_confirmed"
    READING_REJECTED = "reading_rejected"
    READING_DENIED = "reading_denied"  # the patient says that it was not she
    READING_MOVED = "reading_moved"
    EXPORTED = "exported"
    ERASED = "erased"
    MESSAGES_SEEN = "messages_seen"
    MESSAGE_WRITTEN = "message_written"
    MESSAGE_SEEN_TO = "message_seen_to"
    TASK_TAKEN = "task_taken"
    TASK_ENDED = "task_ended"
    LOG_EXTRACTED = "log_extracted"
    LOG_SAMPLED = "log_sampled"
    LOG_REVIEWED = "log_reviewed"
    LOG_REMOVED = "log_removed"  # what is older than the law asks for
    ACCOUNT_CODE_RESET = "account_code_reset"
    ACCOUNT_LINKED = "account_linked"
    ACCOUNT_UNLINKED = "account_unlinked"
    ACCOUNT_LOGGED_OUT = "account_logged_out"
    ACCOUNT_ENDED = "account_ended"
    ACCOUNT_REOPENED = "account_reopened"
    RECOVERY_CODE_USED = "recovery_code_used"
    RECOVERY_CODE_TOLD = "recovery_code_told"  # to whose account it is, or why not


class NotKept(ValueError):
    """A detail that would not read the same when it comes back from the database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Who did what to whom, and which relation allowed it.

    Attributes:
        actor: ``staff:12``, ``patient:3``, ``relative:5`` or ``system``.
        unit_id: The unit she worked for then.
        patient_id: Whom it concerned, if it was one.
        patient_ids: Whom a list showed.
        ground: The relation that allowed it (``alerts.access.Ground``), or ``denied``.
        detail: Numbers, texts, truth values, and lists and mappings of them.
    """

    actor: str
    action: str
    ground: str
    staff_id: int | None = None
    unit_id: int | None = None
    patient_id: int | None = None
    patient_ids: tuple[int, ...] = ()
    detail: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def by(
        cls,
        viewer: Viewer,
        action: Action,
        ground: str,
        *,
        patient_id: int | None = None,
        patient_ids: tuple[int, ...] = (),
        detail: Mapping[str, object] | None = None,
    ) -> Self:
        """Return an entry of what *viewer* did."""
        return cls(
            actor=actor(viewer),
            action=action.value,
            ground=ground,
            staff_id=viewer.staff_id,
            unit_id=viewer.unit_id,
            patient_id=patient_id,
            patient_ids=patient_ids,
            detail=detail or {},
        )

    @property
    def chain(self) -> int:
        """Return which chain it belongs to: its patient's, or that of who saw a list."""
        return (self.patient_id or self.staff_id or 0) % CHAINS

    def text(self) -> str:
        """Return the entry as it is hashed, but for its place.

        Raises:
            NotKept: The detail holds what JSON in the database would give back changed.
        """
        _check(self.detail)
        return json.dumps(
            {
                "action": self.action,
                "actor": self.actor,
                "detail": self.detail,
                "ground": self.ground,
                "patient_id": self.patient_id,
                "patient_ids": self.patient_ids,
                "staff_id": self.staff_id,
                "unit_id": self.unit_id,
            },
            ensure_ascii=False,
            separators=(",", ":"),
            sort_keys=True,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An entry at its place in a chain."""

    chain: int
    number: int  # 1: the first
    at: datetime
    entry: Entry
    previous: bytes
    hash: bytes

    def computed(self) -> bytes:
        """Return the hash that it should have."""
        at = self.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        placed = (
            f'{{"at":"{at}","chain":{self.chain},"entry":{self.entry.text()},'
            f'"number":{self.number}}}'
        )
        return hashlib.sha256(self.previous + placed.encode()).digest()


def actor(viewer: Viewer) -> str:
    """Return who *viewer* is, in the log's words."""
    for kind, number in (
        ("staff", viewer.staff_id),
        ("patient", viewer.patient_id),
        ("relative", viewer.relative_id),
    ):
        if number is not None:
            return f"{kind}:{number}"
    return "system"


def _check(value: object) -> None:
    """Refuse what the database's JSON does not give back as it was: floats, NUL, odd keys."""
    match value:
        case bool() | int() | None:
            return
        case str():
            if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
                problem = "a text with NUL or half a character"
                raise NotKept(problem)
        case list() | tuple():
            for each in value:
                _check(each)
        case Mapping():
            for key, each in value.items():
                if not isinstance(key, str):
                    problem = f"a key that is no text: {key!r}"
                    raise NotKept(problem)
                _check(key)
                _check(each)
        case _:
            problem = f"a {type(value).__name__}"
            raise NotKept(problem)
