"""The accept path: from a form under way to a 202 that holds.

1. The form is on disk with its digest, the message is valid, the digest is the declared one.
2. The Idempotency-Key is claimed, which fixes the letter's id before anything outside is asked.
3. The package is looked into, the institution's policy applied, the recipients checked.
4. The bytes go to kep_relay, then the letter; only its answer makes the 202.

Up to and including 3 a failure is a refusal: it releases the key and leaves nothing behind. From
4 on a failure leaves the key claimed, and a repeat of the request continues with the same id.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import structlog

from services.gateway.callers import Caller
from services.gateway.clients.relay import RelayClient
from services.gateway.idempotency import Claim, IdempotencyKeys, Replay, fingerprint
from services.gateway.institutions import Institutions
from services.gateway.metrics import GatewayMetrics
from services.gateway.packages import (
    adverse_findings,
    look_into,
    refuse_confidential,
    refuse_unacceptable,
    verify_components,
)
from services.gateway.recipients import check_recipients
from services.gateway.schemas.admin import InstitutionPolicy
from services.gateway.schemas.outbound import AcceptedMessage, OutboundMessageRequest
from services.gateway.schemas.packages import public_findings
from services.gateway.uploads import UploadedFile
from shared.clients.directory import DirectoryClient
from shared.clients.signer import SignerClient
from shared.clock import Clock
from shared.contracts.inbound import PackageFinding
from shared.contracts.outbound import OutboundMessage, OutboundSubmission
from shared.domain.identifiers import sha256_hex
from shared.errors import DomainError, ErrorCode, Fault
from shared.eyp import Inspection, SecurityCode
from shared.telemetry.logging import correlation_id

log = structlog.get_logger(__name__)

_LONGEST_SUBJECT = 500
_MAY_BE_THERE = frozenset({ErrorCode.STATE_CONFLICT})
"""Refusals after which kep_relay may hold the letter nevertheless."""


@dataclass(frozen=True)
class Accepted:
    """What the client is told: the body of the 202, and whether it was told so before."""

    message_id: UUID
    body: str
    replayed: bool


class Submissions:
    """Takes letters over."""

    def __init__(
        self,
        *,
        relay: RelayClient,
        directory: DirectoryClient,
        signer: SignerClient,
        institutions: Institutions,
        keys: IdempotencyKeys,
        metrics: GatewayMetrics,
        clock: Clock,
        spool: Path,
    ) -> None:
        self._relay = relay
        self._directory = directory
        self._signer = signer
        self._institutions = institutions
        self._keys = keys
        self._metrics = metrics
        self._clock = clock
        self._spool = spool

    async def submit(
        self, caller: Caller, key: str, message: OutboundMessageRequest, package: UploadedFile
    ) -> Accepted:
        """Accept a letter durably, or say why not. Raises ``DomainError`` with any code the operation documents."""
        try:
            accepted = await self._submit(caller, key, message, package)
        except DomainError as error:
            self._metrics.submissions.labels("unavailable" if error.retryable else "refused").inc()
            raise
        self._metrics.submissions.labels("replayed" if accepted.replayed else "accepted").inc()
        return accepted

    async def _submit(
        self, caller: Caller, key: str, message: OutboundMessageRequest, package: UploadedFile
    ) -> Accepted:
        institution_no = caller.acting_for(message.institution_no, "/message/institution_no")
        self._check_declarations(message, package)
        wanted = fingerprint("POST /v1/outbound-messages", message, package.sha256, package.filename)
        claim = await self._keys.claim(caller, key, wanted)
        if isinstance(claim, Replay):
            return Accepted(claim.message_id, claim.answer, replayed=True)
        async with self._keys.working(claim, uncertain=_MAY_BE_THERE):
            answer = await self._hand_over(caller, institution_no, claim, message, package)
            body = answer.model_dump_json()
            await self._keys.complete(claim, body)
        self._metrics.package_bytes.labels("outbound").observe(package.size)
        return Accepted(claim.message_id, body, replayed=False)

    def _check_declarations(self, message: OutboundMessageRequest, package: UploadedFile) -> None:
        if message.package_sha256 is not None and sha256_hex(message.package_sha256) != package.sha256:
            detail = f"the package received has SHA-256 {package.sha256}"
            fault = Fault("/message/package_sha256", detail)
            raise DomainError(ErrorCode.DIGEST_MISMATCH, detail, faults=[fault])
        if message.expires_at is not None and message.expires_at <= self._clock.now():
            fault = Fault("/message/expires_at", "is in the past")
            raise DomainError(ErrorCode.VALIDATION_FAILED, "the letter would expire at once", faults=[fault])

    async def _hand_over(
        self, caller: Caller, institution_no: int, claim: Claim, message: OutboundMessageRequest, package: UploadedFile
    ) -> AcceptedMessage:
        known = await self._already_there(institution_no, claim)
        inspection = await look_into(package)
        policy = await self._institutions.policy(institution_no)
        if known is not None:
            # An earlier try got through and only its answer was lost: what is stored counts, whatever holds now.
            findings = public_findings(inspection) if policy.package_findings != "pass" else []
            return _accepted(known, findings)
        checking = asyncio.create_task(
            check_recipients(self._directory, sender_no=institution_no, recipient_nos=message.recipient_nos)
        )
        try:
            findings = await self._examine(package, inspection, policy)
            await checking
        finally:
            await _ended(checking)
        await self._relay.put_package(package.sha256, package.chunks(), package.size)
        submission = OutboundSubmission(
            institution_no=institution_no,
            client_id=caller.client_id,
            client_ref=message.client_ref,
            subject=message.subject or _subject(inspection, package),
            # Unknown counts as not ordinary: the mail's headers are the one place anybody on the way can read.
            subject_withheld=inspection.security_code is not SecurityCode.UNCLASSIFIED,
            document_id=inspection.letter.document_id,
            document_no=inspection.letter.document_no,
            package_sha256=package.sha256,
            package_size=package.size,
            package_filename=package.filename or f"{inspection.document_id or claim.message_id}.eyp",
            recipient_nos=message.recipient_nos,
            expires_at=message.expires_at,
            correlation_id=correlation_id.get(),
        )
        await self._keys.hold(claim)
        stored = await self._put(claim.message_id, submission)
        log.info("letter_accepted", message_id=str(claim.message_id), findings=len(findings))
        return _accepted(stored, findings)

    async def _put(self, message_id: UUID, submission: OutboundSubmission) -> OutboundMessage:
        try:
            return await self._relay.put_outbound(message_id, submission)
        except DomainError as error:
            if (
                error.code is ErrorCode.NOT_FOUND
            ):  # the bytes just put are gone: its store, not the request, is at fault
                raise DomainError(ErrorCode.DURABILITY_UNAVAILABLE, error.detail) from error
            raise

    async def _already_there(self, institution_no: int, claim: Claim) -> OutboundMessage | None:
        if not claim.continued:
            return None
        try:
            return await self._relay.outbound([institution_no], claim.message_id)
        except DomainError as error:
            if error.code is ErrorCode.NOT_FOUND:
                return None
            raise

    async def _examine(
        self, package: UploadedFile, inspection: Inspection, policy: InstitutionPolicy
    ) -> list[PackageFinding]:
        refuse_confidential(inspection)
        if policy.package_findings == "refuse":
            refuse_unacceptable(inspection)
        findings = public_findings(inspection) if policy.package_findings != "pass" else []
        if policy.signatures == "pass":
            return findings
        checked = await verify_components(package, inspection, self._signer, self._spool)
        if policy.signatures == "refuse":
            for item in checked:
                if item.unavailable is not None:
                    raise item.unavailable
        adverse = adverse_findings(checked)
        failed = [finding for finding in adverse if finding.severity == "fatal"]
        if failed and policy.signatures == "refuse":
            faults = [Fault("/package", f"{finding.part}: {finding.message_en}") for finding in failed]
            raise DomainError(ErrorCode.SIGNATURE_INVALID, "a signature of the package failed", faults=faults)
        return findings + adverse


async def _ended(task: asyncio.Task[None]) -> None:
    """Stop it; what it would have said no longer matters."""
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()  # looked at, or the loop would log it as forgotten


def _accepted(message: OutboundMessage, findings: list[PackageFinding]) -> AcceptedMessage:
    return AcceptedMessage.model_validate({**message.model_dump(), "package_findings": findings})


def _subject(inspection: Inspection, package: UploadedFile) -> str:
    """The letter's own subject as one line; a letter without any is named by its number or file."""
    for text in (inspection.subject, inspection.letter.document_no, inspection.document_id, package.filename):
        line = " ".join("".join(c if c.isprintable() else " " for c in text or "").split())
        if line:
            return line[:_LONGEST_SUBJECT]
    return "e-Yazışma"
