"""Settings of the incoming side; part of ``services.kep_relay.settings``."""

from __future__ import annotations

import re
from datetime import time
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from services.kep_relay.acceptance.calendars import read_overrides
from services.kep_relay.inbound.scanning import scanner_address
from shared.config import DatabaseSettings
from shared.domain.identifiers import ascii_lower, kep_address

_MEBIBYTE = 1024 * 1024
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")


class InboundSettings(DatabaseSettings):
    """How mailboxes are read, what is checked, and how long letters are leased."""

    max_mail_bytes: int = Field(
        default=48 * _MEBIBYTE, ge=64 * 1024, le=256 * _MEBIBYTE,
        description="A larger incoming mail is not loaded; it is listed as quarantined and stays at the provider.",
    )  # fmt: skip
    mail_memory_bytes: int = Field(
        default=192 * _MEBIBYTE, ge=16 * _MEBIBYTE, le=16384 * _MEBIBYTE,
        description="Bytes of mail that one process holds in memory at once; what comes on top waits its turn.",
    )  # fmt: skip
    mailbox_lease_seconds: float = Field(
        default=15,
        ge=2,
        le=600,
        description="A process that drains a mailbox renews its right to do so within this time.",
    )
    mailbox_look_seconds: float = Field(
        default=2, ge=0.1, le=300, description="How soon new, changed and freed mailboxes are noticed."
    )
    reconnect_pauses_seconds: list[float] = Field(
        default=[1, 2, 5, 15, 60], min_length=1, description="JSON list of pauses after a broken IMAP session."
    )
    rescan_seconds: float = Field(
        default=600, ge=1, le=86400, description="How often the most recent mails of a folder are looked through again."
    )
    rescan_uids: int = Field(
        default=500,
        ge=0,
        le=100_000,
        description="How many UIDs back such a look goes; all of them at a new UIDVALIDITY.",
    )
    storing_first_seconds: float = Field(
        default=3,
        ge=0,
        le=60,
        description="While a folder has much that is new, a stored mail waits at most so long before it is read: "
        "what still lies at the provider is made durable first. 0: both at the same time.",
    )
    further_folders: list[str] = Field(
        default=[], max_length=20,
        description="JSON list of folders that are read besides each mailbox's inbox: mail that somebody moved in the "
        "webmail before it was read here is found there. A mailbox without such a folder is read as before.",
    )  # fmt: skip
    further_folders_seconds: float = Field(
        default=300, ge=0.1, le=86400, description="How often the further folders are read."
    )
    imap_connect_seconds: float = Field(default=10, gt=0, le=300, description="Time to connect and log in over IMAP.")
    imap_command_seconds: float = Field(
        default=60, gt=0, le=600, description="Time for the answer to one IMAP command."
    )
    imap_fetch_seconds: float = Field(
        default=600, gt=0, le=3600, description="Time to load one mail, or one piece of a large one."
    )

    calendar_file: Path | None = Field(
        default=None,
        description='JSON object of days that differ from the law here: {"2026-12-31": "off"}; off, half or working.',
    )
    working_day_ends: time = Field(
        default=time(17), description="When a whole working day ends in Turkey; a half day ends at 13:00."
    )
    ingest_attempts: int = Field(
        default=5, ge=1, le=50, description="A mail that cannot be read in so many attempts is quarantined."
    )
    detsis_verification_senders: list[str] = Field(
        default=[], description="JSON list of the KEP addresses DETSİS sends its address verification messages from."
    )
    detsis_link_hosts: list[str] = Field(
        default=["detsis.gov.tr", "kaysis.gov.tr"],
        description="JSON list of the hosts (and all below) that DETSİS's verification links lead to. A mail with such a "
        "link is shown as one that may be a verification mail; any other link is flagged.",
    )
    sender_signature_profile: Literal["qualified-signature", "integrity-only"] = Field(
        default="qualified-signature", description="What is asked of the signature of an incoming letter's sender."
    )
    unverified_evidence: Literal["advance", "hold"] = Field(
        default="advance",
        description="Whether evidence of which everything is proven but revocation (no list to be had) moves a letter on. "
        "Either way it is flagged and verified again; no other undecided or failed evidence ever moves anything.",
    )
    encrypted_retry_seconds: float = Field(
        default=3600, ge=1, le=86400,
        description="How often an encrypted letter that no key here opens is tried again, for a key may have come.",
    )  # fmt: skip
    clamd_address: str | None = Field(
        default=None,
        description="tcp://host:port or unix:///path of a ClamAV daemon that looks through every incoming mail; its "
        "StreamMaxLength has to be above max_mail_bytes. Without one nothing is looked for.",
    )
    clamd_seconds: float = Field(
        default=120, gt=0, le=600, description="Time for the virus scanner's answer about one mail."
    )
    provider_retention_days: dict[str, float] = Field(
        default={},
        description='JSON object: {"mailbox id": days}. A mail that is done with here is deleted at the provider so long '
        "after it came, once its archived bytes were read back and compared. A mailbox without entry: never.",
    )
    max_deliveries: int = Field(
        default=10, ge=1, le=1000, description="A letter leased so often without confirmation becomes a dead letter."
    )

    @field_validator("calendar_file")
    @classmethod
    def _calendar_is_readable(cls, file: Path | None) -> Path | None:
        read_overrides(file)
        return file

    @field_validator("clamd_address")
    @classmethod
    def _is_a_scanner(cls, address: str | None) -> str | None:
        return None if address is None else scanner_address(address)

    @field_validator("provider_retention_days")
    @classmethod
    def _some_time_is_left(cls, days: dict[str, float]) -> dict[str, float]:
        if any(not 1 <= number <= 36_500 for number in days.values()):
            raise ValueError("mails stay at the provider for at least one day")
        return days

    @field_validator("detsis_verification_senders")
    @classmethod
    def _are_addresses(cls, addresses: list[str]) -> list[str]:
        return [kep_address(address) for address in addresses]

    @field_validator("further_folders")
    @classmethod
    def _are_names_of_folders(cls, folders: list[str]) -> list[str]:
        if any(not folder.isprintable() or not 0 < len(folder) <= 200 for folder in folders):
            raise ValueError("must be names of 1 to 200 printable characters")
        return folders

    @field_validator("detsis_link_hosts")
    @classmethod
    def _are_hosts(cls, hosts: list[str]) -> list[str]:
        lowered = [ascii_lower(host) for host in hosts]
        if any(not _HOST.fullmatch(host) for host in lowered):
            raise ValueError("must be names of hosts, without scheme, port or path")
        return lowered

    @field_validator("reconnect_pauses_seconds")
    @classmethod
    def _pause_is_sane(cls, pauses: list[float]) -> list[float]:
        if any(not 0 < pause <= 3600 for pause in pauses):
            raise ValueError("pauses lie between 0 and 3600 seconds")
        return pauses
