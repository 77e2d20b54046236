"""Whose an alert is, in the words of a worklist's row. Pure."""

from datetime import datetime
from typing import Final

from alerts.case import Case
from alerts.routing import Why
from alerts.words import day

# As what she has it, and as what somebody else has. A reason of a newer version is none of these.
_AS_WHAT: Final[dict[str | None, tuple[str, str]]] = {
    Why.SUBSTITUTE: ("du är ersättare, ", " (ersättare)"),
    Why.SUBSTITUTE_OF_SUBSTITUTE: ("du är ersättare, ", " (ersättare)"),
    Why.DUTY: ("du har jour, ", " (jour)"),
}


def whose(case: Case, staff_id: int | None, now: datetime) -> str:
    """Return whose the alert is, as *staff_id* reads it."""
    contact = _contact(case, now)
    if case.contact_id is not None and case.contact_id == staff_id:
        mine = "du är fast vårdkontakt"
        return mine if case.receiver_id in (None, staff_id) else f"{mine}, hos {_receiver(case)}"
    if case.routed_why is not None and (case.receiver_id, case.receiver_team_id) == (None, None):
        return f"enhetens kö: {contact}"
    if case.receiver_id in (None, case.contact_id):
        return contact
    if case.receiver_id == staff_id:
        return f"{_as_what(case)[0]}{contact}"
    return f"hos {_receiver(case)}, {contact}"


def _contact(case: Case, now: datetime) -> str:
    if case.contact_name is None:
        return "saknar fast vårdkontakt"
    if case.contact_away_until is None:
        return f"fast vårdkontakt {case.contact_name}"
    return f"för {case.contact_name} (borta till {day(case.contact_away_until, now)})"


def _receiver(case: Case) -> str:
    return f"{case.receiver_name}{_as_what(case)[1]}"


def _as_what(case: Case) -> tuple[str, str]:
    return _AS_WHAT.get(case.routed_why, ("", ""))
