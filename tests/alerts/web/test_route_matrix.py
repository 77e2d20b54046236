"""Every route, for everybody: who may, who must log in, and for whom a patient does not exist.

An address that the application has and that is not here fails; so does one of a patient that is
answered without standing in the access log.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from fastapi import FastAPI
from starlette.routing import Mount

from alerts.care.people import Viewer
from simulator.embedded.postgres import Postgres
from tests.alerts.audit.people import People
from tests.alerts.conftest import Client, Login
from tests.alerts.web import office_routes, patient_routes
from tests.alerts.web.patient_routes import NESTED
from tests.alerts.world import GATEWAY, PATIENTS, World
from tests.conftest import fresh_database

LOGIN, NONE, GONE = 303, 404, 401
# The columns of the table, and who they are below.
GROUPS = (
    "own",
    "looks",
    "closed",
    "technician",
    "office",
    "herself",
    "patient",
    "relative",
    "not",
    "nobody",
)
Row = tuple[int, ...]


def everybody(code: int) -> Row:
    return (code,) * len(GROUPS)


def logged_in(code: int, nobody: int = LOGIN) -> Row:
    return (code,) * (len(GROUPS) - 1) + (nobody,)


def staff(code: int, nobody: int = LOGIN) -> Row:
    return (code, code, code, *(NONE,) * 6, nobody)


def technician(code: int) -> Row:
    return (NONE, NONE, NONE, code, *(NONE,) * 5, LOGIN)


def patient(code: int) -> Row:
    return (*(NONE,) * 5, code, code, NONE, NONE, LOGIN)


API = "/api/v1"
# What programs get of a patient: who cares for her, who looks, she herself, and whom she lets in.
SHARED: Row = (200, 200, *(NONE,) * 3, 200, NONE, 200, NONE, GONE)
CORRESPONDS: Row = (200, *(NONE,) * 4, 200, NONE, NONE, NONE, GONE)
WRITES: Row = (201, *(NONE,) * 4, 201, NONE, NONE, NONE, GONE)

READING = "/patients/{patient_id}/matningar/{reading_id}"
TABLES = office_routes.TABLES | patient_routes.TABLES

MATRIX: dict[tuple[str, str], Row] = {
    ("GET", "/livez"): everybody(200),
    ("GET", "/readyz"): everybody(200),
    ("GET", "/static/{file}"): everybody(200),
    ("GET", "/login"): everybody(200),
    ("POST", "/login"): everybody(403),  # without the form's own token
    # Nobody is between two steps of a login here, and there is no identity provider.
    ("GET", "/login/kod"): everybody(303),
    ("POST", "/login/kod"): everybody(403),
    ("GET", "/login/kod/ny"): everybody(303),
    ("POST", "/login/kod/ny"): everybody(303),
    ("GET", "/login/oidc"): everybody(NONE),
    ("GET", "/login/oidc/svar"): everybody(NONE),
    ("POST", "/login/oidc/utloggad"): everybody(NONE),
    ("GET", "/konto"): logged_in(200),
    ("POST", "/konto/kod"): logged_in(NONE),  # no codes can be kept here
    ("POST", "/konto/reservkoder"): logged_in(NONE),  # who has no codes has none on paper
    ("POST", "/konto/avsluta"): logged_in(303),
    ("POST", "/konto/avsluta-alla"): logged_in(303),
    ("POST", "/logout"): logged_in(303),
    ("GET", "/"): (200, 200, 200, *(303,) * 6, LOGIN),
    ("GET", "/events"): staff(200, GONE),
    ("GET", "/patients/{patient_id}"): (200, 200, *(NONE,) * 7, LOGIN),
    ("POST", "/alerts/{alert_id}/acknowledge"): (303, *(NONE,) * 8, LOGIN),
    ("POST", "/alerts/{alert_id}/close"): (303, *(NONE,) * 8, LOGIN),
    # The forms have nothing in them.
    ("GET", f"{READING}"): (200, *(NONE,) * 8, LOGIN),
    ("POST", f"{READING}"): (422, *(NONE,) * 8, LOGIN),
    ("POST", f"{READING}/vems"): (422, *(NONE,) * 8, LOGIN),
    ("GET", "/patients/{patient_id}/plan/slut"): (200, *(NONE,) * 8, LOGIN),
    ("POST", "/patients/{patient_id}/plan/slut"): (422, *(NONE,) * 8, LOGIN),
    ("POST", "/me/matningar/{reading_id}"): patient(422),
    ("GET", "/me"): patient(200),
    ("GET", "/me/delning"): patient(200),
    ("POST", "/me/delning/dela"): patient(409),  # with somebody else's relative
    ("POST", "/me/delning/sluta"): patient(409),
    ("GET", "/me/logg"): patient(200),
    ("GET", "/narstaende"): (*(NONE,) * 7, 200, NONE, LOGIN),
    # Nothing is written in the forms, and the task is another's: it is on nobody's list.
    ("GET", "/patients/{patient_id}/meddelanden"): (200, *(NONE,) * 8, LOGIN),
    ("POST", "/patients/{patient_id}/meddelanden"): (422, *(NONE,) * 8, LOGIN),
    ("POST", "/patients/{patient_id}/meddelanden/klart"): (303, *(NONE,) * 8, LOGIN),
    ("POST", "/uppgifter/{task_id}"): staff(303),
    ("POST", "/uppgifter/{task_id}/ta"): staff(303),
    ("GET", "/me/meddelanden"): patient(200),
    ("POST", "/me/meddelanden"): patient(422),
    ("GET", "/nodatkomst"): staff(200),
    ("POST", "/nodatkomst"): staff(422),
    # Nothing is sent from here, and the channel is another's.
    ("GET", "/kanaler"): office_routes.members(200),
    ("POST", "/kanaler/nar"): office_routes.members(422),  # it does not say when
    ("POST", "/kanaler/ny"): office_routes.members(422),
    ("POST", "/kanaler/{channel_id}/upp"): office_routes.members(NONE),
    ("POST", "/kanaler/{channel_id}/bort"): office_routes.members(NONE),
    ("POST", "/kanaler/{channel_id}/testa"): office_routes.members(NONE),
    ("POST", "/kanaler/{channel_id}/kod"): office_routes.members(NONE),
    # For the provider of SMS, which proves itself in the address; none is set up here.
    ("POST", "/delivery/sms/{attempt_id}/{token}"): everybody(NONE),
    # For boxes, which prove themselves in the request; this application enrols none.
    ("POST", "/enrol"): everybody(NONE),
    ("POST", "/enrol/renew"): everybody(NONE),
    ("GET", "/teknik"): technician(200),
    ("POST", "/teknik/koder"): technician(NONE),  # no gateway is enrolled here
    ("GET", "/teknik/{gateway_id}"): technician(200),
    ("GET", "/teknik/{gateway_id}/nu"): technician(200),
    # A fault that another has taken: the technician is told so on her list.
    ("POST", "/teknik/fel/{technical_id}/ta"): technician(303),
    ("POST", "/teknik/fel/{technical_id}/lamna"): technician(303),
    ("POST", "/teknik/fel/{technical_id}/klart"): technician(303),
    # Forms with nothing in them.
    ("POST", "/teknik/{gateway_id}/matare"): technician(409),
    ("POST", "/teknik/{gateway_id}/retur"): technician(409),
    ("POST", "/teknik/{gateway_id}/ihopparning"): technician(409),
    ("POST", "/teknik/{gateway_id}/nummer"): technician(409),
    ("POST", "/teknik/{gateway_id}/avbryt"): technician(409),
    ("GET", "/teknik/{gateway_id}/avstall"): technician(200),
    ("POST", "/teknik/{gateway_id}/avstall"): technician(422),
    # The same for programs, which are told to log in and not sent anywhere.
    ("GET", f"{API}/openapi.json"): logged_in(200, GONE),
    ("GET", f"{API}/me"): logged_in(200, GONE),
    ("GET", f"{API}/worklist"): staff(200, GONE),
    ("GET", f"{API}/alerts/{{alert_id}}"): SHARED,
    ("GET", f"{API}/alerts/{{alert_id}}/log"): (200, 200, *(NONE,) * 7, GONE),
    ("POST", f"{API}/alerts/{{alert_id}}/acknowledge"): (200, *(NONE,) * 8, GONE),
    ("POST", f"{API}/alerts/{{alert_id}}/close"): (200, *(NONE,) * 8, GONE),
    ("POST", f"{API}/alerts/{{alert_id}}/snooze"): (200, *(NONE,) * 8, GONE),
    ("GET", f"{API}/patients"): staff(200, GONE),
    ("GET", f"{API}/patients/{{patient_id}}"): SHARED,
    ("GET", f"{API}/patients/{{patient_id}}/readings"): SHARED,
    ("GET", f"{API}/patients/{{patient_id}}/alerts"): SHARED,
    ("GET", f"{API}/patients/{{patient_id}}/messages"): CORRESPONDS,
    ("POST", f"{API}/patients/{{patient_id}}/messages"): WRITES,
    **office_routes.MATRIX,
    **patient_routes.MATRIX,
}
# Who has another answer than her group, by her name.
OF_FUNCTION = office_routes.OF_FUNCTION | patient_routes.OF_FUNCTION
ENDS_THE_SESSION = {("POST", "/logout"), ("POST", "/konto/avsluta-alla")}
BODIES: dict[str, dict[str, object]] = {
    "close": {"outcome": "contacted"},
    "snooze": {"until": str(datetime.now(UTC) + timedelta(hours=1)), "why": "Ny dos"},
    "messages": {"text": "Hej"},
    **office_routes.BODIES,
}
# What is written in every form; as far as the form asks for it.
FORM = {
    "outcome": "contacted",
    "seen": "1000",
    "ending": "phoned",
    "code": "123456",
    "scope": "values",
}
# What a relative's page and her own are about is not in the address.
ABOUT_HER = {
    ("GET", "/me"): {"herself"},
    ("GET", "/me/meddelanden"): {"herself"},
    ("POST", "/me/meddelanden"): {"herself"},
    ("GET", "/me/delning"): {"herself"},
    ("POST", "/me/delning/dela"): {"herself"},
    ("POST", "/me/delning/sluta"): {"herself"},
    ("GET", "/me/logg"): {"herself"},
    ("GET", f"{API}/me/looks"): {"herself"},
    ("GET", "/narstaende"): {"relative", "not"},
}


@dataclass(frozen=True)
class Role:
    """Somebody, whom she asks for, and what the access log is to say of it."""

    name: str
    group: str
    asks_for: str = "marta"
    ground: str = "denied"
    case: dict[str, str] = field(default_factory=dict)  # the receiver of the patient's alert


ROLES = [
    Role("anna", "own", ground="contact"),
    Role("lisa", "own", "ingrid", "contact"),  # away herself
    Role("teammedlem", "own", "kalle", "team"),
    Role("ersattare", "own", "ingrid", "substitute"),  # who she stands in for is away
    Role("jour", "own", ground="duty"),
    Role("mottagare", "own", ground="routed", case={"staff_id": "mottagare"}),
    Role("eva", "own", "sven", "queue"),
    Role("delad", "looks", ground="shared"),
    Role("nod", "looks", ground="emergency"),
    Role("vikarie", "closed"),  # a substitute, and who she stands in for is at work
    Role("eva", "closed"),  # a colleague of the unit
    Role("lisa", "closed"),  # of another unit
    Role("spärrad", "closed"),  # of a unit that she shares with, and has blocked
    Role("sparad", "closed"),  # her contact until yesterday
    # Of the unit in whose queue he is, and they give no care.
    Role("samordnare", "office", "sven"),
    Role("granskare", "office", "sven"),
    Role("it", "technician", "sven"),
    Role("slutat", "office", "sven"),  # with care, and works here still
    Role("tove", "technician"),
    Role("marta", "herself", ground="self"),
    Role("ingrid", "patient"),
    Role("dotter", "relative", ground="relative"),
    Role("son", "not"),  # a relative whose consent she took back
    Role("", "nobody"),
]


def routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Yield method and address of everything the application answers."""
    pending = list(app.routes)
    while pending:
        route = pending.pop()
        if isinstance(route, Mount) and isinstance(route.app, FastAPI):
            yield from ((method, route.path + path) for method, path in routes(route.app))
            continue
        if isinstance(route, Mount):
            yield "GET", f"{route.path}/{{file}}"
            continue
        inner = getattr(route, "original_router", None)
        if inner is not None:
            pending += inner.routes
            continue
        for method in getattr(route, "methods", None) or ["?"]:
            yield method, getattr(route, "path", repr(route))


