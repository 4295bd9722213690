"""One recipient of a letter: the items c, h, i and j of EK-3/4."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator

from services.detsis_sync.certificate_content import CertificateContent, read_certificate
from services.detsis_sync.live import doubts
from services.detsis_sync.live.contacts import FAX, PHONE
from services.detsis_sync.live.material import Material, from_contacts
from services.detsis_sync.live.resolve import judged
from services.detsis_sync.mirror.addresses import mirrored
from services.detsis_sync.mirror.warnings import level, of_mirrored_address, warning
from services.detsis_sync.rows import ContactRow, PackageRecipient
from services.detsis_sync.tables import CertificateRecord
from shared.contracts.directory import (
    CertificateHolder,
    ContactLine,
    ContactLines,
    DirectoryWarning,
    EncryptionCertificate,
    ItemSource,
    LetterKepAddress,
    LetterRecipient,
    MissingItem,
    MissingReason,
    ResolutionProblem,
    SourcedText,
    WarningCode,
)
from shared.domain.identifiers import DetsisNumber


class RecipientItems:
    """Puts together what is known of one recipient, with what is missing and what is doubtful."""

    def __init__(self, material: Material, number: DetsisNumber) -> None:
        self._material = material
        self._number = number
        self._unit = material.mirror.units.get(number)
        self._entry: PackageRecipient | None = None
        if material.found is not None:
            self._entry = material.found.by_number.get(number)
        self.missing: list[MissingItem] = []
        self.warnings: list[DirectoryWarning] = []

    def put_together(self) -> LetterRecipient:
        """The recipient; afterwards ``missing`` is complete."""
        address, kind_text, problem = self._address()
        name, addressee = self._name(), self._addressee()
        certificate, postal_address = self._certificate(), self._postal_address()
        phones, faxes = self._contacts("j.phone", PHONE), self._contacts("j.fax", FAX)
        if address is not None:
            kep_address = LetterKepAddress(address=address, kind_text=kind_text, source=self._answer_source())
        else:
            kep_address = None
        return LetterRecipient(
            detsis_no=self._number,
            name=name,
            addressee=addressee,
            kep_address=kep_address,
            encryption_certificate=certificate,
            postal_address=postal_address,
            phones=phones,
            faxes=faxes,
            problem=problem,
            level=level(problem, self.warnings),
            warnings=self.warnings,
        )

    def _answer_source(self) -> ItemSource:
        material = self._material
        return material.from_mirror(material.rule) if material.letter is None else material.from_package()

    def _lacks(self, item: str, reason: MissingReason) -> None:
        self.missing.append(MissingItem(item=item, detsis_no=self._number, reason=reason))

    def _doubt(self, code: WarningCode, detail: str) -> None:
        self.warnings.append(warning(code, detail))

    def _address(self) -> tuple[str | None, str | None, ResolutionProblem | None]:
        """Item h. In a live answer never from the mirror: an address DETSİS does not name is not verified."""
        material = self._material
        if material.letter is None or material.found is None:
            address, problem = mirrored(self._unit)
            self.warnings += of_mirrored_address(self._unit, material.freshness)
            if address is None:
                self._lacks("h.kep_address", MissingReason.NOT_IN_MIRROR)
            return address, None, problem
        live_address, problem = judged(self._number, self._unit, material.letter, material.found)
        entry = self._entry
        if problem is not ResolutionProblem.UNKNOWN:
            self.warnings += doubts.of_live_address(self._number, material.found, entry, self._unit)
        if live_address is None:
            contradicts = "kep_address" in material.found.contradicting.get(self._number, ())
            given = entry is not None and (entry.kep_address or entry.kep_address_text) is not None
            unusable = given or contradicts
            self._lacks("h.kep_address", MissingReason.UNUSABLE if unusable else MissingReason.NOT_IN_ANSWER)
        return live_address, entry.kep_kind if entry is not None else None, problem

    def _name(self) -> SourcedText | None:
        row = self._material.letter.units.get(self._number) if self._material.letter is not None else None
        if row is not None:
            return SourcedText(text=row.name, source=self._material.from_unit())
        if self._unit is not None:
            return SourcedText(text=self._unit.name, source=self._material.from_mirror("mirror.name"))
        return None

    def _addressee(self) -> SourcedText | None:
        """Item c."""
        material = self._material
        if self._entry is not None and self._entry.addressee is not None:
            return SourcedText(text=self._entry.addressee, source=material.from_package())
        line = material.mirror.addressees.get(self._number)
        if line is not None:
            return SourcedText(text=line, source=material.built("built.status-endings"))
        name = self._name()
        if name is None:
            self._lacks("c.addressee", material.nothing_said)
            return None
        self._doubt(
            WarningCode.ADDRESSEE_NOT_INFLECTED, "DETSİS gave no addressee line, and no rule for this name is known"
        )
        return SourcedText(text=name.text, source=material.built("built.name-as-it-is"))

    def _certificate(self) -> EncryptionCertificate | None:
        """Item i. In a live answer only what DETSİS gave for this letter."""
        material = self._material
        chosen = material.mirror.certificate(self._number, material.now)
        if material.letter is None:
            if chosen is None:
                self._lacks("i.encryption_certificate", MissingReason.NOT_IN_MIRROR)
                return None
            return _mirrored(chosen, self._number, material.from_mirror("mirror.certificate"))
        fault = self._entry.certificate_fault if self._entry is not None else None
        if material.found is not None and "encryption_certificate" in material.found.contradicting.get(
            self._number, ()
        ):
            fault = "different ones for the same recipient"
        der = self._entry.encryption_certificate if self._entry is not None and fault is None else None
        content = read_certificate(der) if der is not None else None
        if content is not None and content.unreadable is not None:
            fault = content.unreadable
        if fault is not None:
            self._doubt(
                WarningCode.CERTIFICATE_UNUSABLE,
                f"the encryption certificate in DETSİS' answer cannot be used: {fault}",
            )
            self._lacks("i.encryption_certificate", MissingReason.UNUSABLE)
            return None
        if der is None or content is None:
            self._lacks("i.encryption_certificate", MissingReason.NOT_IN_ANSWER)
            if chosen is not None:
                self._doubt(
                    WarningCode.CERTIFICATE_ONLY_IN_MIRROR,
                    f"DETSİS gave no encryption certificate; the nightly copy has one of {chosen.detsis_no}",
                )
            return None
        self._doubt_validity(content)
        sha256 = hashlib.sha256(der).hexdigest()
        holder_no = material.mirror.holder(self._number, sha256)
        return EncryptionCertificate(
            der_base64=base64.b64encode(der).decode("ascii"),
            sha256=sha256,
            holder=_holder(self._number, holder_no),
            holder_no=holder_no,
            subject=content.subject,
            issuer=content.issuer,
            serial=content.serial,
            not_before=content.not_before,
            not_after=content.not_after,
            source=material.from_package(),
        )

    def _doubt_validity(self, content: CertificateContent) -> None:
        now = self._material.now
        if content.not_after is not None and content.not_after <= now:
            self._doubt(
                WarningCode.CERTIFICATE_EXPIRED,
                f"the encryption certificate expired at {content.not_after.isoformat()}",
            )
        elif content.not_before is not None and content.not_before > now:
            self._doubt(
                WarningCode.CERTIFICATE_NOT_YET_VALID,
                f"the encryption certificate is valid from {content.not_before.isoformat()}",
            )

    def _postal_address(self) -> SourcedText | None:
        """Item j, first part."""
        material = self._material
        if self._entry is not None and self._entry.postal_address is not None:
            return SourcedText(text=self._entry.postal_address, source=material.from_package())
        row = material.letter.units.get(self._number) if material.letter is not None else None
        if row is not None and row.postal_address is not None:
            return SourcedText(text=row.postal_address, source=material.from_unit())
        if self._unit is not None and self._unit.postal_address is not None:
            return SourcedText(text=self._unit.postal_address, source=material.from_mirror("mirror.postal-address"))
        self._lacks("j.postal_address", material.nothing_said)
        return None

    def _contacts(self, item: str, kind: int) -> ContactLines | None:
        """Item j, the rest: DETSİS' answer about a letter has no field for it."""
        contacts = self._material.contacts.get(self._number)
        if contacts is None:
            mirror_only = self._material.letter is None
            self._lacks(item, MissingReason.NOT_IN_MIRROR if mirror_only else MissingReason.NOT_ANSWERED)
            return None
        values = list(_lines(contacts.of_kind(kind)))
        if not values:
            self._lacks(item, MissingReason.NOT_LISTED)
        return ContactLines(values=values, source=from_contacts(contacts))


def _lines(rows: list[ContactRow]) -> Iterator[ContactLine]:
    for row in rows:
        yield ContactLine(value=row.value, label=row.label)


def _holder(number: int, holder_no: int | None) -> CertificateHolder:
    if holder_no is None:
        return CertificateHolder.UNKNOWN
    return CertificateHolder.OWN if holder_no == number else CertificateHolder.OWNER


def _mirrored(record: CertificateRecord, number: int, source: ItemSource) -> EncryptionCertificate:
    return EncryptionCertificate(
        der_base64=base64.b64encode(record.der).decode("ascii"),
        sha256=record.sha256,
        holder=_holder(number, record.detsis_no),
        holder_no=record.detsis_no,
        subject=record.subject,
        issuer=record.issuer,
        serial=record.serial,
        not_before=record.not_before,
        not_after=record.not_after,
        source=source,
    )
