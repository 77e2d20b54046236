"""What the ways to reach a person are told. Secrets stand in files, and are read when used."""

import re
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from ingest.settings import Part, Port, SecretFile

# No user name, password, query or fragment; a path may follow.
_ADDRESS: Final = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+(/[A-Za-z0-9._~/\-]*)?")
_SAFE: Final = re.compile(r"https://.*|http://(127\.0\.0\.1|localhost|\[::1\])(:[0-9]+)?(/.*)?")
# One mailbox, without a name. What a server makes of it is the server's to say.
MAILBOX: Final = re.compile(r'[^@\s<>,;:"\x00-\x1f]{1,64}@[^@\s<>,;:"\x00-\x1f]{1,189}')
# What networks show as the sender of an SMS.
_SENDER: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{2,10}|\+[1-9][0-9]{6,14}")

# What apprise may carry: services over HTTPS. An address of another kind could start programs or
# write files here, or tell its key to everybody on the way.
SERVICES: Final = frozenset(
    {"gchat", "jsons", "matrixs", "mmosts", "ntfys", "rockets", "slack", "workflows"}
)


_NUMBER: Final = re.compile(r"\+[1-9][0-9]{6,14}")


def _must_be(pattern: re.Pattern[str], words: str) -> AfterValidator:
    def check(text: str) -> str:
        if pattern.fullmatch(text) is None:
            problem = f"must be {words}"
            raise ValueError(problem)
        return text

    return AfterValidator(check)


ELKS_CALLS: Final = "https://api.46elks.com/a1/calls"

WebAddress = Annotated[
    str, Field(max_length=200), _must_be(_ADDRESS, "an address such as https://egenmonitor.example")
]
# Where a password and an address go, so never in clear, but within this machine.
ProviderAddress = Annotated[WebAddress, _must_be(_SAFE, "https://, or http:// within this machine")]
MailAddress = Annotated[str, _must_be(MAILBOX, "one mail address")]
SmsSender = Annotated[
    str, _must_be(_SENDER, "3 to 11 letters and digits, or a number such as +46701740605")
]


class MailSettings(Part):
    """The server that takes our mail."""

    host: Annotated[str, Field(min_length=1, max_length=253)]
    port: Port = 587
    # "tls" from the first byte (465), "starttls" after a greeting (587); never less than asked
    # for. "none" is for a server on this machine.
    tls: Literal["starttls", "tls", "none"] = "starttls"
    username: Annotated[str, Field(min_length=1)] | None = None
    password_file: SecretFile | None = None
    sender: MailAddress

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.username is None) != (self.password_file is None):
            problem = "username and password_file belong together: set both or neither"
            raise ValueError(problem)
        if self.tls == "none" and self.username is not None:
            problem = "a password is never sent in clear: set tls"
            raise ValueError(problem)
        return self


class SmsSettings(Part):
    """46elks, or who speaks like it."""

    url: ProviderAddress = "https://api.46elks.com/a1/sms"
    username: Annotated[str, Field(min_length=1)]
    password_file: SecretFile
    sender: SmsSender
    # The addresses that receipts are sent to are made from this. It never leaves us.
    callback_secret_file: SecretFile


class VoiceSettings(Part):
    """Who calls patients that have no other way: 46elks with a recording, or one who speaks."""

    url: ProviderAddress = ELKS_CALLS
    username: Annotated[str, Field(min_length=1)]
    password_file: SecretFile
    # Both for 46elks: whose number is shown, and where the recorded words lie (WAV, MP3, Ogg).
    caller: Annotated[str, _must_be(_NUMBER, "a number such as +46980319200")] | None = None
    recording: WebAddress | None = None

    @model_validator(mode="after")
    def _has_words(self) -> Self:
        if (self.caller is None) != (self.recording is None):
            problem = "caller and recording belong together: set both or neither"
            raise ValueError(problem)
        if self.recording is None and self.url == ELKS_CALLS:
            problem = "46elks speaks no Swedish text: set caller and recording, or another url"
            raise ValueError(problem)
        return self
