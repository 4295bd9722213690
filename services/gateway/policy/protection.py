"""In what form a letter travels: as it is, encrypted, or unencrypted by a person's decision (legal.md L.26)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.gateway.encryption import Addressee, addressees, named_in_envelope, usable_certificates
from services.gateway.policy.confidentiality import Standing
from services.gateway.policy.findings import refuse_unacceptable
from services.gateway.policy.rules import Treatment
from services.gateway.schemas.admin import InstitutionPolicy
from services.gateway.schemas.certificates import CheckedCertificate
from services.gateway.schemas.outbound import OutboundMessageRequest
from services.gateway.uploads import UploadedFile
from shared.clients.directory import DirectoryClient
from shared.clients.signer import SignerClient
from shared.contracts.envelopes import MOST_RECIPIENTS
from shared.contracts.outbound import (
    EncryptionCertificate,
    LetterConfidentiality,
    LetterEncryption,
    UnencryptedDecision,
)
from shared.errors import DomainError, ErrorCode, Fault
from shared.eyp import Inspection, PackageKind
from shared.eyp.rules.wrapping import CLEAR_PART, ENCRYPTED_CONTENT_MISSING, NOT_AN_ENVELOPE

_CLOCKS_DIFFER = timedelta(minutes=5)
_NOT_ENCRYPTED = frozenset({ENCRYPTED_CONTENT_MISSING.key, NOT_AN_ENVELOPE.key})
_SHOWS = _NOT_ENCRYPTED | {rule.key for rule in CLEAR_PART.values()}
"""Findings about a package that is called encrypted and lets something be read."""


@dataclass(frozen=True)
class Protection:
    """What was decided about one letter."""

    standing: Standing
    encryption: LetterEncryption
    addressees: tuple[Addressee, ...] = ()
    """Whom the gateway encrypts for."""
    certificates: tuple[EncryptionCertificate, ...] = ()
    """What the envelope of an .eyps names."""
    decision: UnencryptedDecision | None = None

    def recorded(self, handed_over: UploadedFile) -> LetterConfidentiality:
        """As it stands in the letter's record."""
        encrypted_here = self.encryption is LetterEncryption.GATEWAY
        return LetterConfidentiality(
            degree=self.standing.degree,
            declared=self.standing.declared,
            rule=self.standing.rules.rule,
            rules_of=self.standing.rules.in_force_since,
            encryption=self.encryption,
            certificates=[*(item.certificate for item in self.addressees), *self.certificates],
            inner_sha256=handed_over.sha256 if encrypted_here else None,
            inner_size=handed_over.size if encrypted_here else None,
            decision=self.decision,
        )


async def protection_of(
    standing: Standing,
    package: UploadedFile,
    inspection: Inspection,
    policy: InstitutionPolicy,
    message: OutboundMessageRequest,
    *,
    directory: DirectoryClient,
    signer: SignerClient,
    now: datetime,
) -> Protection:
    """Decide how a letter whose degree lets it leave is to travel.

    Raises DECISION_REQUIRED for recipients without a usable certificate; CONFIDENTIALITY_FORBIDDEN when the
    institution does not let the gateway encrypt; VALIDATION_FAILED when recipients with and without certificate are
    mixed or too many; PACKAGE_INVALID for a package that only says it is encrypted or is so weakly, and for one with
    fatal findings, which nobody encrypts; DIRECTORY_UNAVAILABLE and SIGNER_UNAVAILABLE while it cannot be known who
    has a certificate. Never plain for want of an answer.
    """
    asked = asks_for_encryption(standing, policy)
    if inspection.kind is PackageKind.ENCRYPTED:
        return await _handed_over_encrypted(standing, package, inspection, signer, asked=asked)
    if not asked:
        return Protection(standing, LetterEncryption.NONE)
    if inspection.kind is PackageKind.UPDATE:
        # Only a plain package goes into an encrypted one (eyp.md 5): an update can at most be decided about.
        decision = _decided(message, message.recipient_nos, now, "an update package cannot be encrypted")
        return Protection(standing, LetterEncryption.NONE, decision=decision)
    found = await usable_certificates(directory, signer, message.recipient_nos, message.pointer)
    having = {number: item for number, item in found.items() if item is not None}
    lacking = [number for number, item in found.items() if item is None]
    if not having:
        decision = _decided(message, lacking, now, "the directory has no usable certificate of the recipient")
        return Protection(standing, LetterEncryption.NONE, decision=decision)
    _require_one_kind(message, lacking)
    if policy.restricted == "refuse":
        raise DomainError(
            ErrorCode.CONFIDENTIALITY_FORBIDDEN,
            "the institution's policy wants this letter encrypted by its own document system: hand over an .eyps",
            faults=[Fault(message.pointer(number), "has a certificate to encrypt for") for number in having],
        )
    refuse_unacceptable(inspection)
    return Protection(standing, LetterEncryption.GATEWAY, few_addressees(having, "/message/recipients"))


