"""Why a rule fired, in one sentence with its numbers, in Swedish or English. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from ingest.rules.table import Findings, RuleRows, Series


def detail(kind: str, rules: RuleRows, series: Series, findings: Findings) -> list[dict[str, Any]]:
    """Return what ``explain`` needs of each finding: numbers, readings' ids, times as ISO text."""
    raise NotImplementedError


def explain(kind: str, detail: Mapping[str, Any], language: str = "sv") -> str:
    """Return the sentence; *language* is ``sv`` or ``en``."""
    raise NotImplementedError


def of_parts(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the detail of a composite from the details of its parts."""
    raise NotImplementedError
