"""The correspondence package of one letter, typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.identifiers import DetsisNumber, KepAddress


@dataclass(frozen=True, slots=True)
class SenderContact:
    """Item g of the correspondence package."""

    postal_address: str | None
    phone: str | None
    fax: str | None
    email: str | None
    website: str | None


@dataclass(frozen=True, slots=True)
class PackageRecipient:
    """Items c, h, i and j for one recipient."""

    detsis_no: DetsisNumber
    addressee: str | None
    """Name as it stands in the letter, already in the dative."""
    postal_address: str | None
    kep_address: KepAddress | None
    """None when there is no verified address, or when the text is not an address (``kep_address_text``)."""
    kep_address_text: str | None
    """The text DETSİS sent when it is not an address, else None."""
    kep_kind: str | None
    encryption_certificate: bytes | None = field(repr=False)
    """DER. None when there is none, or when it cannot be used (``certificate_fault``)."""
    certificate_fault: str | None = None
    """Why a certificate DETSİS sent cannot be used, else None: such a letter must not go out unencrypted unnoticed."""


@dataclass(frozen=True, slots=True)
class Signatory:
    """Item e: one manager of the chain."""

    manager_code: int
    given_name: str | None
    surname: str | None
    title: str | None
    acting_kind: str | None
    unit_no: DetsisNumber | None


@dataclass(frozen=True, slots=True)
class CorrespondencePackage:
    """The items a–j that DETSİS gives for one letter of one sender to its real list of recipients."""

    letterhead: str | None
    """Lines separated by line feeds."""
    number_unit_text: str | None
    """The number that goes into the letter's reference, as text."""
    addressee: str | None
    closing_phrase: str | None
    """Depends on the rank of the sender against all recipients of this very list."""
    distribution_text: str | None
    sender_contact: SenderContact
    recipients: tuple[PackageRecipient, ...]
    """In no promised order, and some of the asked ones may be missing: use ``recipient``."""
    signatories: tuple[Signatory, ...]
    answered_at: datetime
    unknown_elements: Mapping[str, int]
    """Names of elements our contract does not know, with how often they stood in the answer."""

    def recipient(self, detsis_no: DetsisNumber) -> PackageRecipient | None:
        """The answer about one recipient, or None if DETSİS left it out."""
        return next((found for found in self.recipients if found.detsis_no == detsis_no), None)