@dataclass
class Peopled(World):
    """A world, and what somebody in it has whom none of the roles has anything to do with."""

    others: dict[str, int] = field(default_factory=dict)

    def of_others(self) -> list[object]:
        """Return what those rows are."""
        return [
            self.rows(
                f"select * from {TABLES.get(name, name.removesuffix('_id'))} where {name} = %s",
                number,
            )
            for name, number in self.others.items()
        ]


@pytest.fixture(scope="module")
def world(plain_postgres: Postgres, template: str) -> Iterator[Peopled]:
    """One world for all roles; what opens a patient lasts days, an emergency an hour."""
    for dsn in fresh_database(plain_postgres, template):
        with psycopg.connect(dsn, autocommit=True) as connection:
            made = Peopled(dsn, connection)
            _people(made)
            yield made


def _people(world: Peopled) -> None:
    make = People(world.dsn, world.connection)
    world.others |= office_routes.others(make)
    a, b = (world.viewer(key).unit_id or 0 for key in ("anna", "lisa"))
    shared, blocked = make.unit(), make.unit()
    units = {"teammedlem": b, "ersattare": b, "jour": b, "mottagare": b, "delad": shared}
    units |= {"nod": b, "vikarie": b, "spärrad": blocked, "sparad": a}
    made = {name: _login(make, name, make.staff(unit)) for name, unit in units.items()}
    for name, function in (
        ("samordnare", "coordinator"),
        ("granskare", "reviewer"),
        ("it", "technician"),
        ("slutat", "care"),
    ):
        made[name] = _login(make, name, make.staff(a, functions=[function]))
    make.run(
        "update staff_function set until_at = now() where staff_id = %s", made["slutat"].staff_id
    )
    marta = world.viewer("marta")
    made["dotter"], made["son"] = (
        _login(make, name, make.relative(marta)) for name in ("dotter", "son")
    )
    _relations(make, world, made, a)
    make.run(
        "insert into plan_proposal (patient_id, spec) select patient_id, '{}' from person "
        "on conflict do nothing"
    )
    for holder, revoked in (
        ({"unit_id": shared}, "null"),
        ({"unit_id": blocked}, "null"),
        ({"relative_id": made["dotter"].relative_id}, "null"),
        ({"relative_id": made["son"].relative_id}, "now()"),
    ):
        make.run(
            "insert into consent (patient_id, unit_id, relative_id, scope, given_how, revoked_at) "
            "values (%s, %s, %s, '{values,alerts,plan,messages,contact}', 'self', "
            f"{revoked})",
            marta.patient_id,
            holder.get("unit_id"),
            holder.get("relative_id"),
        )
    make.run("insert into block (patient_id, unit_id) values (%s, %s)", marta.patient_id, blocked)
    make.run(
        "insert into emergency_access (patient_id, staff_id, why, until_at) "
        "values (%s, %s, 'Hittad medvetslös', now() + interval '1 hour')",
        marta.patient_id,
        made["nod"].staff_id,
    )


