"""What the API answers with: one model a noun, units in names, times in UTC."""

from alerts.web.api.models.alert import (
    Alert,
    AlertLog,
    Alerts,
    LogEntry,
    Task,
    WaitingMessages,
    Worklist,
)
from alerts.web.api.models.base import LEVELS, LevelName, Name
from alerts.web.api.models.me import Kind, Me
from alerts.web.api.models.message import Message, Thread
from alerts.web.api.models.patient import (
    FIELDS,
    ListedPatient,
    Patient,
    Patients,
    Reading,
    Readings,
    Values,
)

__all__ = [
    "FIELDS",
    "LEVELS",
    "Alert",
    "AlertLog",
    "Alerts",
    "Kind",
    "LevelName",
    "ListedPatient",
    "LogEntry",
    "Me",
    "Message",
    "Name",
    "Patient",
    "Patients",
    "Reading",
    "Readings",
    "Task",
    "Thread",
    "Values",
    "WaitingMessages",
    "Worklist",
]
