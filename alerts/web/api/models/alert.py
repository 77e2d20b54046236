"""What a person must act on, and what waits for her beside it."""

from typing import Any, Final, Literal

from pydantic import BaseModel, Field

from alerts.alert import Event, Outcome, State
from alerts.web.api.example import AT, answers
from alerts.web.api.models.base import NAME, LevelName, Name
from alerts.web.api.time import Utc

_ALERT: Final = {
    "alert_id": 12,
    "patient": NAME,
    "rule": "limit:blood_pressure",
    "level": "red",
    "state": "acknowledged",
    "is_late": False,
    "opened_at": AT,
    "measured_at": AT,
    "title": "Blodtryck över gräns",
    "why": "Blodtryck 192/112 mmHg, över gränsen 180/110",
    "readings_count": 1,
    "contact_name": "Anna Provberg",
    "receiver_name": "Anna Provberg",
    "snoozed_until": None,
    "acknowledged_name": "Anna Provberg",
    "acknowledged_at": AT,
    "has_changed_since_acknowledged": False,
    "closed_name": None,
    "closed_at": None,
    "outcome": None,
    "note": None,
}


class Alert(BaseModel):
    """An episode that a person must act on."""

    model_config = answers(**_ALERT)

    alert_id: int
    patient: Name
    rule: str
    level: LevelName
    state: State
    is_late: bool = Field(description="Its values came long after they were measured.")
    opened_at: Utc
    measured_at: Utc = Field(description="Of the reading that says why.")
    title: str
    why: str = Field(description="In Swedish, in words and numbers.")
    readings_count: int
    contact_name: str | None
    receiver_name: str | None = Field(description="Null: the unit's queue, or not routed yet.")
    snoozed_until: Utc | None
    acknowledged_name: str | None
    acknowledged_at: Utc | None
    has_changed_since_acknowledged: bool
    closed_name: str | None
    closed_at: Utc | None
    outcome: Outcome | Literal["normal"] | None = Field(
        description="`normal`: nobody ended it; its rest was over, and all had been in range."
    )
    note: str | None = Field(description="For who cares for her; else null.")


class Alerts(BaseModel):
    """Alerts of one patient, the newest first."""

    model_config = answers(alerts=[_ALERT], next_cursor=None)

    alerts: list[Alert]
    next_cursor: str | None = Field(description="Of the next page; null: this is the last.")


class WaitingMessages(BaseModel):
    """A patient who waits for an answer."""

    patient: Name
    text: str = Field(description="Of the newest message.")
    since: Utc
    messages_count: int
    read_name: str | None


TASK: Final = {
    "task_id": 5,
    "patient": NAME,
    "kind": "phone_about_measuring",
    "why": "3 mätningar i rad med vågen har misslyckats, senast 08:12. "
    "Ring och hör hur det går. Be om en ny mätning medan ni talas vid.",
    "opened_at": AT,
    "taken_name": None,
    "taken_at": None,
}


class Task(BaseModel):
    """Something to do that is no alert."""

    model_config = answers(**TASK)

    task_id: int
    patient: Name
    kind: str
    why: str
    opened_at: Utc
    taken_name: str | None = Field(description="Who says that she does it; for a day.")
    taken_at: Utc | None


class Worklist(BaseModel):
    """What a staff member has before her, in the order she should take it."""

    model_config = answers(
        red_count=1,
        yellow_count=0,
        left_out_count=0,
        alerts=[_ALERT],
        messages=[
            {
                "patient": NAME,
                "text": "Ska jag mäta i dag?",
                "since": AT,
                "messages_count": 1,
                "read_name": None,
            }
        ],
        tasks=[],
        next_cursor=None,
    )

    red_count: int
    yellow_count: int
    left_out_count: int = Field(description="Alerts that come after these.")
    alerts: list[Alert]
    messages: list[WaitingMessages]
    tasks: list[Task]
    next_cursor: str | None = Field(description="Of the next alerts; null: these are the last.")


class LogEntry(BaseModel):
    """One thing that happened to an alert."""

    at: Utc
    event: str = Field(description=f"One of: {', '.join(Event)}; more may come.")
    staff_name: str | None
    text: str = Field(description="In Swedish, as on the patient's page.")
    detail: dict[str, Any]


class AlertLog(BaseModel):
    """What happened to an alert, the newest first."""

    model_config = answers(
        entries=[
            {
                "at": AT,
                "event": "acknowledged",
                "staff_name": "Anna Provberg",
                "text": "Blodtryck: Anna Provberg tog larmet",
                "detail": {},
            }
        ],
        next_cursor=None,
    )

    entries: list[LogEntry]
    next_cursor: str | None
