"""What mail and SMS are told: every mistake is found when starting, and no secret is said."""

from pathlib import Path

import pytest

from alerts.config import Config
from ingest.settings import ConfigError, load

MAIL = '[mail]\nhost = "post.example"\nsender = "larm@egenmonitor.example"\n'
VOICE = '[voice]\nurl = "https://rost.example/ring"\nusername = "u"\npassword_file = "{file}"\n'
WEB = '[web]\npublic_url = "https://egenmonitor.example"\n'


def loaded(tmp_path: Path, text: str) -> Config:
    file = tmp_path / "alerts.toml"
    file.write_text('[database]\ndsn = "postgresql://egen:hemligt@db/egen"\n' + text)
    return load(Config, file, {})


def test_mail_needs_to_know_where_its_messages_lead(tmp_path: Path) -> None:
    assert loaded(tmp_path, WEB + MAIL).mail is not None
    with pytest.raises(ConfigError, match=r"web\.public_url: missing") as refused:
        loaded(tmp_path, MAIL)
    assert "hemligt" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (MAIL.replace("larm@", "larm"), "mail.sender: must be one mail address"),
        (MAIL + 'username = "u"\n', "mail: username and password_file belong together"),
        (MAIL + 'tls = "maybe"\n', "mail.tls"),
        (MAIL + "port = 0\n", "mail.port"),
        (MAIL + 'password_file = "/nowhere/pw"\n', "mail.password_file: /nowhere/pw cannot be"),
        ('[sms]\nsender = "070-1"\n', "sms.sender: must be 3 to 11 letters"),
        ('[sms]\nurl = "https://u:p@elks.example/"\n', "sms.url: must be an address such as"),
        ('[sms]\nurl = "http://elks.example/a1/sms"\n', "sms.url: must be https://"),
        ('[sms]\nurl = "http://localhost.example/"\n', "sms.url: must be https://"),
        ('[sms]\nurl = "http://127.0.0.1:80@elks.example/"\n', "sms.url: must be an address such"),
        (VOICE.replace("https", "http"), "voice.url: must be https://"),
        ('[sms]\npassword = "x"\n', "sms.password: unknown key"),
        ('[voice]\nusername = "u"\npassword_file = "{file}"\n', "voice: 46elks speaks no Swedish"),
        (VOICE + 'caller = "+46980319200"\n', "voice: caller and recording belong together"),
        (VOICE + 'caller = "070-1"\n', "voice.caller: must be a number such as"),
    ],
)
def test_a_mistake_is_found_when_starting(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "secret").write_text("x")
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, WEB + text.replace("{file}", str(tmp_path / "secret")))
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "address", ["egenmonitor.example", "ftp://x", "https://x/?a=1", "https://x/ y"]
)
def test_a_link_that_leads_nowhere_is_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(ConfigError, match=r"web\.public_url: must be an address such as"):
        loaded(tmp_path, f'[web]\npublic_url = "{address}"\n')


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "[::1]:8080"])
def test_what_does_not_leave_the_machine_may_go_in_clear(tmp_path: Path, host: str) -> None:
    (tmp_path / "secret").write_text("x")
    voice = VOICE.replace("{file}", str(tmp_path / "secret"))
    settings = loaded(tmp_path, WEB + voice.replace("https://rost.example", f"http://{host}"))
    assert settings.voice is not None
