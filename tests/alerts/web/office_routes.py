"""The API of the organisation and the work beside it, for everybody: rows of the route matrix.

Of one's own unit; every other number in an address is somebody else's, of a unit that none of the
roles has anything to do with.
"""

from datetime import UTC, datetime, timedelta

from tests.alerts.audit.people import People
from tests.alerts.web.patient_routes import TABLES as OF_PATIENTS
from tests.alerts.web.patient_routes import rows_of
from tests.alerts.world import GATEWAY

API = "/api/v1"
LOGIN, NONE, GONE = 303, 404, 401
Row = tuple[int, ...]
# own, looks, closed, technician, office, herself, patient, relative, not, nobody


def staff(code: int) -> Row:
    return (code, code, code, *(NONE,) * 6, GONE)


def technician(code: int) -> Row:
    return (NONE, NONE, NONE, code, *(NONE,) * 5, GONE)


def members(code: int, nobody: int = LOGIN) -> Row:
    """Return a row of what is for everybody who works here."""
    return (*(code,) * 5, *(NONE,) * 4, nobody)


UNIT = f"{API}/units/{{unit_id}}"
COLLEAGUES = staff(200)
OFFICE: Row = (*(NONE,) * 9, GONE)  # what who has a function gets stands in OF_FUNCTION
SHARED: Row = (200, 200, *(NONE,) * 3, 200, NONE, 200, NONE, GONE)

MATRIX: dict[tuple[str, str], Row] = {
    ("GET", f"{API}/units"): COLLEAGUES,
    ("GET", UNIT): COLLEAGUES,
    ("GET", f"{UNIT}/staff"): COLLEAGUES,
    ("GET", f"{UNIT}/teams"): COLLEAGUES,
    ("GET", f"{UNIT}/absences"): COLLEAGUES,
    ("GET", f"{UNIT}/duties"): COLLEAGUES,
    ("GET", f"{UNIT}/policies"): COLLEAGUES,
    # Nothing is written in them, and absence, duty and channel are another's.
    ("POST", f"{UNIT}/absences"): staff(422),
    ("POST", f"{API}/absences/{{absence_id}}/withdraw"): OFFICE,
    ("POST", f"{API}/absences/{{absence_id}}/cut-short"): OFFICE,
    ("POST", f"{UNIT}/duties"): OFFICE,
    ("POST", f"{API}/duties/{{duty_id}}/withdraw"): OFFICE,
    ("POST", f"{UNIT}/policies/{{level}}"): OFFICE,
    ("POST", f"{UNIT}/policies/{{level}}/rehearse"): OFFICE,
    ("GET", f"{API}/technical"): technician(200),
    # Another technician has taken it.
    ("POST", f"{API}/technical/{{technical_id}}/take"): technician(409),
    ("POST", f"{API}/technical/{{technical_id}}/leave"): technician(409),
    ("POST", f"{API}/technical/{{technical_id}}/close"): technician(409),
    ("GET", f"{API}/gateways"): technician(200),
    ("GET", f"{API}/gateways/{{gateway_id}}"): technician(200),
    ("GET", f"{API}/indicators"): OFFICE,
    ("GET", f"{API}/indicators.csv"): OFFICE,
    ("GET", f"{API}/me/looks"): (*(NONE,) * 5, 200, 200, NONE, NONE, GONE),
    ("GET", f"{UNIT}/looks"): OFFICE,
    ("POST", f"{UNIT}/reviews"): OFFICE,
    ("GET", f"{UNIT}/emergencies"): OFFICE,
    ("POST", f"{UNIT}/emergencies/{{access_id}}/review"): OFFICE,  # another unit's
    ("GET", f"{API}/tasks"): staff(200),
    ("POST", f"{API}/tasks/{{task_id}}/take"): OFFICE,  # another's
    ("POST", f"{API}/tasks/{{task_id}}/done"): OFFICE,
    ("GET", f"{API}/channels"): members(200, GONE),
    ("POST", f"{API}/channels"): members(422, GONE),
    ("POST", f"{API}/channels/order"): members(422, GONE),
    ("POST", f"{API}/channels/{{channel_id}}/test"): OFFICE,
    ("POST", f"{API}/channels/{{channel_id}}/confirm"): OFFICE,
    ("POST", f"{API}/channels/{{channel_id}}/remove"): OFFICE,
    ("GET", f"{API}/staff/{{staff_id}}/substitutes"): COLLEAGUES,
    ("POST", f"{API}/staff/{{staff_id}}/substitutes"): staff(422),  # nobody is named
    ("GET", f"{API}/patients/{{patient_id}}/substitutes"): SHARED,
    ("POST", f"{API}/patients/{{patient_id}}/substitutes"): (200, *(NONE,) * 8, GONE),
}
BOTH = ("samordnare", "granskare")
# Who has another answer than her group, by her name.
OF_FUNCTION: dict[tuple[str, str], dict[str, int]] = {
    **{route: dict.fromkeys(BOTH, 200) for route, row in MATRIX.items() if row is COLLEAGUES},
    ("POST", f"{UNIT}/absences"): dict.fromkeys(BOTH, 422),
    ("POST", f"{API}/staff/{{staff_id}}/substitutes"): dict.fromkeys(BOTH, 422),
    ("POST", f"{UNIT}/duties"): {"samordnare": 422},
    ("GET", f"{API}/indicators"): {"samordnare": 200},
    ("GET", f"{API}/indicators.csv"): {"samordnare": 200},
    ("GET", f"{UNIT}/looks"): {"granskare": 422},  # of which time, it does not say
    ("POST", f"{UNIT}/reviews"): {"granskare": 422},
    ("GET", f"{UNIT}/emergencies"): {"granskare": 200},
    ("POST", f"{UNIT}/policies/{{level}}"): {"samordnare": 422},
    ("POST", f"{UNIT}/policies/{{level}}/rehearse"): {"samordnare": 422},
    # An alert, or a night on duty, is not enough to name somebody.
    ("POST", f"{API}/patients/{{patient_id}}/substitutes"): {"jour": NONE, "mottagare": NONE},
}
# Of a patient, and answered to all but staff before anybody is looked for.
GUARDED = {("POST", f"{API}/patients/{{patient_id}}/substitutes")}
BODIES: dict[str, dict[str, object]] = {
    f"{API}/patients/{{patient_id}}/substitutes": {"staff_ids": []},
    "done": {"ending": "phoned"},
    "review": {"said": "Rimligt."},
    f"{API}/technical/{{technical_id}}/close": {"note": "Klart."},
    "confirm": {"code": "123 456"},
    "cut-short": {"at": str(datetime.now(UTC) + timedelta(hours=36))},
}
TABLES = {"access_id": "emergency_access"}


