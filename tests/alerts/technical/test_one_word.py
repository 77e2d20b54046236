"""What is one thing has one word in Swedish, wherever patients and staff read of it."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from alerts.care.people import Viewer
from alerts.pulse import Part, Silence
from alerts.technical import words
from alerts.technical.fault import Kind
from alerts.web import banner

NOW = datetime(2027, 2, 1, 9, tzinfo=UTC)
HOUSE = Path(__file__).parents[3]
# A gateway is a "dosa".
OTHERWISE = re.compile(r"\b(box(en|ens|ar|arna|arnas)|(en|annan|ingen|varje) box)\b", re.IGNORECASE)


@pytest.mark.parametrize("function", ["care", "technician"])
def test_the_canarys_measurement_is_called_the_same_by_the_banner_and_the_list(
    function: str,
) -> None:
    """What a nurse reads of it, a technician knows; a "provmätning" is a new device's first."""
    viewer = Viewer(name="Tove", staff_id=1, functions=frozenset({function}))
    (said,) = banner.told([Silence(part=Part.WAY, since=NOW)], viewer, NOW)
    listed = words.words(Kind.INCIDENT, {"what": "canary"}).what
    assert said.split()[0] == listed.split()[0] == "Kontrollmätningen"


@pytest.mark.parametrize("room", ["alerts", "gateway", "simulator"])
def test_a_gateway_has_no_other_word(room: str) -> None:
    pages = [*(HOUSE / room).rglob("*.py"), *(HOUSE / room).rglob("*.html")]
    assert pages
    found = {
        f"{page.relative_to(HOUSE)}: {match[0]}"
        for page in pages
        for match in OTHERWISE.finditer(page.read_text(encoding="utf-8"))
    }
    assert found == set()
