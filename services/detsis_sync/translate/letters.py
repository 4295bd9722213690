"""The correspondence package of one letter: from wire rows to typed rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from services.detsis_sync.rows import CorrespondencePackage, PackageRecipient, SenderContact, Signatory
from services.detsis_sync.soap.wire import WirePackage, WireRecipient, WireRowError, WireSignatory
from services.detsis_sync.translate.texts import (
    DISTRIBUTION_LIMIT,
    certificate,
    integer,
    lines,
    number,
    other_number,
    plain,
)
from shared.domain.identifiers import KepAddress, kep_address


def correspondence_package(
    package: WirePackage, *, answered_at: datetime, unknown_elements: Mapping[str, int]
) -> CorrespondencePackage:
    """Translate one package. Raises ``WireRowError`` when a recipient has no usable number: it could not be matched."""
    return CorrespondencePackage(
        letterhead=lines("letterhead", package.letterhead),
        number_unit_text=plain("number_unit_text", package.number_unit),
        addressee=plain("addressee", package.addressee),
        closing_phrase=plain("closing_phrase", package.closing_phrase),
        distribution_text=lines("distribution_text", package.distribution, DISTRIBUTION_LIMIT),
        sender_contact=SenderContact(
            postal_address=plain("postal_address", package.postal_address),
            phone=plain("phone", package.phone),
            fax=plain("fax", package.fax),
            email=plain("email", package.email),
            website=plain("website", package.website),
        ),
        recipients=tuple(_recipient(recipient) for recipient in package.recipients),
        signatories=tuple(_signatory(signatory) for signatory in package.signatories),
        answered_at=answered_at,
        unknown_elements=unknown_elements,
    )


def _recipient(recipient: WireRecipient) -> PackageRecipient:
    address: KepAddress | None = None
    unusable = None
    if recipient.kep_address and recipient.kep_address.strip():
        try:
            address = kep_address(recipient.kep_address)
        except ValueError:
            unusable = plain("kep_address", recipient.kep_address)
    encryption_certificate, certificate_fault = None, None
    if recipient.encryption_certificate and recipient.encryption_certificate.strip():
        try:
            encryption_certificate = certificate("encryption_certificate", recipient.encryption_certificate)
        except WireRowError as fault:
            certificate_fault = fault.reason
    return PackageRecipient(
        detsis_no=number("recipients", recipient.number),
        addressee=plain("addressee", recipient.addressee),
        postal_address=plain("postal_address", recipient.postal_address),
        kep_address=address,
        kep_address_text=unusable,
        kep_kind=plain("kep_kind", recipient.kep_kind),
        encryption_certificate=encryption_certificate,
        certificate_fault=certificate_fault,
    )


def _signatory(signatory: WireSignatory) -> Signatory:
    return Signatory(
        manager_code=integer("signatories", signatory.manager_code),
        given_name=plain("given_name", signatory.given_name),
        surname=plain("surname", signatory.surname),
        title=plain("title", signatory.title),
        acting_kind=plain("acting_kind", signatory.acting_kind),
        unit_no=other_number(signatory.unit_number),
    )
