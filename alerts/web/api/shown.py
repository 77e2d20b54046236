"""From what the database gives to what the API answers. Pure."""

from datetime import datetime
from typing import Literal

from alerts.alert import NORMAL, Outcome, State
from alerts.care import messages, people, tasks
from alerts.care.people import Viewer
from alerts.case import Case
from alerts.measurements import Measured
from alerts.web.api import models
from alerts.web.api.models import FIELDS, LEVELS
from alerts.web.api.queries import Numbered
from alerts.web.pages import said

_Named = Case | people.Listed | people.Patient | messages.Waiting | tasks.Task


def name_of(one: _Named) -> models.Name:
    """Return whom it is about."""
    return models.Name(
        patient_id=one.patient_id,
        given_name=one.given_name,
        family_name=one.family_name,
        born_on=one.born_on,
    )


def alert(case: Case, viewer: Viewer) -> models.Alert:
    """Return an alert as *viewer* may see it."""
    return models.Alert(
        alert_id=case.alert_id,
        patient=name_of(case),
        rule=case.rule,
        level=LEVELS[case.level],
        state=State(case.state),
        is_late=case.late,
        opened_at=case.opened_at,
        measured_at=case.measured_at,
        title=case.title(),
        why=case.why(),
        readings_count=case.readings,
        contact_name=case.contact_name,
        receiver_name=case.receiver_name,
        snoozed_until=case.snoozed_until,
        acknowledged_name=case.acknowledged_name,
        acknowledged_at=case.acknowledged_at,
        has_changed_since_acknowledged=case.changed_since_taken,
        closed_name=case.closed_name,
        closed_at=case.closed_at,
        outcome=_outcome(case.outcome),
        note=case.note if viewer.staff_id is not None else None,
    )


def _outcome(kept: str | None) -> Outcome | Literal["normal"] | None:
    if kept is None:
        return None
    return NORMAL if kept == NORMAL else Outcome(kept)


def waiting(one: messages.Waiting) -> models.WaitingMessages:
    """Return a patient who waits for an answer."""
    return models.WaitingMessages(
        patient=name_of(one),
        text=one.text,
        since=one.since,
        messages_count=one.messages,
        read_name=one.read_by,
    )


def task(one: tasks.Task, now: datetime) -> models.Task:
    """Return something to do."""
    return models.Task(
        task_id=one.task_id,
        patient=name_of(one),
        kind=one.kind,
        why=one.sentence(now),
        opened_at=one.opened_at,
        taken_name=one.taken_name,
        taken_at=one.taken_at,
    )


def entry(one: Numbered) -> models.LogEntry:
    """Return an entry of an alert's log."""
    return models.LogEntry(
        at=one.at,
        event=one.event,
        staff_name=one.staff_name,
        text=said(one),
        detail=dict(one.detail),
    )


def reading(one: Measured) -> models.Reading:
    """Return one act of measuring."""
    values = {FIELDS[quantity]: value for quantity, value in one.values.items()}
    return models.Reading(
        reading_id=one.reading_id,
        measured_at=one.measured_at,
        arrived_at=one.arrived_at,
        has_failed=one.failed,
        is_suspect=one.suspect,
        is_repeat_asked=one.repeat_asked,
        level=LEVELS[one.level],
        values=models.Values(**values),
    )


def message(one: messages.Message) -> models.Message:
    """Return one message of a thread."""
    return models.Message(
        message_id=one.message_id,
        text=one.text,
        written_at=one.written_at,
        is_by_care=one.staff_id is not None,
        writer_name=one.staff_name or one.relative_name,
        read_at=one.read_at,
        read_name=one.read_name,
        answered_at=one.answered_at,
    )


def listed(one: people.Listed) -> models.ListedPatient:
    """Return a patient in a list."""
    return models.ListedPatient(
        **name_of(one).model_dump(),
        diagnosis=one.diagnosis,
        has_contact=one.has_contact,
        last_measured_at=one.last_measured_at,
    )
