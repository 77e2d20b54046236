"""Twelve invented people: who they are, what they measure with, and their own limits.

Nobody here exists. Personal numbers are from the Swedish Tax Agency's published test numbers
(testpersonnummer, open data), telephone numbers from the series the Post and Telecom Authority
keeps for fiction (070-174 06 05 to 99). Limits are the default instances below, moved to where
a clinician would put them for that person.
"""

import enum
from dataclasses import dataclass
from datetime import date

from devices.quantity import Quantity


class Kit(enum.StrEnum):
    """A device lent to a person."""

    CUFF = "cuff"
    SCALE = "scale"
    STEPS = "steps"


@dataclass(frozen=True, slots=True)
class Limit:
    """One quantity's bounds in a plan, in the quantity's unit; none is no bound.

    A value breaches at or beyond a high bound, and below a low one.
    """

    quantity: Quantity
    yellow_low: float | None = None
    yellow_high: float | None = None
    red_low: float | None = None
    red_high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A person's own means, and how they move.

    Attributes:
        systolic_mmhg: Own mean, as are the next four.
        adherence: Probability that a planned measurement is done.
        gap_days: Length of the one stretch without any measurement; 0 is none.
        worsens_for_days: So many days before the end of the history it begins to go wrong.
        weight_kg_per_day: What is gained each day from then on; so with the next three.
        steps_share_per_day: Share of the steps that is lost each day from then on.
    """

    systolic_mmhg: float
    diastolic_mmhg: float
    pulse_per_min: float
    weight_kg: float
    steps_per_day: float
    adherence: float = 0.92
    gap_days: int = 0
    worsens_for_days: int = 0
    weight_kg_per_day: float = 0.0
    systolic_mmhg_per_day: float = 0.0
    diastolic_mmhg_per_day: float = 0.0
    pulse_per_min_per_day: float = 0.0
    steps_share_per_day: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """An invented patient."""

    key: str
    given_name: str
    family_name: str
    personal_number: str
    phone: str
    diagnosis: str
    contact: str  # key of a staff member
    kit: tuple[Kit, ...]
    body: Body
    limits: tuple[Limit, ...]
    earlier_limits: tuple[Limit, ...] = ()  # of the plan version before the present one
    has_login: bool = False

    @property
    def born_on(self) -> date:
        """The date in the personal number."""
        number = self.personal_number
        return date(int(number[:4]), int(number[4:6]), int(number[6:8]))

    def address(self, kit: Kit) -> str:
        """Return the Bluetooth address of the device *kit*: random static, so it begins C0-FF."""
        number = PEOPLE.index(self)
        return f"C4:5E:1D:00:{number:02X}:{tuple(Kit).index(kit):02X}"


_CUFF = (Kit.CUFF,)
_CUFF_SCALE = (Kit.CUFF, Kit.SCALE)
_ALL = (Kit.CUFF, Kit.SCALE, Kit.STEPS)

# Default instances of the limit rule; a single home reading, not a mean.
_SYSTOLIC = Limit(Quantity.SYSTOLIC, yellow_low=100, yellow_high=160, red_low=90, red_high=180)
_DIASTOLIC = Limit(Quantity.DIASTOLIC, yellow_high=95, red_high=110)
_PULSE = Limit(Quantity.PULSE, yellow_low=50, yellow_high=100, red_low=40, red_high=120)
_STANDARD = (_SYSTOLIC, _DIASTOLIC, _PULSE)


def _weight(yellow_high: float, red_high: float, yellow_low: float) -> Limit:
    """Return limits around a dry weight: gaining water is what heart failure shows first."""
    return Limit(
        Quantity.BODY_WEIGHT, yellow_low=yellow_low, yellow_high=yellow_high, red_high=red_high
    )


PEOPLE: tuple[Person, ...] = (
    Person(
        key="marta",
        given_name="Märta",
        family_name="Provlind",
        personal_number="194408139089",
        phone="070-174 06 05",
        diagnosis="Hjärtsvikt",
        contact="anna",
        kit=_ALL,
        # Gains 1.8 kg over the last six days, walks less: heart failure getting worse.
        body=Body(
            systolic_mmhg=124,
            diastolic_mmhg=72,
            pulse_per_min=70,
            weight_kg=75.8,
            steps_per_day=3400,
            adherence=0.96,
            worsens_for_days=6,
            weight_kg_per_day=0.3,
            pulse_per_min_per_day=0.8,
            steps_share_per_day=0.06,
        ),
        limits=(*_STANDARD, _weight(77.3, 79.0, 73.0)),
        earlier_limits=(*_STANDARD, _weight(78.5, 80.0, 73.0)),
        has_login=True,
    ),
    Person(
        key="kalle",
        given_name="Kalle",
        family_name="Testberg",
        personal_number="195503071812",
        phone="070-174 06 06",
        diagnosis="Högt blodtryck",
        contact="anna",
        kit=_CUFF,
        # Rises by more than twenty within five days: treatment no longer holds.
        body=Body(
            systolic_mmhg=141,
            diastolic_mmhg=84,
            pulse_per_min=74,
            weight_kg=92,
            steps_per_day=5200,
            worsens_for_days=5,
            systolic_mmhg_per_day=5.5,
            diastolic_mmhg_per_day=2.2,
        ),
        limits=(
            Limit(Quantity.SYSTOLIC, yellow_low=100, yellow_high=165, red_low=90, red_high=180),
            Limit(Quantity.DIASTOLIC, yellow_high=98, red_high=110),
            _PULSE,
        ),
        has_login=True,
    ),
    Person(
        key="leila",
        given_name="Leila",
        family_name="Demosson",
        personal_number="196205143248",
        phone="070-174 06 07",
        diagnosis="Högt blodtryck och diabetes",
        contact="anna",
        kit=_ALL,
        body=Body(
            systolic_mmhg=131,
            diastolic_mmhg=79,
            pulse_per_min=72,
            weight_kg=78.4,
            steps_per_day=6900,
        ),
        limits=_STANDARD,
    ),
    Person(
        key="ingrid",
        given_name="Ingrid",
        family_name="Påhittström",
        personal_number="194903082305",
        phone="070-174 06 08",
        diagnosis="Kärlkramp",
        contact="anna",
        kit=_CUFF,
        body=Body(
            systolic_mmhg=128,
            diastolic_mmhg=73,
            pulse_per_min=64,
            weight_kg=66,
            steps_per_day=4100,
            adherence=0.85,
            gap_days=4,
        ),
        limits=_STANDARD,
    ),
    Person(
        key="sven",
        given_name="Sven",
        family_name="Låtsgren",
        personal_number="194604123275",
        phone="070-174 06 09",
        diagnosis="Hjärtsvikt",
        contact="anna",
        kit=_CUFF_SCALE,
        body=Body(
            systolic_mmhg=122,
            diastolic_mmhg=70,
            pulse_per_min=68,
            weight_kg=83.1,
            steps_per_day=2900,
            adherence=0.8,
            gap_days=3,
        ),
        limits=(*_STANDARD, _weight(85.6, 87.0, 80.0)),
    ),
    Person(
        key="astrid",
        given_name="Astrid",
        family_name="Mallqvist",
        personal_number="193804139149",
        phone="070-174 06 10",
        diagnosis="Förmaksflimmer",
        contact="anna",
        kit=_CUFF_SCALE,
        body=Body(
            systolic_mmhg=134,
            diastolic_mmhg=74,
            pulse_per_min=76,
            weight_kg=58.6,
            steps_per_day=2100,
        ),
        limits=_STANDARD,
    ),
    Person(
        key="goran",
        given_name="Göran",
        family_name="Skissberg",
        personal_number="195110121695",
        phone="070-174 06 11",
        diagnosis="KOL",
        contact="lisa",
        kit=_ALL,
        body=Body(
            systolic_mmhg=129,
            diastolic_mmhg=77,
            pulse_per_min=78,
            weight_kg=71.2,
            steps_per_day=3100,
            adherence=0.88,
        ),
        limits=_STANDARD,
    ),
    Person(
        key="birgitta",
        given_name="Birgitta",
        family_name="Utkastlund",
        personal_number="194708313103",
        phone="070-174 06 12",
        diagnosis="Högt blodtryck",
        contact="lisa",
        kit=_CUFF,
        body=Body(
            systolic_mmhg=133,
            diastolic_mmhg=78,
            pulse_per_min=69,
            weight_kg=70,
            steps_per_day=4800,
        ),
        limits=_STANDARD,
    ),
    Person(
        key="mehmet",
        given_name="Mehmet",
        family_name="Modellsson",
        personal_number="195806073077",
        phone="070-174 06 13",
        diagnosis="Diabetes",
        contact="lisa",
        kit=_ALL,
        body=Body(
            systolic_mmhg=127,
            diastolic_mmhg=78,
            pulse_per_min=73,
            weight_kg=88.5,
            steps_per_day=7800,
            adherence=0.9,
            gap_days=5,
        ),
        limits=_STANDARD,
    ),
    Person(
        key="karin",
        given_name="Karin",
        family_name="Provgård",
        personal_number="195205292260",
        phone="070-174 06 14",
        diagnosis="Hjärtsvikt",
        contact="lisa",
        kit=_CUFF_SCALE,
        body=Body(
            systolic_mmhg=119,
            diastolic_mmhg=71,
            pulse_per_min=66,
            weight_kg=69.3,
            steps_per_day=3600,
            adherence=0.97,
        ),
        limits=(*_STANDARD, _weight(71.8, 73.0, 66.5)),
    ),
    Person(
        key="lars",
        given_name="Lars",
        family_name="Övningstam",
        personal_number="196105162652",
        phone="070-174 06 15",
        diagnosis="Högt blodtryck",
        contact="lisa",
        kit=(Kit.CUFF, Kit.STEPS),
        body=Body(
            systolic_mmhg=132,
            diastolic_mmhg=81,
            pulse_per_min=67,
            weight_kg=86,
            steps_per_day=9100,
            adherence=0.75,
        ),
        limits=_STANDARD,
    ),
    Person(
        key="elsa",
        given_name="Elsa",
        family_name="Testlund",
        personal_number="194303269049",
        phone="070-174 06 16",
        diagnosis="Hjärtsvikt och högt blodtryck",
        contact="lisa",
        kit=_CUFF_SCALE,
        body=Body(
            systolic_mmhg=130,
            diastolic_mmhg=72,
            pulse_per_min=71,
            weight_kg=63.7,
            steps_per_day=2300,
        ),
        limits=(*_STANDARD, _weight(66.0, 67.2, 61.0)),
    ),
)


def person_named(key: str) -> Person:
    """Return the person with *key*; ``KeyError`` if there is none."""
    for person in PEOPLE:
        if person.key == key:
            return person
    raise KeyError(key)