def _relations(make: People, world: World, made: dict[str, Viewer], unit: int) -> None:
    team = make.team(unit, [made["teammedlem"]])
    make.run(
        "update care_contact set staff_id = null, team_id = %s where patient_id = %s",
        team,
        world.patient("kalle"),
    )
    for name, stands_in_for in (("ersattare", "lisa"), ("vikarie", "anna")):
        make.run(
            "insert into substitute (for_staff_id, place, staff_id) values (%s, 1, %s)",
            world.staff(stands_in_for),
            made[name].staff_id,
        )
    make.run(
        "insert into absence (staff_id, from_at, until_at) "
        "values (%s, now() - interval '1 hour', now() + interval '9 days')",
        world.staff("lisa"),
    )
    make.run(
        "insert into duty (unit_id, staff_id, from_at, until_at) "
        "values (%s, %s, now() - interval '1 hour', now() + interval '9 days')",
        unit,
        made["jour"].staff_id,
    )
    make.run(
        "insert into care_contact (patient_id, staff_id, from_at, until_at) "
        "values (%s, %s, now() - interval '9 days', now() - interval '1 day')",
        world.patient("marta"),
        made["sparad"].staff_id,
    )


def _login(make: People, username: str, viewer: Viewer) -> Viewer:
    make.run(
        "insert into account (username, staff_id, relative_id) values (%s, %s, %s)",
        username,
        viewer.staff_id,
        viewer.relative_id,
    )
    return viewer


