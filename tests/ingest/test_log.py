"""An error of the database or of a model tells its kind and never a value."""

import json
import logging
import os
import sys
from collections.abc import Iterator
from datetime import date
from typing import Literal

import psycopg
import pytest
import structlog
from fastapi.exceptions import RequestValidationError, ResponseValidationError
from pydantic import BaseModel, ValidationError, field_validator

from ingest import log
from ingest.settings import LogSettings
from simulator.embedded.postgres import Postgres

NUMBER = "189001019802"
NAME = "Provia Provsson"
REFUSED = (
    f"insert into kept values ('{NUMBER}', '{NAME}', 1)",  # a row, and a key, in the detail
    f"insert into kept values ('1', '{NAME}', 0)",
    f"insert into kept values (null, '{NAME}', 1)",
    f"select '{NAME}'::integer",  # in the message itself
    f"select '{NUMBER}1'::integer",
    f"select '{NAME}'::date",
    f"do $$ begin raise exception 'no' using detail = '{NAME}', hint = '{NUMBER}'; end $$",
)


@pytest.fixture(autouse=True)
def logging_to_standard_error() -> Iterator[None]:
    was = sys.excepthook
    log.set_up(LogSettings(format="json"))
    yield
    structlog.reset_defaults()
    sys.excepthook = was
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(None)


@pytest.fixture
def connection(plain_postgres: Postgres) -> Iterator[psycopg.Connection]:
    with psycopg.connect(plain_postgres.dsn("postgres"), autocommit=True) as opened:
        opened.execute(
            "create temporary table kept"
            " (number text primary key, name text, n integer check (n > 0))"
        )
        opened.execute("insert into kept values (%s, %s, 1)", (NUMBER, NAME))
        yield opened


def refused(connection: psycopg.Connection, statement: str) -> Exception:
    """Return the error as it comes out of a task, with what it came of."""
    try:
        try:
            connection.execute(statement.encode())
        except psycopg.Error as error:
            problem = "the work failed"
            raise ExceptionGroup(problem, [RuntimeError(problem), error]) from error
    except ExceptionGroup as group:
        return group
    raise AssertionError(statement)


@pytest.mark.parametrize("statement", REFUSED)
def test_no_way_into_the_log_tells_a_value(
    connection: psycopg.Connection, capsys: pytest.CaptureFixture[str], statement: str
) -> None:
    error = refused(connection, statement)
    cause = error.__cause__
    assert isinstance(cause, psycopg.Error)
    assert NUMBER in str(cause) or NAME in str(cause)
    structlog.get_logger().error("work.failed", exc_info=error)
    try:
        raise error
    except ExceptionGroup:
        structlog.get_logger().exception("work.failed")
    # By hand: pytest has handlers of its own.
    assert logging.lastResort is not None
    found = (type(error), error, error.__traceback__)
    logging.lastResort.handle(logging.makeLogRecord({"msg": "failed", "exc_info": found}))
    sys.excepthook(type(error), error, error.__traceback__)
    said = capsys.readouterr().err
    assert said.count("the work failed") >= 4
    assert said.count(f"psycopg.errors.{type(cause).__name__} ({cause.sqlstate})") >= 4
    assert NUMBER not in said
    assert NAME not in said


class Kept(BaseModel, extra="forbid"):
    """What a row may hold."""

    level: Literal["yellow", "red"]
    born_on: date

    @field_validator("born_on", mode="before")
    @classmethod
    def _is_a_day(cls, given: str) -> str:
        if not given.startswith("19"):
            problem = f"no day: {given}"
            raise ValueError(problem)
        return given


def test_what_does_not_fit_a_model_is_told_by_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValidationError) as unfit:
        Kept.model_validate({"level": NAME, "born_on": NUMBER.removeprefix("19"), NAME: 1})
    assert str(unfit.value).count(NAME) == 2
    structlog.get_logger().error("work.failed", exc_info=unfit.value)
    said = capsys.readouterr().err
    assert "of Kept: level: literal_error, born_on: value_error, (a key): extra_forbidden" in said
    assert NAME not in said
    assert NUMBER.removeprefix("19") not in said


class Shelf(BaseModel):
    """Rows by whose they are."""

    rows: dict[str, list[Kept]]
    counts: dict[int, int]


def test_the_key_of_a_mapping_is_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValidationError) as unfit:
        Shelf.model_validate({"rows": {NAME: [{"level": "red"}]}, "counts": {int(NUMBER): "no"}})
    assert NAME in str(unfit.value)
    assert NUMBER in str(unfit.value)
    structlog.get_logger().error("work.failed", exc_info=unfit.value)
    said = capsys.readouterr().err
    assert "rows.(a key).0.born_on: missing, counts.(a key): int_parsing" in said
    assert NAME not in said
    assert NUMBER not in said


@pytest.mark.parametrize("kind", [ResponseValidationError, RequestValidationError])
def test_an_answer_that_fits_no_model_is_told_by_its_place(
    capsys: pytest.CaptureFixture[str],
    kind: type[ResponseValidationError | RequestValidationError],
) -> None:
    with pytest.raises(ValidationError) as unfit:
        Kept.model_validate({"level": NAME, "born_on": NUMBER.removeprefix("19"), NAME: 1})
    found = [{**each, "loc": ("response", *each["loc"])} for each in unfit.value.errors()]
    error = kind(found, body={"name": NAME})
    assert NAME in str(error)
    structlog.get_logger().error("work.failed", exc_info=error)
    said = capsys.readouterr().err
    assert f"fastapi.exceptions.{kind.__name__}: response.level: literal_error" in said
    assert NAME not in said
    assert NUMBER.removeprefix("19") not in said


def test_an_error_says_where_it_was_and_what_kind(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        _ = os.environ["A KEY OF OURS"]
    except KeyError as error:
        structlog.get_logger().error("work.failed", exc_info=error)
    told = json.loads(capsys.readouterr().err)["exception"]
    assert "in test_an_error_says_where_it_was_and_what_kind" in told
    assert told.endswith("KeyError: 'A KEY OF OURS'")


def test_a_database_that_is_away_is_told_with_its_address(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(psycopg.OperationalError) as away:
        psycopg.connect("host=127.0.0.1 port=1 dbname=x", connect_timeout=2)
    structlog.get_logger().error("work.failed", exc_info=away.value)
    assert "port 1" in capsys.readouterr().err


def test_what_goes_in_a_circle_ends(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__context__, second.__context__ = second, first
    structlog.get_logger().error("work.failed", exc_info=first)
    said = capsys.readouterr().err
    assert (said.count("first"), said.count("second")) == (1, 1)