def others(make: People) -> dict[str, int]:
    """Make a row of each, and return their numbers by what an address calls them."""
    made: dict[str, int] = {}
    unit = make.unit()
    somebody = make.staff(unit)
    patient = make.patient(unit, contact=somebody)
    soon = "now() + interval '1 day', now() + interval '2 days'"
    rows: dict[str, tuple[str, tuple[object, ...]]] = {
        "absence": (f"(staff_id, from_at, until_at) values (%s, {soon})", (somebody.staff_id,)),
        "duty": (
            f"(unit_id, staff_id, from_at, until_at) values (%s, %s, {soon})",
            (unit, somebody.staff_id),
        ),
        "channel": (
            "(staff_id, kind, address) values (%s, 'email', 'x@example.org')",
            (somebody.staff_id,),
        ),
        "task": (
            (
                "(patient_id, kind, detail) values (%s, 'phone_about_measuring',"
                """ '{"failures": 3, "last_at": "2026-11-23T07:12:00Z"}')"""
            ),
            (patient.patient_id,),
        ),
    }
    made["access_id"] = make.one(
        "insert into emergency_access (patient_id, staff_id, why, until_at)"
        " values (%s, %s, 'Hittad medvetslös', now() + interval '1 hour') returning access_id",
        patient.patient_id,
        somebody.staff_id,
    )
    made["technical_id"] = make.one(
        "insert into technical (kind, key, gateway_id, taken_by, taken_at)"
        " values ('silent_gateway', 'x', %s, %s, now()) returning technical_id",
        GATEWAY,
        somebody.staff_id,
    )
    relative = make.relative(patient).relative_id
    assert relative is not None
    made["relative_id"] = relative
    made["consent_id"] = make.one(
        "insert into consent (patient_id, relative_id, scope, given_how)"
        " values (%s, %s, '{values}', 'self') returning consent_id",
        patient.patient_id,
        relative,
    )
    for table, (values, arguments) in rows.items():
        made[f"{table}_id"] = make.one(
            f"insert into {table} {values} returning {table}_id", *arguments
        )
    for name, values in rows_of(patient.patient_id, unit, make.unit()).items():
        made[name] = make.one(f"insert into {OF_PATIENTS[name]} {values} returning {name}")
    return made
