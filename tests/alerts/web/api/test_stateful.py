"""Programs that do many things one after the other: what the API says keeps to what was done.

A machine of rules with a model beside it. The seed is printed; ``EGENMONITOR_FUZZ_SEED`` gives it
again, and ``EGENMONITOR_FUZZ_EXAMPLES`` more stories (at night).
"""

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final
from uuid import uuid4

import httpx
import psycopg
import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from alerts.care.own_channel import ADDED_MAX, CHANNELS_MAX
from simulator.embedded.postgres import Postgres
from tests.alerts.web.api.program import API
from tests.alerts.web.api.test_fuzz import Fuzzed
from tests.alerts.world import World
from tests.conftest import fresh_database

STORIES = int(os.environ.get("EGENMONITOR_FUZZ_EXAMPLES", "6"))
STEPS = 25
OWN: Final = ("anna", "eva")  # of Sven's unit, in whose queue he is; Eva coordinates
STRANGERS: Final = ("lisa", "tove", "marta")
NOON = (datetime.now(UTC) + timedelta(days=3)).replace(hour=12, minute=0, second=0, microsecond=0)

own = st.sampled_from(OWN)
strangers = st.sampled_from(STRANGERS)
days = st.integers(0, 5)
numbers = st.sampled_from([f"+4670174060{number}" for number in range(6)])


@dataclass
class Alert:
    """What is true of an alert."""

    alert_id: int
    holder: str | None = None
    is_closed: bool = False
    # What each has before her, and what it was when she read it.
    tags: dict[str, str] = field(default_factory=dict)
    fresh: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Sent:
    """Something that was done, with its key and its answer."""

    who: str
    path: str
    body: Any
    key: str
    answer: str


