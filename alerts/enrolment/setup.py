"""Setup: the parts of enrolment, made from the configuration. Nothing is decided here."""

from dataclasses import dataclass
from datetime import timedelta

from alerts.config import EnrolmentSettings
from alerts.enrolment.authority import Authority, load
from alerts.enrolment.registrar import Registrar
from alerts.enrolment.warden import Warden

_SERVICES = ("ingest",)


@dataclass(frozen=True, slots=True)
class EnrolmentOf:
    """Who gives certificates, and who takes them away."""

    registrar: Registrar
    warden: Warden


def open_enrolment(settings: EnrolmentSettings | None) -> EnrolmentOf | None:
    """Return the parts; none where no gateway is enrolled.

    Raises:
        AuthorityMissing: The authority was not made yet, or is damaged.
    """
    if settings is None:
        return None
    root = load(settings.authority_dir)
    return EnrolmentOf(registrar(settings, root), warden(settings, root))


def registrar(settings: EnrolmentSettings, authority: Authority) -> Registrar:
    """Return who gives certificates."""
    return Registrar(
        authority,
        settings.broker_host,
        settings.broker_port,
        timedelta(days=settings.certificate_days),
    )


def warden(settings: EnrolmentSettings, authority: Authority) -> Warden:
    """Return who takes them away."""
    services = {name: settings.services_dir / name for name in _SERVICES}
    return Warden(authority, settings.broker_dir, settings.names, services)
