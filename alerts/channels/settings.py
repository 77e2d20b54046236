"""What the ways to reach a person are told. Secrets stand in files, and are read when used."""

from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from ingest.settings import Part, Port, SecretFile

# No user name, password, query or fragment; a path may follow.
_ADDRESS = r"^https?://[A-Za-z0-9.\-\[\]:]+(/[A-Za-z0-9._~/\-]*)?$"
WebAddress = Annotated[str, Field(pattern=_ADDRESS, max_length=200)]
# One mailbox, without a name. What a server makes of it is the server's to say.
MAILBOX: Final = r'^[^@\s<>,;:"\x00-\x1f]{1,64}@[^@\s<>,;:"\x00-\x1f]{1,189}$'
MailAddress = Annotated[str, Field(pattern=MAILBOX)]
# A name of 3 to 11 characters, or a number with its country.
SmsSender = Annotated[str, Field(pattern=r"^([A-Za-z][A-Za-z0-9]{2,10}|\+[1-9][0-9]{6,14})$")]


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

    url: WebAddress = "https://api.46elks.com/a1/sms"
    username: Annotated[str, Field(min_length=1)]
    password_file: SecretFile
    sender: SmsSender
    # The addresses that receipts are sent to are made from this. It never leaves us.
    callback_secret_file: SecretFile
