import os
from pathlib import Path

import pytest

from gateway.config import ConfigProblems, load
from tests.gateway.material import gateway, toml


def problems(directory: Path, text: str) -> dict[str, str]:
    path = directory / "gateway.toml"
    path.write_text(text)
    with pytest.raises(ConfigProblems) as caught:
        load(path)
    return dict(line.split(": ", 1) for line in caught.value.problems)


BAD = """
gateway_id = "g 1"
time_zone = "Europe/Stokholm"
data_dir = "data"
colour = "red"
[radio]
backend = "bumble"
[session]
idle = 3
devices = ["C4:64:E3:00:00:01", "upstairs"]
[uplink]
port = 99999
password_file = "/nowhere/password"
[log]
format = "xml"
"""


def test_every_problem_is_told_at_once_with_its_key_and_a_cure(tmp_path: Path) -> None:
    told = problems(tmp_path, BAD)
    assert set(told) == {
        "gateway_id",
        "time_zone",
        "colour",
        "radio.transport",
        "session.idle",
        "session.devices.1",
        "uplink.host",
        "uplink.port",
        "uplink.password_file",
        "log.format",
    }
    assert "'Europe/Stockholm'" in told["time_zone"]
    assert "'idle_s'" in told["session.idle"]
    assert "EGENMONITOR_GATEWAY__UPLINK__HOST" in told["uplink.host"]
    assert "1 to 65535" in told["uplink.port"]
    assert "No such file" in told["uplink.password_file"]
    for words in told.values():
        assert len(words.split()) >= 5


def test_a_missing_section_is_told_as_the_keys_to_write(tmp_path: Path) -> None:
    told = problems(tmp_path, 'gateway_id = "g"\ndata_dir = "d"\n')
    assert list(told) == ["uplink.host"]


def test_the_environment_overrides_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = toml(tmp_path)
    monkeypatch.setenv("EGENMONITOR_GATEWAY__UPLINK__HOST", "broker.example")
    monkeypatch.setenv("EGENMONITOR_GATEWAY__SESSION__DEVICES", '["c4:64:e3:00:00:01"]')
    config = load(path)
    assert config.uplink.host == "broker.example"
    assert config.uplink.port == 9
    assert config.session.devices == ("C4:64:E3:00:00:01",)


def test_a_variable_that_names_no_key_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = toml(tmp_path)
    monkeypatch.setenv("EGENMONITOR_GATEWAY__GATEWAYID", "g")
    monkeypatch.setenv("EGENMONITOR_GATEWAY__UPLINK__HORST", "h")
    with pytest.raises(ConfigProblems) as caught:
        load(path)
    told = "\n".join(caught.value.problems)
    assert "EGENMONITOR_GATEWAY__GATEWAYID" in told
    assert "uplink.horst" in told


@pytest.mark.parametrize("text", ["gateway_id = ", "\xff", None])
def test_a_file_that_is_none_says_so(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "gateway.toml"
    if text is not None:
        path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigProblems, match=r"^--config: .*gateway\.toml"):
        load(path)


def test_passwords_are_read_from_their_file_and_shown_nowhere(tmp_path: Path) -> None:
    path = toml(tmp_path)
    secret = tmp_path / "password"
    secret.write_text("hemligt-ord\n")
    lines = f'[uplink]\nusername = "g"\npassword_file = "{secret}"\n'
    path.write_text(path.read_text().replace("[uplink]\n", lines))
    config = load(path)
    assert config.uplink.password() == "hemligt-ord"
    assert "hemligt-ord" not in repr(config)


def test_half_a_certificate_is_a_problem(tmp_path: Path) -> None:
    pem = tmp_path / "cert.pem"
    pem.write_text("x")
    text = toml(tmp_path).read_text().replace("[uplink]\n", f'[uplink]\ncert_file = "{pem}"\n')
    assert "key_file" in problems(tmp_path, text)["uplink"]


def test_check_config_ends_with_2_and_one_line_for_each_problem(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(BAD)
    process = gateway("check-config", path)
    said, complained = process.communicate()
    assert process.returncode == 2
    assert said == ""
    assert len(complained.splitlines()) == 10


def test_run_ends_with_2_on_a_bad_configuration(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(BAD)
    process = gateway("run", path)
    _, complained = process.communicate()
    assert process.returncode == 2
    assert "time_zone: 'Europe/Stokholm' is not a time zone" in complained


def test_check_config_names_an_unreachable_broker(tmp_path: Path) -> None:
    process = gateway("check-config", toml(tmp_path), "--connect")
    _, complained = process.communicate()
    assert process.returncode == 1
    assert complained.startswith("uplink.host: nobody listens at 127.0.0.1:9. Start the broker")


def test_check_config_names_a_host_that_is_none(tmp_path: Path) -> None:
    environment = {**os.environ, "EGENMONITOR_GATEWAY__UPLINK__HOST": "no-such-host.invalid"}
    process = gateway("check-config", toml(tmp_path), "--connect", environment=environment)
    _, complained = process.communicate()
    assert process.returncode == 1
    assert complained.startswith("uplink.host: ")
    assert "no-such-host.invalid:9" in complained


def test_run_refuses_a_directory_it_cannot_use(tmp_path: Path) -> None:
    path = toml(tmp_path)
    (tmp_path / "data").write_text("a file, not a directory")
    process = gateway("run", path)
    _, complained = process.communicate()
    assert process.returncode == 2
    assert "data_dir: " in complained
