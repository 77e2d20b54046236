"""What must hold between the parts of the organisation in the care record file."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from alerts.care.field import doubles
from alerts.care.people import TECHNICIAN
from alerts.care.roster import Huvudman, Staff, Team, Unit

Keys = AbstractSet[str]


def organisation_crossings(
    huvudmen: Sequence[Huvudman],
    units: Sequence[Unit],
    staff: Sequence[Staff],
    teams: Sequence[Team],
    keys: Mapping[str, Keys],
) -> Iterator[str]:
    """Yield what is wrong; *keys* are those used in each list, sound or not."""
    yield from _twice("huvudmen: key", (one.key for one in huvudmen))
    yield from _twice("huvudmen: name", (one.name for one in huvudmen))
    yield from _twice("teams: unit and name", (f"{one.unit} {one.name}" for one in teams))
    yield from _twice("hsa_id", _hsa_ids(units, staff))
    no_care = giving_no_care(staff)
    for unit in units:
        yield from _of_unit(unit, keys, _not_on_duty(unit, staff, no_care))
    for person in staff:
        yield from _of_person(person, keys, no_care)
    for team in teams:
        if team.unit not in keys["units"]:
            yield f"team {team.key}: there is no unit {team.unit!r}"
        yield from named(f"team {team.key}", "members", team.members, keys, no_care)


def _hsa_ids(units: Iterable[Unit], staff: Iterable[Staff]) -> Iterator[str]:
    yield from (unit.hsa_id for unit in units if unit.hsa_id is not None)
    yield from (person.hsa_id for person in staff if person.hsa_id is not None)


def giving_no_care(staff: Iterable[Staff]) -> set[str]:
    """Return the keys of those who may have no patients."""
    return {person.key for person in staff if not _gives_care(person)}


def named(
    where: str, what: str, named: Iterable[str], keys: Mapping[str, Keys], no_care: Keys
) -> Iterator[str]:
    """Yield who of *named* cannot have patients: nobody has the key, or she gives no care."""
    for key in named:
        if key not in keys["staff"]:
            yield f"{where}: {what} {key!r} is not among the staff"
        if key in no_care:
            yield f"{where}: {what} {key!r} gives no care"


def _not_on_duty(unit: Unit, staff: Sequence[Staff], no_care: Keys) -> Keys:
    """Return who may not be on duty there: who gives no care, but technicians among themselves."""
    if any(person.unit == unit.key and person.key not in no_care for person in staff):
        return no_care
    technicians = {person.key for person in staff if _is_technician(person)}
    return no_care - technicians


def _is_technician(person: Staff) -> bool:
    if person.functions is not None:
        return "technician" in person.functions
    return person.role.casefold() == TECHNICIAN.casefold()


def _of_unit(unit: Unit, keys: Mapping[str, Keys], no_care: Keys) -> Iterator[str]:
    where = f"unit {unit.key}"
    if unit.huvudman is not None and unit.huvudman not in keys["huvudmen"]:
        yield f"{where}: there is no huvudman {unit.huvudman!r}"
    on_duty = dict.fromkeys(duty.staff for duty in unit.duty)
    yield from named(where, "duty", on_duty, keys, no_care)


def _of_person(person: Staff, keys: Mapping[str, Keys], no_care: Keys) -> Iterator[str]:
    where = f"staff {person.key}"
    if person.unit not in keys["units"]:
        yield f"{where}: there is no unit {person.unit!r}"
    substitutes = person.substitutes or ()
    if person.key in substitutes:
        yield f"{where}: she cannot stand in for herself"
    yield from named(where, "substitutes", substitutes, keys, no_care)


def _gives_care(person: Staff) -> bool:
    if person.functions is not None:
        return "care" in person.functions
    return person.role.casefold() != TECHNICIAN.casefold()


def _twice(what: str, values: Iterable[str]) -> list[str]:
    return [f"{what} {value!r} stands more than once" for value in doubles(values)]
