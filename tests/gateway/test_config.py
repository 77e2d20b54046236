import os
from pathlib import Path

import pytest

from gateway.config import data_dir, load
from gateway.settings import ConfigProblems
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


ENROLLED = """
gateway_id = "g-enrolled"
[uplink]
host = "broker.example"
port = 8884
ca_file = "{directory}/ca.pem"
cert_file = "{directory}/cert.pem"
key_file = "{directory}/key.pem"
"""


def enrolled(directory: Path, text: str = "") -> Path:
    """Leave a data directory as enrolment does, and return a configuration that says *text*."""
    identity = directory / "data" / "identity"
    identity.mkdir(parents=True)
    for name in ("ca", "cert", "key"):
        (identity / f"{name}.pem").write_text("x")
    (identity / "enrolled.toml").write_text(ENROLLED.format(directory=identity))
    path = directory / "gateway.toml"
    path.write_text(f'data_dir = "{directory / "data"}"\n{text}')
    return path


def test_an_enrolled_box_needs_to_be_told_its_data_directory_only(tmp_path: Path) -> None:
    config = load(enrolled(tmp_path))
    assert config.gateway_id == "g-enrolled"
    assert (config.uplink.host, config.uplink.port) == ("broker.example", 8884)
    assert config.uplink.key_file == tmp_path / "data/identity/key.pem"


def test_what_is_written_wins_over_enrolment_together_with_what_belongs_to_it(
    tmp_path: Path,
) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text("x")
    text = f'gateway_id = "g-own"\n[uplink]\nhost = "other.example"\nca_file = "{ca}"\n'
    config = load(enrolled(tmp_path, text))
    assert config.gateway_id == "g-own"
    assert (config.uplink.host, config.uplink.port) == ("other.example", 8883)
    assert (config.uplink.ca_file, config.uplink.key_file) == (ca, None)


def test_an_enrolment_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    path = enrolled(tmp_path)
    (tmp_path / "data/identity/enrolled.toml").write_text("= broken")
    with pytest.raises(ConfigProblems, match=r"^data_dir: .*enrolled\.toml is not TOML"):
        load(path)


def test_the_data_directory_is_known_before_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text('data_dir = "here"\n[radio]\nbackend = "bluez"\n')
    assert data_dir(path) == Path("here")
    path.write_text("")
    with pytest.raises(ConfigProblems, match=r"^data_dir: is missing"):
        data_dir(path)


def test_a_list_in_a_variable_is_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = toml(tmp_path)
    monkeypatch.setenv("EGENMONITOR_GATEWAY__SESSION__DEVICES", "c4:64:e3:00:00:01")
    with pytest.raises(ConfigProblems, match=r"^session\.devices: .* is no list\. Give it as JSON"):
        load(path)


def test_numbers_and_truth_values_in_variables_are_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = toml(tmp_path)
    monkeypatch.setenv("EGENMONITOR_GATEWAY__UPLINK__PORT", "1884")
    monkeypatch.setenv("EGENMONITOR_GATEWAY__UPLINK__TLS", "true")
    monkeypatch.setenv("EGENMONITOR_GATEWAY__SESSION__IDLE_S", "2.5")
    config = load(path)
    assert (config.uplink.port, config.uplink.tls, config.session.idle_s) == (1884, True, 2.5)


def test_each_element_of_a_list_is_judged_by_itself(tmp_path: Path) -> None:
    text = toml(tmp_path).read_text()
    told = problems(tmp_path, text.replace("idle_s = 1.0", 'devices = ["up", 3]'))
    assert set(told) == {"session.devices.0", "session.devices.1"}
    many = ", ".join(f'"C4:64:E3:00:00:{n:02X}"' for n in range(65))
    told = problems(tmp_path, text.replace("idle_s = 1.0", f"devices = [{many}]"))
    assert set(told) == {"session.devices"}


def test_a_section_that_is_no_table_is_told(tmp_path: Path) -> None:
    text = "uplink = 3\n" + toml(tmp_path).read_text().split("[uplink]")[0]
    assert problems(tmp_path, text)["uplink"] == "'3' is no table. Write the keys under [uplink]"


@pytest.mark.parametrize(
    ("feedback", "key"),
    [
        ('output = "command"', "feedback.command"),
        ('output = "gpio"', "feedback.output"),
        ('output = "gpio"\nred_line = -1', "feedback.red_line"),
        ('output = "lamp"', "feedback.output"),
    ],
)
def test_a_light_needs_to_know_its_line_and_a_command_its_words(
    tmp_path: Path, feedback: str, key: str
) -> None:
    text = toml(tmp_path).read_text() + f"[feedback]\n{feedback}\n"
    assert set(problems(tmp_path, text)) == {key}
