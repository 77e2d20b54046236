"""``alerts ca`` and ``alerts gateway``, as an operator runs them."""

import re
from pathlib import Path

import pytest
from cryptography import x509

from alerts.enrolment import authority, files
from devices.enrolment import parse_code
from tests.alerts.command import Ended, command
from tests.alerts.world import World


class Operator:
    """Runs commands on a world."""

    def __init__(self, world: World, directory: Path, *, enrolment: bool = True) -> None:
        self.directory = directory
        self.config = directory / "alerts.toml"
        text = f'[database]\ndsn = "{world.dsn}"\n'
        if enrolment:
            text += (
                f'[enrolment]\nauthority_dir = "{directory}/authority"\n'
                f'broker_host = "mqtt.example"\nbroker_names = ["mosquitto", "127.0.0.1"]\n'
                f'broker_dir = "{directory}/broker"\nservices_dir = "{directory}/services"\n'
            )
        self.config.write_text(text)

    def run(self, *words: str) -> Ended:
        return command(*words, config=self.config)


@pytest.fixture
def operator(world: World, tmp_path: Path) -> Operator:
    return Operator(world, tmp_path)


def test_the_authority_is_made_with_all_that_needs_it_and_never_twice(operator: Operator) -> None:
    made = operator.run("ca", "init")
    assert made.returncode == 0, made.stderr
    root = authority.load(operator.directory / "authority")
    broker = operator.directory / "broker"
    assert sorted(path.name for path in broker.iterdir()) == sorted(
        [files.CA, files.CERTIFICATE, files.CRL, files.KEY]
    )
    assert sorted(path.name for path in (operator.directory / "services/ingest").iterdir()) == (
        sorted([files.CA, files.CERTIFICATE, files.KEY])
    )
    names = x509.load_pem_x509_certificate((broker / files.CERTIFICATE).read_bytes())
    called = names.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert {str(name.value) for name in called.value} == {"mqtt.example", "mosquitto", "127.0.0.1"}
    again = operator.run("ca", "init")
    assert again.returncode == 1
    assert "shut out" in again.stderr
    kept = operator.run("ca", "init", "--keep")
    assert kept.returncode == 0, kept.stderr
    assert authority.load(operator.directory / "authority").certificate == root.certificate


def test_keeping_leaves_a_list_of_revocations_as_it_is(operator: Operator) -> None:
    assert operator.run("ca", "init").returncode == 0
    root = authority.load(operator.directory / "authority")
    at = root.certificate.not_valid_before_utc
    path = operator.directory / "broker"
    assert files.publish(root, path, [authority.Revoked(7, at)], at)
    before = (path / files.CRL).read_bytes()
    assert operator.run("ca", "init", "--keep").returncode == 0
    assert (path / files.CRL).read_bytes() == before


def test_a_code_is_printed_once_and_can_be_used(operator: Operator, world: World) -> None:
    made = operator.run("gateway", "new-code", "g-home", "--hours", "2")
    assert made.returncode == 0, made.stderr
    code, told = made.stdout.splitlines()
    parse_code(code)
    assert "g-home" in told
    listed = operator.run("gateway", "list").stdout
    assert re.search(r"g-home\ta code waits until", listed)
    assert "g-test\tno certificate" in listed
    assert code not in listed
    hours = "select extract(epoch from expires_at - made_at) / 3600 from enrolment_code"
    assert world.one(hours) == 2


def test_a_gateway_is_revoked_by_name(operator: Operator) -> None:
    assert operator.run("gateway", "revoke", "g-test").returncode == 0
    assert "g-test\tretired" in operator.run("gateway", "list").stdout
    nobody = operator.run("gateway", "revoke", "g-nobody")
    assert nobody.returncode == 1
    assert "gateway list" in nobody.stderr


def test_what_cannot_be_done_is_said_with_its_cure(
    operator: Operator, world: World, tmp_path: Path
) -> None:
    wrong = operator.run("gateway", "new-code", "a b")
    assert (wrong.returncode, "1 to 64" in wrong.stderr) == (1, True)
    (tmp_path / "none").mkdir()
    without = Operator(world, tmp_path / "none", enrolment=False)
    for words in (("ca", "init"), ("gateway", "new-code")):
        refused = without.run(*words)
        assert refused.returncode == 1
        assert "authority_dir" in refused.stderr


def test_alerts_does_not_run_without_the_authority_it_is_told_of(operator: Operator) -> None:
    ended = operator.run("run")
    assert ended.returncode == 1
    assert "python -m alerts ca init" in ended.stderr
