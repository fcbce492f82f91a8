"""Writing to the operator."""

from __future__ import annotations

import asyncio
import smtplib
from email.message import EmailMessage

from mesh.telemetry import log
from services.webhooks.config import MailConfig
from services.webhooks.store import Disabled

SECONDS = 10.0


class Postman:
    """Writes to the operator that an endpoint was disabled; without a mail server, to the log alone."""

    def __init__(self, config: MailConfig | None) -> None:
        """Write as `config` says."""
        self._config = config

    async def tell(self, disabled: Disabled) -> None:
        """Log it, and send a mail; a mail that does not go out is logged too, and not tried again."""
        log.warning("endpoint_disabled", team=disabled.team_id, url=disabled.url, failing_since=disabled.failing_since)
        if self._config is None:
            return
        try:
            await asyncio.to_thread(_send, self._config, _letter(self._config, disabled))
        except (OSError, smtplib.SMTPException) as error:
            log.warning("mail_failed", server=self._config.server, error=str(error))


def _letter(config: MailConfig, disabled: Disabled) -> EmailMessage:
    letter = EmailMessage()
    letter["From"], letter["To"] = config.sender, config.recipient
    letter["Subject"] = "Q-MUMMA: a webhook was disabled"
    letter.set_content(
        f"Nothing was taken at this URL since {disabled.failing_since:%Y-%m-%d %H:%M} UTC, and nothing is sent to it "
        f"any more:\n\n  {disabled.url}\n\nIt is of the team {disabled.team_id}. A delivery that is sent again by hand "
        "and taken there (POST /v1/webhooks/deliveries/{id}/retry) enables it.\n"
    )
    return letter


def _send(config: MailConfig, letter: EmailMessage) -> None:
    host, _, port = config.server.rpartition(":")
    with smtplib.SMTP(host, int(port), timeout=SECONDS) as server:
        server.send_message(letter)
