"""The table of models as it stands in docs/devices.md, between two markers.

``python -m devices.models docs/`` writes it; a test fails while it is stale.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from devices.gatt import uuids
from devices.models.model import Model, Pairing
from devices.models.table import models

FILE: Final = "devices.md"
BEGIN: Final = "<!-- Written by `make docs` from devices/models/. Change it there. -->"
END: Final = "<!-- Written until here. -->"

_PAIRING: Final = {
    Pairing.NONE: "none",
    Pairing.JUST_WORKS: "bond",
    Pairing.PASSKEY: "bond, may show a number",
}
_CLOCKS: Final = {uuids.CURRENT_TIME: "Current Time", uuids.DATE_TIME: "Date Time"}
_HEAD: Final = ("model", "row", "driver", "known by", "pairing", "clock", "users", "tried")

# A table's cell ends at a bar.
_BAR: Final = "\\|"


def written() -> str:
    """Return the table of models, and what is to be said of each."""
    known = models()
    parts = [_table(known), *(_paragraph(model) for model in known)]
    return "\n\n".join(parts)


def updated(document: str) -> str:
    """Return *document* with the part between the markers as it is now.

    Raises:
        ValueError: A marker is missing.
    """
    head, begin, rest = document.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        problem = f"{FILE}: a marker is missing"
        raise ValueError(problem)
    return f"{head}{BEGIN}\n\n{written()}\n\n{END}{tail}"


def write(directory: Path) -> None:
    """Bring the document in *directory* up to date."""
    path = directory / FILE
    path.write_text(updated(path.read_text(encoding="utf-8")), encoding="utf-8")


def _table(known: Iterable[Model]) -> str:
    lines = [_line(_HEAD), _line("---" for _ in _HEAD)]
    return "\n".join([*lines, *(_line(_cells(model)) for model in known)])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', _BAR) for cell in cells)} |"


def _cells(model: Model) -> tuple[str, ...]:
    return (
        model.title,
        f"`{model.name}`",
        f"`{model.driver}`",
        _known_by(model),
        _pairing(model),
        _clock(model),
        _users(model),
        model.tried.value,
    )


def _known_by(model: Model) -> str:
    names = [f"`{name}`" for name in model.advertised_names]
    names += [f"`{prefix}…`" for prefix in model.advertised_prefixes]
    services = " or ".join(uuids.short(service) for service in model.services)
    by = [", ".join(names)] if names else []
    if services:
        by.append(f"service {services}")
    if model.advertised_source is not None:
        source = uuids.short(model.advertised_source)
        by.append(f"service data {source} of {model.advertised_bytes} bytes")
    return (" with " if model.advertised_prefixes else ", or ").join(by)


def _pairing(model: Model) -> str:
    first = ", before anything else" if model.pairs_before_discovery else ""
    return _PAIRING[model.pairing] + first


def _clock(model: Model) -> str:
    if not model.clocks:
        return "none to read"
    told = ", ".join(_CLOCKS[clock] for clock in model.clocks)
    return f"{told}; {'set' if model.sets_clock else 'never set'}"


def _users(model: Model) -> str:
    users = str(model.slots) if model.slots else "–"
    return f"{users}, by consent" if model.consent else users


def _paragraph(model: Model) -> str:
    lines = [f"**{model.title}.** {model.quirks}".rstrip()]
    if model.vendor_frames:
        named = ", ".join(f"0x{uuids.short(each).upper()}" for each in model.vendor_frames)
        lines.append(f"Own layout on {named}.")
    if model.how_to_pair_en:
        lines.append(f"To pair: {model.how_to_pair_en}")
    return "\n".join([*lines, f"*Told by:* {model.source}."])
