"""Builds the drivers by hand from the settings."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry

from services.kep_relay.drivers.choice import DriverChoice
from services.kep_relay.drivers.eyws.codes import Codes
from services.kep_relay.drivers.eyws.desk import EywsDesk
from services.kep_relay.drivers.eyws.driver import EywsDriver
from services.kep_relay.drivers.eyws.metrics import contract_differences
from services.kep_relay.drivers.eyws.numbers import NumberBook
from services.kep_relay.drivers.eyws.transport import EywsTimes, EywsTransport
from services.kep_relay.drivers.protocol import SecurityIds
from services.kep_relay.drivers.smtp_imap.driver import SmtpImapDriver
from services.kep_relay.drivers.smtp_imap.imap import ImapReading, ImapTiming
from services.kep_relay.drivers.smtp_imap.smtp import SmtpSubmission, SmtpTimes
from services.kep_relay.settings import Settings
from shared.clock import Clock
from shared.db.session import Database


def make_drivers(
    settings: Settings,
    database: Database,
    clock: Clock,
    security_ids: SecurityIds,
    registry: CollectorRegistry | None = None,
) -> DriverChoice:
    """One driver for all mailboxes. Raises VALIDATION_FAILED when the file of codes cannot be used."""
    return DriverChoice(_mail(settings), _eyws(settings, database, clock, security_ids, registry))


def _mail(settings: Settings) -> SmtpImapDriver:
    return SmtpImapDriver(
        SmtpSubmission(
            SmtpTimes(
                connect=settings.smtp_connect_seconds,
                command=settings.smtp_command_seconds,
                data=settings.smtp_data_seconds,
                idle=settings.smtp_idle_seconds,
            ),
            client_name=settings.smtp_client_name,
            credit_words=settings.smtp_credit_words,
            legacy_tls=settings.legacy_tls_endpoints,
        ),
        ImapReading(
            ImapTiming(
                connect_seconds=settings.imap_connect_seconds,
                command_seconds=settings.imap_command_seconds,
                fetch_seconds=settings.imap_fetch_seconds,
            ),
            legacy_tls=settings.legacy_tls_endpoints,
        ),
    )


def _eyws(
    settings: Settings, database: Database, clock: Clock, security_ids: SecurityIds, registry: CollectorRegistry | None
) -> EywsDriver:
    times = EywsTimes(
        connect=settings.eyws_connect_seconds,
        call=settings.eyws_call_seconds,
        transfer=settings.eyws_transfer_seconds,
    )
    differences = contract_differences(registry or CollectorRegistry())
    codes = Codes.load(None if settings.eyws_codes_file is None else Path(settings.eyws_codes_file))
    legacy = frozenset(settings.legacy_tls_endpoints)
    transport = EywsTransport(times, max_file_bytes=settings.max_mail_bytes, codes=codes, legacy_tls=legacy)
    return EywsDriver(EywsDesk(transport, clock), NumberBook(database, clock), security_ids, differences)
