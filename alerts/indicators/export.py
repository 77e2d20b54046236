"""Indicators as a table for a spreadsheet: Swedish words, semicolons, UTF-8 with a mark. Pure."""

import csv
import io
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from alerts.indicators.cell import Cell, Indicator
from alerts.words import ZONE

HIDDEN: Final = "visas inte"  # too few people

HEAD: Final = (
    *("Indikator", "Huvudman", "Enhet", "Grupp", "Värde", "Mått", "Personer", "Från", "Till"),
)
_SHARE, _MINUTES, _PEOPLE, _PER_WEEK = "procent", "minuter", "personer", "larm per vecka"

NAMES: Final[dict[Indicator, tuple[str, str]]] = {
    Indicator.PATIENTS: ("Patienter", _PEOPLE),
    Indicator.PATIENTS_BY_AGE: ("Patienter per ålder", _PEOPLE),
    Indicator.PATIENTS_BY_MUNICIPALITY: ("Patienter per kommun", _PEOPLE),
    Indicator.NAMED_CONTACT: ("Har fast vårdkontakt", _SHARE),
    Indicator.CONTACT_AND_SUBSTITUTE: ("Har fast vårdkontakt och ersättare", _SHARE),
    Indicator.AGREED_PLAN: ("Har en överenskommen plan, yngre än 12 månader", _SHARE),
    Indicator.RELATIVE_CONNECTED: ("Har en närstående med", _SHARE),
    Indicator.NO_DIGITAL_CHANNEL: ("Saknar inloggning, sms och e-post", _SHARE),
    Indicator.ADHERENCE: ("Gjorda mätningar av dem som planen väntar sig", _SHARE),
    Indicator.STORED_MEDIAN: ("Från mätt till sparat, median", _MINUTES),
    Indicator.STORED_P90: ("Från mätt till sparat, 9 av 10 inom", _MINUTES),
    Indicator.SEEN_MEDIAN: ("Från mätt till sett larm, median", _MINUTES),
    Indicator.SEEN_P90: ("Från mätt till sett larm, 9 av 10 inom", _MINUTES),
    Indicator.ACKNOWLEDGED_MEDIAN: ("Från mätt till taget larm, median", _MINUTES),
    Indicator.ACKNOWLEDGED_P90: ("Från mätt till taget larm, 9 av 10 inom", _MINUTES),
    Indicator.CLOSED_MEDIAN: ("Från mätt till avslutat larm, median", _MINUTES),
    Indicator.CLOSED_P90: ("Från mätt till avslutat larm, 9 av 10 inom", _MINUTES),
    Indicator.OWN_CONTACT: ("Larm som den egna vårdkontakten avslutade", _SHARE),
    Indicator.ALERTS_PER_WEEK: ("Larm per patient och vecka", _PER_WEEK),
    Indicator.ACTED_ON: ("Larm som ledde till en åtgärd", _SHARE),
    Indicator.TECHNICAL: ("Larm som var tekniska", _SHARE),
}
_DECIMALS: Final = {_SHARE: 1, _MINUTES: 1, _PEOPLE: 0, _PER_WEEK: 2}
# A spreadsheet takes what begins so for a formula, and runs it.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def as_csv(cells: Iterable[Cell], from_at: datetime, until_at: datetime) -> bytes:
    """Return the table; what is hidden says so, and not how many it is about."""
    written = io.StringIO()
    table = csv.writer(written, delimiter=";", lineterminator="\r\n")
    table.writerow(HEAD)
    days = [at.astimezone(ZONE).strftime("%Y-%m-%d %H:%M") for at in (from_at, until_at)]
    for cell in cells:
        name, measure = NAMES[cell.indicator]
        row = [name, cell.huvudman, cell.unit or "alla", cell.group]
        row += [_value(cell, measure), measure, HIDDEN if cell.is_hidden else str(cell.people)]
        table.writerow([_harmless(field) for field in (*row, *days)])
    return written.getvalue().encode("utf-8-sig")


def _value(cell: Cell, measure: str) -> str:
    if cell.is_hidden:
        return HIDDEN
    if cell.value is None:
        return ""
    value = cell.value * 100 if measure == _SHARE else cell.value
    return f"{value:.{_DECIMALS[measure]}f}".replace(".", ",")


def _harmless(field: str) -> str:
    return f"'{field}" if field.lstrip(" \u00a0").startswith(_FORMULA) else field
