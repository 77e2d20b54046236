"""What a breach keeps for its sentence: numbers, times as ISO text, ids of readings. JSON."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import numpy as np

from devices.quantity import BY_ID
from ingest.batch import EPOCH, MINUTE, Floats, Ids
from ingest.rules.catalogue import KINDS
from ingest.rules.limit import HIGH, LOW
from ingest.rules.table import NO_ANCHOR, Findings, RuleRows, Series

# More are not read one by one; how many there are stands among the numbers.
READINGS_MAX: Final = 50
_SIDES: Final = {0: "", LOW: "low", HIGH: "high"}
_TIMES: Final = {"then_at", "last_at", "expected_at"}  # names in EXTRA that are microseconds


def detail(kind: str, rules: RuleRows, series: Series, findings: Findings) -> list[dict[str, Any]]:
    """Return what ``explain`` needs of each finding of a kind that looks at a Series.

    Of a repeat, the findings are as its ``rests_on`` says. A composite's detail is ``of_parts``.
    """
    module = KINDS[kind].module
    finding, row = module.rests_on(series, rules, findings)
    order = np.argsort(finding, kind="stable")
    finding, row = finding[order], row[order]
    starts = np.searchsorted(finding, np.arange(len(findings) + 1)).tolist()
    # A repeat's rule is of a panel, its findings of the quantities in it.
    by_clock = findings.anchor == NO_ANCHOR
    quantities = rules.quantity[findings.rule]
    quantities[~by_clock] = series.quantity[findings.anchor[~by_clock]]
    later = _minutes_later(series, findings).tolist() if kind == "repeat" else None
    return [
        {
            "quantity": BY_ID[quantity].value,
            "at": iso(at),
            "side": _SIDES[side],
            "value": value,
            "bound": bound,
            **_named(KINDS[kind].params, own),
            **_named(KINDS[kind].extra, extra),
            **({"minutes_later": later[number]} if later else {}),
            "readings": texts(series.reading_id[row[max(start, stop - READINGS_MAX) : stop]]),
        }
        for number, quantity, at, side, value, bound, own, extra, start, stop in zip(
            range(len(findings)),
            quantities.tolist(),
            findings.at.tolist(),
            findings.side.tolist(),
            findings.value.tolist(),
            findings.bound.tolist(),
            rules.params[findings.rule].tolist(),
            findings.extra.tolist(),
            starts[:-1],
            starts[1:],
            strict=True,
        )
    ]


def of_limit(*, quantity_id: int, side: int, value: float, bound: float) -> dict[str, Any]:
    """Return the detail of a limit that was breached."""
    return {
        "quantity": BY_ID[quantity_id].value,
        "side": _SIDES[side],
        "value": value,
        "bound": bound,
    }


def of_parts(parts: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Return the detail of a composite from the (kind, detail) of each part."""
    named = [reading for _, part in parts for reading in part.get("readings", ())]
    return {
        "parts": [{"kind": kind, **part} for kind, part in parts],
        "readings": list(dict.fromkeys(named)),
    }


def iso(at: float) -> str:
    """Return microseconds since 2000 as ISO text in UTC."""
    return (EPOCH + timedelta(microseconds=round(at))).astimezone(UTC).isoformat()


def moment(text: str) -> datetime:
    """Read what ``iso`` wrote."""
    return datetime.fromisoformat(text)


def texts(ids: Ids) -> list[str]:
    """Return reading ids as text. S16 drops trailing NULs, which are put back."""
    return [str(UUID(bytes=one.ljust(16, b"\0"))) for one in ids.tolist()]


def _minutes_later(series: Series, findings: Findings) -> Floats:
    """Return how long after the single each repeat was; 0 where none came."""
    between = series.measured_at[findings.anchor] - series.measured_at[findings.first]
    minutes: Floats = between / MINUTE
    return minutes


def _named(names: Sequence[str], values: Sequence[float]) -> dict[str, Any]:
    as_json: Callable[[str, float], Any] = lambda name, one: iso(one) if name in _TIMES else one  # noqa: E731
    return {
        name: as_json(name, one)
        for name, one in zip(names, values, strict=True)
        if not np.isnan(one)  # JSON has none: what is not given is left out
    }
