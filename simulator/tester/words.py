"""Swedish words of the tester's page."""

from typing import Final

_S: Final = 1000
_MIN: Final = 60 * _S

_REFUSALS: Final = {
    "malformed_message": "meddelandet går inte att läsa",
    "unsupported_version": "okänd version",
    "malformed_reading": "mätningen går inte att läsa",
    "gateway_mismatch": "fel avsändare",
    "unknown_gateway": "okänd dosa",
    "unreadable": "mätarens byte går inte att tyda",
    "unassigned": "mätaren är inte utlånad till någon",
    "ambiguous_loan": "mätaren är utlånad till flera",
    "before_loan": "mätt före utlåningen",
    "in_future": "mätt i framtiden",
    "time_unknown": "ingen visste vad klockan var",
    "unknown_quantity": "okänd storhet",
    "unknown_unit": "okänd enhet",
    "not_a_number": "inget tal",
    "implausible": "orimligt värde",
    "too_frequent": "för många mätningar på en timme",
    "refused_by_database": "databasen tog inte emot den",
}

# The parts by their button's name: what it is called, and where measurements wait meanwhile.
_PARTS: Final = {
    "Broker": ("brokern", "Mätningarna väntar i dosan."),
    "Dosa": ("dosan", "Mätningarna väntar i mätarna."),
    "Mottagning": ("mottagningen", "Mätningarna väntar i dosan."),
    "Databas": ("databasen", "Mätningarna väntar i dosan. Arbetslistan står still."),
}


def part(name: str) -> str:
    """Return the part with this button, in the definite form."""
    return _PARTS[name][0]


def waiting(name: str) -> str:
    """Return where measurements wait while the part with this button is away."""
    return _PARTS[name][1]


def duration(milliseconds: int) -> str:
    """Return *milliseconds* as people read it: ``85 ms``, ``1 764 ms``, ``2 min 5 s``."""
    if milliseconds < _MIN:
        return f"{milliseconds:,} ms".replace(",", "\N{NO-BREAK SPACE}")
    minutes, rest = divmod(milliseconds, _MIN)
    return f"{minutes} min {rest // _S} s"


def refusal(reason: str) -> str:
    """Return why something was refused, in words; the code itself if it is new."""
    return _REFUSALS.get(reason, reason)
