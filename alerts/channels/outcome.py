"""What became of one try to reach somebody, as far as is known."""

import enum
import re
from dataclasses import dataclass
from typing import Final

# Of what a provider said: enough to see why, and no letter of a letter.
REPLY_CHARS_MAX: Final = 300

# Addresses and numbers, which a provider likes to repeat; a reply is read by more people than
# those who may know them. Short numbers are codes and stay.
_MAILBOX: Final = re.compile(r"[^\s<>]+@[^\s<>]+")
_NUMBER: Final = re.compile(r"\+?\d[\d \-]{5,}\d")


class State(enum.StrEnum):
    """Where an attempt is."""

    SENDING = "sending"  # somebody is at it, or died at it
    ACCEPTED = "accepted"  # the provider took it, and will tell what became of it
    HANDED_OVER = "handed_over"  # somebody took it; nobody will tell what became of it
    DELIVERED = "delivered"  # it is with her
    FAILED = "failed"  # it is not, and will not be
    UNKNOWN = "unknown"  # it may be: who sent it died, or got no answer


class Fault(enum.StrEnum):
    """Whose fault a failure is; it decides who must mend it."""

    ADDRESS = "address"  # nobody is reached there: the channel's
    PROVIDER = "provider"  # it is away or overloaded, and may be back soon
    OURS = "ours"  # a password, a setting, an empty account: fails for everybody until mended


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The end of one try.

    Attributes:
        state: Never ``SENDING``; ``DELIVERED`` only if a provider says so at once.
        fault: Given just when it failed or is unknown.
        provider_key: By which a receipt names it.
        reply: What the provider said, without addresses. Use ``said``.
    """

    state: State
    fault: Fault | None = None
    provider_key: str | None = None
    reply: str = ""

    def __post_init__(self) -> None:
        if (self.fault is not None) != (self.state in (State.FAILED, State.UNKNOWN)):
            problem = f"{self.state} with fault {self.fault}"
            raise ValueError(problem)


def said(text: str) -> str:
    """Return what a provider said as it may be kept: printable, bounded, without addresses."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return _NUMBER.sub("…", _MAILBOX.sub("…", line))[:REPLY_CHARS_MAX]


def failed(fault: Fault, reply: str) -> Outcome:
    """Return that it failed."""
    return Outcome(state=State.FAILED, fault=fault, reply=said(reply))


def unknown(reply: str, fault: Fault = Fault.PROVIDER) -> Outcome:
    """Return that nobody knows: it was perhaps taken, and no answer came."""
    return Outcome(state=State.UNKNOWN, fault=fault, reply=said(reply))
