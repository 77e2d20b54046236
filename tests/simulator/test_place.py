"""The demo's directory: configurations that are TOML, a beginning that is remembered, ports."""

import socket
import tomllib
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from simulator.demo.place import HISTORY_DAYS, Begun, Place
from simulator.demo.ports import choose, is_free
from simulator.demo.supervisor import DemoError


def test_a_configuration_reads_back_as_it_was_written(tmp_path: Path) -> None:
    place = Place(tmp_path)
    tables: dict[str, dict[str, object]] = {
        "radio": {"backend": "bumble", "transport": "tcp-client:127.0.0.1:7777"},
        "": {"data_dir": 'C:\\strange "place"\n', "time_zone": "Europe/Stockholm"},
        "uplink": {"port": 1883, "resend_after_s": 2.0, "tls": False, "host": "räksmörgås"},
    }
    place.write_config("gateway", tables)
    read = tomllib.loads(place.config("gateway").read_text(encoding="utf-8"))
    assert read == {**tables[""], "radio": tables["radio"], "uplink": tables["uplink"]}


def test_the_beginning_of_a_demo_is_remembered(tmp_path: Path) -> None:
    first = Place(tmp_path).begun()
    assert Place(tmp_path).begun() == first


def test_the_history_ends_with_the_local_day_the_demo_was_begun() -> None:
    begun = Begun(datetime(2026, 11, 22, 23, 30, tzinfo=UTC))  # past midnight in Sweden
    assert begun.last_day == date(2026, 11, 23)
    assert (begun.last_day - begun.history_from.date()).days == HISTORY_DAYS - 1


def test_logins_are_made_once(tmp_path: Path) -> None:
    place = Place(tmp_path)
    made, are_new = place.logins(place.begun())
    assert are_new
    assert Place(tmp_path).logins(place.begun()) == (made, False)


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DemoError, match="--directory"), Place(tmp_path / "file" / "demo").held():
        pytest.fail("held a directory inside a file")


def test_a_taken_port_gives_way_to_another_and_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        preferred = taken.getsockname()[1]
        port, remark = choose(None, preferred, "--port")
        assert port != preferred
        assert is_free(port)
        assert str(preferred) in remark
        assert str(port) in remark


def test_a_port_that_was_asked_for_is_taken_or_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(DemoError, match=f"--port {port}"):
            choose(port, 8080, "--port")
    assert choose(port, 8080, "--port") == (port, "")