def test_every_route_is_listed_here(app: FastAPI) -> None:
    assert set(routes(app)) == MATRIX.keys()


def test_every_group_has_a_role() -> None:
    assert {role.group for role in ROLES} == set(GROUPS)
    assert {len(row) for row in MATRIX.values()} == {len(GROUPS)}


def _is_about_her(route: tuple[str, str], role: Role) -> bool:
    named = "{patient_id}" in route[1] or "{alert_id}" in route[1]
    is_asked_first = route[1].endswith("/log") or route in office_routes.GUARDED
    if named and route[1].startswith(API) and not is_asked_first:
        return role.group != "nobody"  # whom she asks for is looked at first
    # Guards that ask who somebody is answer all but staff before anybody is looked for.
    asked = role.group in ("own", "looks", "closed")
    return (named and asked) or role.group in ABOUT_HER.get(route, ())


@pytest.mark.parametrize("role", ROLES, ids=lambda role: f"{role.name}-{role.group}")
async def test_each_route_answers_a_role_as_listed_and_logs_it(
    world: Peopled, app: FastAPI, browse: Login, role: Role
) -> None:
    app.state.services.hub.close()  # a stream says hello and ends
    wrong: list[object] = []
    before = world.of_others()
    pending = list(MATRIX)
    while pending:
        async with browse(role.name or None) as client:
            while pending:
                route = pending.pop()
                wrong += [(route, found) for found in await _wrong(world, client, role, route)]
                if route in ENDS_THE_SESSION:
                    break
    assert wrong == []
    assert world.of_others() == before


