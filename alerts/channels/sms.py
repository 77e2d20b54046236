"""SMS over 46elks' HTTP interface (46elks.se/docs/send-sms, sms-delivery-reports).

A request names sender, number, text and where receipts go; the answer names the message. Each
receipt is a form: ``id``, and ``status`` "sent", "delivered" or "failed".
"""

from dataclasses import dataclass

import httpx

from alerts.channels import receipt
from alerts.channels.message import Message
from alerts.channels.outcome import Fault, Outcome, State, failed
from alerts.channels.posting import SEND_S_MAX, Account, Answer, post, taken
from alerts.channels.settings import SmsSettings
from ingest.settings import read_secret


@dataclass(frozen=True, slots=True)
class Sms:
    """Sends through one account."""

    settings: SmsSettings
    public_url: str
    client: httpx.AsyncClient
    wait_s: float = SEND_S_MAX

    async def send(self, address: str, message: Message, attempt_id: int | None) -> Outcome:
        """Ask for one SMS to be sent."""
        settings = self.settings
        try:
            form = self._form(address, message, attempt_id)
        except OSError as error:
            return failed(Fault.OURS, f"a secret cannot be read: {error.strerror}")
        account = Account(settings.url, settings.username, settings.password_file)
        answer = await post(self.client, account, self.wait_s, data=form)
        if not isinstance(answer, Answer):
            return answer
        return answer.refusal or taken(answer, "status", State.ACCEPTED)

    def _form(self, address: str, message: Message, attempt_id: int | None) -> dict[str, str]:
        form = {"from": self.settings.sender, "to": address, "message": message.text}
        if attempt_id is not None:
            secret = read_secret(self.settings.callback_secret_file)
            form["whendelivered"] = receipt.address(self.public_url, secret, attempt_id)
        return form
