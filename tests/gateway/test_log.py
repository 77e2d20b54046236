import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import log


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    log.configure("json")


def lines(text: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.getvalue().splitlines()]


def test_an_event_is_one_line_of_json_with_its_facts() -> None:
    text = io.StringIO()
    log.configure("auto", text)  # no terminal
    log.get_logger().warning("radio.lost", path=Path("/x"), seconds=1.5, words='two\nlines "and"')
    (line,) = lines(text)
    assert line.pop("timestamp")
    assert line == {
        "level": "warning",
        "event": "radio.lost",
        "path": "/x",
        "seconds": 1.5,
        "words": 'two\nlines "and"',
    }


def test_an_exception_comes_with_its_whole_traceback() -> None:
    text = io.StringIO()
    log.configure("json", text)
    try:
        raise ValueError("deep")  # noqa: EM101, TRY301
    except ValueError:
        log.get_logger().exception("part.failed", part="central")
    (line,) = lines(text)
    assert line["level"] == "error"
    assert "Traceback" in str(line["exception"])
    assert "ValueError: deep" in str(line["exception"])


def test_a_person_at_a_terminal_reads_words() -> None:
    text = io.StringIO()
    log.configure("text", text)
    log.get_logger().info("uplink.connected", host="broker", port=8883)
    assert text.getvalue().rstrip().endswith("host=broker port=8883")
    assert "info    uplink.connected" in text.getvalue()


def test_what_is_of_no_interest_is_left_out() -> None:
    text = io.StringIO()
    log.configure("json", text)
    log.get_logger().debug("session.detail")
    assert text.getvalue() == ""
    log.configure("json", text, quiet=True)
    log.get_logger().info("uplink.connected")
    assert text.getvalue() == ""
    log.get_logger().error("part.failed")
    assert len(lines(text)) == 1