async def _wrong(
    world: Peopled, client: Client, role: Role, route: tuple[str, str]
) -> list[object]:
    """Ask for a route, and return what is not as it should be."""
    patient_id, alert_id = world.patient(role.asks_for), _open_alert(world, role)
    method, path = route
    unit_id, staff_id = _own_place(world, role)
    address = path.format(
        unit_id=unit_id,
        staff_id=staff_id,
        level="red",
        template_key="none",
        request_id=2**40,
        patient_id=patient_id,
        alert_id=alert_id,
        reading_id=_reading(world, patient_id),
        gateway_id=GATEWAY,
        attempt_id=1,
        token="x",
        file="icon.svg",
        **world.others,
    )
    headers = await _headers(client, alert_id) if path.startswith(API) else {}
    before = len(_grounds(world, patient_id))
    if method == "GET":
        answer = await client.get(address)
    elif path.startswith(API):
        body = (BODIES | patient_routes.BODIES).get(path, BODIES.get(path.rpartition("/")[2]))
        answer = await client.post(address, json=body, headers=headers)
    else:
        answer = await client.submit(address, **FORM, relative_id=str(world.others["relative_id"]))
    code = OF_FUNCTION.get(route, {}).get(role.name, MATRIX[route][GROUPS.index(role.group)])
    wrong: list[object] = []
    if answer.status_code != code:
        wrong.append((answer.status_code, code))
    given, family, number, *_ = PATIENTS[role.asks_for]
    # A form that was refused is shown again, with her on it.
    sees = role.group in ("own", "looks", "herself", "relative") and code in (200, 409, 422)
    if not sees and any(secret in answer.text for secret in (given, family, number[2:])):
        wrong.append("tells who she is")
    acts = method == "POST" and "{alert_id}" in path and role.group == "own"
    acts = acts and not path.endswith("/snooze")  # it rests, and is nobody's
    is_open = world.one("select state = 'open' from alert where alert_id = %s", alert_id)
    if is_open == acts:
        wrong.append("the alert is open" if is_open else "the alert is not open")
    door = NESTED[route][GROUPS.index(role.group)] if route in NESTED else code
    expected = ["denied" if door == NONE else role.ground] if _is_about_her(route, role) else []
    grounds = _grounds(world, patient_id)[before:]
    if grounds != expected:
        wrong.append((grounds, expected))
    return wrong