class Programs(RuleBasedStateMachine):
    """Anna and Eva at work, and strangers who try."""

    fuzzed: ClassVar[Fuzzed]

    @initialize()
    def begin(self) -> None:
        """Clear away what the story before has left."""
        world = self.world = self.fuzzed.world
        world.connection.execute("update alert set state = 'closed'")
        world.connection.execute("update absence set withdrawn_at = now()")
        world.connection.execute("delete from channel")
        world.connection.execute("update task set done_at = now() where done_at is null")
        self.logins = {key: self.fuzzed.login(key) for key in OWN + STRANGERS}
        self.unit = world.viewer("anna").unit_id
        self.alerts: list[Alert] = []
        self.absences: dict[tuple[int, int], int] = {}
        self.channels: list[int] = []
        self.addresses: dict[str, int] = {}
        self.added = 0
        self.task: int | None = None
        self.taker: str | None = None
        self.sent: list[Sent] = []

    def get(self, who: str, path: str) -> httpx.Response:
        return self._asked(
            httpx.Request("GET", f"http://test{API}{path}", headers=self.logins[who])
        )

    def post(self, who: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        key = headers.pop("key", str(uuid4()))
        told = {**self.logins[who], "Idempotency-Key": key}
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self._asked(
            httpx.Request("POST", f"http://test{API}{path}", headers=told, json=body)
        )
        if answer.is_success and "If-Match" not in told:
            self.sent.append(Sent(who, path, body, key, answer.text))
        return answer

    def _asked(self, request: httpx.Request) -> httpx.Response:
        answer = self.fuzzed.ask(request)
        assert answer.status_code < 500, (request.url, answer.text)
        return answer

    # An alert: whoever is first has it, and nobody acts on what she has not read.

    @precondition(lambda self: not self.alerts or self.alerts[-1].is_closed)
    @rule()
    def an_alert_opens(self) -> None:
        alert_id = self.world.one(
            "insert into alert (patient_id, rule, level, measured_at)"
            " values (%s, 'limit:blood_pressure', 2, now()) returning alert_id",
            self.world.patient("sven"),
        )
        self.alerts.append(Alert(alert_id))

    @precondition(lambda self: self.alerts)
    @rule(who=own, data=st.data())
    def she_reads_an_alert(self, who: str, data: st.DataObject) -> None:
        alert = data.draw(st.sampled_from(self.alerts))
        answer = self.get(who, f"/alerts/{alert.alert_id}")
        assert answer.status_code == 200
        shown = answer.json()
        assert (shown["state"] == "closed") == alert.is_closed
        if not alert.is_closed:
            assert shown["acknowledged_name"] == self._name(alert.holder)
        alert.tags[who] = answer.headers["ETag"]
        alert.fresh.add(who)

    @precondition(lambda self: any(alert.tags for alert in self.alerts))
    @rule(who=own, closes=st.booleans(), data=st.data())
    def she_acts_on_what_she_has_read(self, who: str, closes: bool, data: st.DataObject) -> None:
        known = [alert for alert in self.alerts if who in alert.tags]
        if not known:
            return
        alert = data.draw(st.sampled_from(known))
        what, body = ("close", {"outcome": "contacted"}) if closes else ("acknowledge", None)
        answer = self.post(who, f"/alerts/{alert.alert_id}/{what}", body, If_Match=alert.tags[who])
        if who not in alert.fresh:
            assert answer.status_code == 412, answer.text
            return
        if alert.is_closed:
            assert answer.status_code == 409
            return
        if not closes and alert.holder not in (None, who):
            assert answer.status_code == 409
            assert str(self._name(alert.holder)) in answer.json()["detail"]
            return
        assert answer.status_code == 200, answer.text
        changes = closes or alert.holder is None
        alert.is_closed, alert.holder = closes, alert.holder or who
        alert.tags[who] = answer.headers["ETag"]
        if changes:
            alert.fresh = {who}

    @precondition(lambda self: self.alerts)
    @rule(who=strangers, data=st.data())
    def a_stranger_finds_no_alert(self, who: str, data: st.DataObject) -> None:
        alert = data.draw(st.sampled_from(self.alerts))
        assert self.get(who, f"/alerts/{alert.alert_id}").status_code == 404
        answer = self.post(who, f"/alerts/{alert.alert_id}/acknowledge", If_Match='"1.x"')
        assert answer.status_code == 404

    # Absence: none lies over another, and the same again is the same.

    @rule(first=days, lasts=st.integers(1, 3))
    def an_absence_is_noted(self, first: int, lasts: int) -> None:
        span = (first, first + lasts)
        body = {
            "staff_id": self.world.staff("anna"),
            "from_at": (NOON + timedelta(days=first)).isoformat(),
            "until_at": (NOON + timedelta(days=first + lasts)).isoformat(),
        }
        answer = self.post("eva", f"/units/{self.unit}/absences", body)
        over = [known for known in self.absences if known[0] < span[1] and known[1] > span[0]]
        if over in ([], [span]):
            assert answer.status_code == 201, answer.text
            number = answer.json()["absence_id"]
            assert self.absences.setdefault(span, number) == number
        else:
            assert answer.status_code == 409

    @precondition(lambda self: self.absences)
    @rule(who=st.sampled_from(OWN + STRANGERS), data=st.data())
    def an_absence_is_withdrawn(self, who: str, data: st.DataObject) -> None:
        span = data.draw(st.sampled_from(sorted(self.absences)))
        answer = self.post(who, f"/absences/{self.absences[span]}/withdraw")
        assert answer.status_code == (200 if who in OWN else 404)
        if who in OWN:
            del self.absences[span]

    # Her channels: five at most, each once, in her order.

    @rule(address=numbers)
    def a_channel_is_added(self, address: str) -> None:
        answer = self.post("anna", "/channels", {"kind": "sms", "address": address})
        if address in self.addresses:
            assert answer.json()["channel_id"] == self.addresses[address]
        elif len(self.channels) >= CHANNELS_MAX:
            assert answer.status_code == 409
        elif self.added >= ADDED_MAX:
            assert answer.status_code == 429
        else:
            assert answer.status_code == 201, answer.text
            self.addresses[address] = answer.json()["channel_id"]
            self.channels.append(self.addresses[address])
            self.added += 1

    @precondition(lambda self: self.channels)
    @rule(data=st.data())
    def the_channels_are_put_in_order(self, data: st.DataObject) -> None:
        order = data.draw(st.permutations(self.channels))
        assert self.post("anna", "/channels/order", {"channel_ids": order}).status_code == 200
        self.channels = list(order)

    @precondition(lambda self: self.channels)
    @rule(who=st.sampled_from(OWN + STRANGERS), data=st.data())
    def a_channel_is_taken_away(self, who: str, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(self.channels))
        answer = self.post(who, f"/channels/{number}/remove")
        assert answer.status_code == (200 if who == "anna" else 404)
        if who == "anna":
            self.channels.remove(number)
            self.addresses = {k: v for k, v in self.addresses.items() if v != number}

    # A task: one has it, anybody may end it, once.

    @precondition(lambda self: self.task is None)
    @rule()
    def a_task_opens(self) -> None:
        self.task = self.world.one(
            "insert into task (patient_id, kind, detail) values (%s, 'phone_about_measuring',"
            """ '{"failures": 3, "last_at": "2026-11-23T07:12:00Z"}') returning task_id""",
            self.world.patient("sven"),
        )
        self.taker = None

    @precondition(lambda self: self.task is not None)
    @rule(who=st.sampled_from(OWN + STRANGERS), ends=st.booleans())
    def a_task_is_taken_or_done(self, who: str, ends: bool) -> None:
        what, body = ("done", {"ending": "phoned"}) if ends else ("take", None)
        answer = self.post(who, f"/tasks/{self.task}/{what}", body)
        if who in STRANGERS:
            assert answer.status_code == 404
        elif ends:
            assert answer.status_code == 200
            self.task = None
        elif self.taker in (None, who):
            assert answer.json()["taken_name"] == self._name(who)
            self.taker = who
        else:
            assert answer.status_code == 409

    # What was done is done once under its key, and the key is good for nothing else.

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), other=st.booleans())
    def a_program_sends_it_again(self, data: st.DataObject, other: bool) -> None:
        sent = data.draw(st.sampled_from(self.sent))
        before = len(self.sent)
        if other:
            answer = self.post(sent.who, "/channels/order", {"channel_ids": [1]}, key=sent.key)
            assert answer.status_code == 422
        else:
            answer = self.post(sent.who, sent.path, sent.body, key=sent.key)
            assert (answer.is_success, answer.text) == (True, sent.answer)
        del self.sent[before:]

    @invariant()
    def what_is_listed_is_what_was_done(self) -> None:
        listed = self.get("anna", f"/units/{self.unit}/absences").json()["absences"]
        assert {one["absence_id"] for one in listed} == set(self.absences.values())
        mine = self.get("anna", "/channels").json()["channels"]
        assert [one["channel_id"] for one in mine] == self.channels
        todo = self.get("eva", "/tasks").json()["tasks"]
        assert [(one["task_id"], one["taken_name"]) for one in todo] == (
            [] if self.task is None else [(self.task, self._name(self.taker))]
        )

    def _name(self, who: str | None) -> str | None:
        return {"anna": "Anna Provberg", "eva": "Eva Testström", None: None}[who]


