"""Finding: what one look at the box found."""

import enum
from dataclasses import dataclass


class Verdict(enum.StrEnum):
    """How it is."""

    OK = "ok"
    WARN = "warn"  # it works, and will not for ever, or not as well as it could
    FAIL = "fail"  # measurements do not get through, or are not safe


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's.

    Attributes:
        check: What was looked at.
        verdict: How it is.
        words: What was found.
        cure: What to do about it, in one line; empty when it is well.
    """

    check: str
    verdict: Verdict
    words: str
    cure: str = ""

    def __post_init__(self) -> None:
        assert bool(self.cure) == (self.verdict is not Verdict.OK), self


def ok(check: str, words: str) -> Finding:
    """Return a good finding."""
    return Finding(check, Verdict.OK, words)


def warn(check: str, words: str, cure: str) -> Finding:
    """Return a finding to see to in time."""
    return Finding(check, Verdict.WARN, words, cure)


def fail(check: str, words: str, cure: str) -> Finding:
    """Return a finding to see to now."""
    return Finding(check, Verdict.FAIL, words, cure)