def _own_place(world: World, role: Role) -> tuple[int, int]:
    """Return unit and number of a staff member; of Anna for who is none."""
    username = role.name if role.group in GROUPS[:5] else "anna"
    place = world.rows(
        "select s.unit_id, s.staff_id from account join staff s using (staff_id)"
        " where username = %s",
        username,
    )
    return int(place[0][0]), int(place[0][1])


def _reading(world: World, patient_id: int) -> UUID:
    """Return a reading of the patient's, which there is from now on."""
    found: UUID = world.one(
        "insert into reading (reading_id, patient_id, loan_id, gateway_id, device_id, outcome,"
        " measured_at, received_at, sent_at, arrived_at, clock, source, payload)"
        " values (%s, %s, 1, %s, 'x', 'failed', now(), now(), now(), now(), 'ok', 'x', '')"
        " on conflict (reading_id) do update set slot = excluded.slot returning reading_id",
        UUID(int=patient_id),
        patient_id,
        GATEWAY,
    )
    return found


async def _headers(client: Client, alert_id: int) -> dict[str, str]:
    """Return what a program sends with what it writes."""
    alert = await client.get(f"{API}/alerts/{alert_id}")
    return {
        "X-CSRF-Token": client.csrf,
        "If-Match": alert.headers.get("ETag", ""),
        "Idempotency-Key": str(uuid4()),
    }


def _open_alert(world: World, role: Role) -> int:
    """Return the patient's one open alert; a new one if it was taken, as ingest or routing has it.

    Those of other patients end, so that nobody on duty sees what she asks for by another.
    """
    patient_id = world.patient(role.asks_for)
    is_open = "state = 'open' and patient_id = %s"
    world.connection.execute(
        f"update alert set state = 'closed' where not ({is_open})".encode(), [patient_id]
    )
    alert_id = world.one(f"select alert_id from alert where {is_open}", patient_id)
    case = world.one("select staff_id from alert_case where alert_id = %s", alert_id)
    receiver = world.staff(role.case["staff_id"]) if role.case else None
    if alert_id is not None and case == receiver:
        return int(alert_id)
    world.connection.execute("update alert set state = 'closed'")
    alert_id = world.one(
        "insert into alert (patient_id, rule, level, measured_at) "
        "values (%s, 'limit:blood_pressure', 2, now()) returning alert_id",
        patient_id,
    )
    if receiver is not None:
        world.connection.execute(
            "insert into alert_case (alert_id, unit_id, staff_id, routed_why, told_at) "
            "select %s, unit_id, %s, '', now() from person where patient_id = %s",
            (alert_id, receiver, patient_id),
        )
    return int(alert_id)


def _grounds(world: World, patient_id: int) -> list[str]:
    """Return the grounds of what is logged of her, in order."""
    return [
        ground
        for (ground,) in world.rows(
            "select ground from access_log where patient_id = %s order by number", patient_id
        )
    ]
