"""What is said on the way to a person: that there is something to look at, and where.

Law of this module: no patient, value, diagnosis or unit. A telephone lies on a table, and mail is
read by others; who logs in sees the rest. Of people there is one: the colleague who has taken it.
"""

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from alerts.alert import Level
from alerts.words import ZONE

# With it and an ordinary address an SMS is of one part.
NAME_CHARS_MAX: Final = 40


class Kind(enum.StrEnum):
    """How somebody is reached."""

    EMAIL = "email"
    SMS = "sms"
    APPRISE = "apprise"
    VOICE = "voice"  # of patients only

    @property
    def tells_delivery(self) -> bool:
        """Whether its provider says afterwards that it has arrived."""
        return self is Kind.SMS

    @property
    def has_provider(self) -> bool:
        """Whether one carries all of its messages; else each address is a service of its own."""
        return self is not Kind.APPRISE

    @property
    def is_for_staff(self) -> bool:
        """Whether staff may be told of alerts by it."""
        return self is not Kind.VOICE


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A text for one channel.

    Attributes:
        subject: One line, complete in itself: mail shows it before anything else.
        text: A few lines; an SMS of one part (160 characters) with an ordinary address in it.
        spoken: The same, to be heard; "": as the text.
    """

    subject: str
    text: str
    spoken: str = ""


def of_alert(level: Level, public_url: str) -> Message:
    """Return that there is a new alert."""
    subject = "Nytt rött larm i arbetslistan" if level is Level.RED else "Nytt larm i arbetslistan"
    return _with_link(subject, public_url)


def of_several(number: int, public_url: str) -> Message:
    """Return that there are *number* new alerts, none of them red."""
    return _with_link(f"{number} nya larm i arbetslistan", public_url)


def of_taken(name: str, told_at: datetime, public_url: str) -> Message:
    """Return that a colleague, *name*, has taken the alert that she was told of at *told_at*."""
    clock = told_at.astimezone(ZONE).strftime("%H:%M")
    subject = f"{name[:NAME_CHARS_MAX]} har tagit larmet du fick {clock}"
    return Message(
        subject=subject,
        text=f"{subject}. Du behöver inte göra något. Se listan: {public_url.rstrip('/')}/",
    )


def of_faults(number: int, public_url: str, *, is_urgent: bool) -> Message:
    """Return to a technician that there are *number* faults that nobody has taken."""
    what = "1 tekniskt fel väntar" if number == 1 else f"{number} tekniska fel väntar"
    subject = f"Bråttom: {what}" if is_urgent else what
    return _with_link(subject, public_url, "teknik")


def of_test(code: str) -> Message:
    """Return a test that asks for *code* back."""
    return Message(
        subject="Test av din kanal",
        text=f"Test från Egenmonitor. Skriv koden {code} på sidan Mina kanaler. "
        "Har du inte bett om den? Då behöver du inte göra något.",
    )


def of_recovery_code(phone: str, *, is_staff: bool) -> Message:
    """Return to whose account it is that a recovery code was used; *phone*: whom she may call."""
    ask = "Säg genast till den som sköter systemet" if is_staff else "Ring genast vården"
    number = f" på {phone}" if phone and not is_staff else ""
    return Message(
        subject="En reservkod har använts",
        text="En av dina reservkoder till Egenmonitor har använts. Var det du? Då behöver du inte "
        f"göra något. Var det inte du? {ask}{number}.",
    )


def _with_link(subject: str, public_url: str, path: str = "") -> Message:
    return Message(
        subject=subject, text=f"{subject}. Logga in och titta: {public_url.rstrip('/')}/{path}"
    )