@pytest.fixture(scope="module")
def fuzzed(plain_postgres: Postgres, template: str) -> Iterator[Fuzzed]:
    for dsn in fresh_database(plain_postgres, template):
        with psycopg.connect(dsn, autocommit=True) as connection:
            world = World(dsn, connection)
            connection.execute(
                "insert into staff_function (staff_id, name, from_at)"
                " values (%s, 'coordinator', '2020-01-01')",
                [world.staff("eva")],
            )
            fuzzed = Fuzzed(world)
            yield fuzzed
            fuzzed.close()


@pytest.mark.timeout(600)
def test_stories_of_programs_keep_to_what_was_done(
    fuzzed: Fuzzed, capsys: pytest.CaptureFixture[str]
) -> None:
    number = int(os.environ.get("EGENMONITOR_FUZZ_SEED", "0")) or secrets.randbelow(2**32)
    with capsys.disabled():
        print(f"\nEGENMONITOR_FUZZ_SEED={number}")  # noqa: T201 - so that it can be told again

    Programs.fuzzed = fuzzed
    run_state_machine_as_test(
        seed(number)(Programs),
        settings=settings(
            max_examples=STORIES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            phases=[Phase.generate],  # the seed tells it again; making it short takes minutes
            suppress_health_check=list(HealthCheck),
        ),
    )