async def _handed_over_encrypted(
    standing: Standing, package: UploadedFile, inspection: Inspection, signer: SignerClient, *, asked: bool
) -> Protection:
    part = inspection.encrypted_content
    if not asked:
        closed = part is not None and not any(finding.key in _NOT_ENCRYPTED for finding in inspection.findings)
        return Protection(standing, LetterEncryption.SENDER if closed else LetterEncryption.NONE)
    _require_closed(inspection)
    named = await named_in_envelope(package, part, signer) if part is not None else []
    return Protection(standing, LetterEncryption.SENDER, certificates=tuple(named))


def asks_for_encryption(standing: Standing, policy: InstitutionPolicy) -> bool:
    """Whether a letter travels unencrypted only by a decision: by law, or because its institution wants it so."""
    return standing.treatment is Treatment.PROTECTED or standing.degree.value in policy.encrypted_degrees


def few_addressees(certificates: dict[int, CheckedCertificate], pointer: str) -> tuple[Addressee, ...]:
    """The addressees of one envelope. Raises VALIDATION_FAILED when they are more than signer encrypts for at once."""
    found = addressees(certificates)
    if len(found) > MOST_RECIPIENTS:
        detail = f"one letter is encrypted for at most {MOST_RECIPIENTS} certificates: send it in several parts"
        raise DomainError(ErrorCode.VALIDATION_FAILED, detail, faults=[Fault(pointer, detail)])
    return found


def _require_closed(inspection: Inspection) -> None:
    """Whatever the policy on findings: an .eyps that lies open would show what was declared to be hidden."""
    open_ = [finding for finding in inspection.findings if finding.key in _SHOWS]
    if open_ or inspection.encrypted_content is None:
        faults = [Fault("/package", f"{finding.key}: {finding.message_en}") for finding in open_]
        raise DomainError(ErrorCode.PACKAGE_INVALID, "the package is called encrypted and lies open", faults=faults)


def _require_one_kind(message: OutboundMessageRequest, lacking: list[int]) -> None:
    if lacking:
        raise DomainError(
            ErrorCode.VALIDATION_FAILED,
            "some recipients have a certificate to encrypt for and some have none; a letter has one package, so "
            "send it to the two kinds apart",
            faults=[Fault(message.pointer(number), "has no usable certificate in the directory") for number in lacking],
        )


def _decided(message: OutboundMessageRequest, lacking: list[int], now: datetime, why: str) -> UnencryptedDecision:
    given = message.unencrypted_decision
    if given is None:
        raise DomainError(
            ErrorCode.DECISION_REQUIRED,
            f"a letter of this degree travels unencrypted only by a person's decision: {why}",
            faults=[Fault(message.pointer(number), why) for number in lacking],
        )
    decided_at = given.decided_at or now
    if decided_at > now + _CLOCKS_DIFFER:
        fault = Fault("/message/unencrypted_decision/decided_at", "is in the future")
        raise DomainError(ErrorCode.VALIDATION_FAILED, "the decision is not made yet", faults=[fault])
    return UnencryptedDecision(decided_by=given.decided_by, reason=given.reason, decided_at=decided_at)
