"""The accept path: from a form under way to a 202 that holds.

1. The form is on disk with its digest, the message is valid, the digest is the declared one.
2. The Idempotency-Key is claimed, which fixes the letter's id before anything outside is asked.
3. The package is looked into: its degree of confidentiality, the institution's policy, the recipients. What has to
   be encrypted is encrypted.
4. The bytes go to kep_relay, then the letter; only its answer makes the 202.

Up to and including 3 a failure is a refusal: it releases the key and leaves nothing behind. From
4 on a failure leaves the key claimed, and a repeat of the request continues with the same id.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import httpx
import structlog

from services.gateway import audit
from services.gateway.callers import Caller
from services.gateway.clients.relay import RelayClient
from services.gateway.encryption import encrypt_package
from services.gateway.idempotency import Claim, IdempotencyKeys, Replay, fingerprint
from services.gateway.institutions import Institutions
from services.gateway.metrics import GatewayMetrics
from services.gateway.packages import look_into
from services.gateway.policy.confidentiality import refuse_secret_annexes, standing_of
from services.gateway.policy.findings import examine, let_through, version_findings
from services.gateway.policy.lowering import refuse_unproven_lowering
from services.gateway.policy.protection import Protection, protection_of
from services.gateway.recipients import check_recipients
from services.gateway.schemas.admin import InstitutionPolicy
from services.gateway.schemas.outbound import AcceptedMessage, OutboundMessageRequest
from services.gateway.uploads import UploadedFile
from shared.clients.directory import DirectoryClient
from shared.clients.signer import SignerClient
from shared.clock import Clock
from shared.contracts.inbound import PackageFinding
from shared.contracts.outbound import LetterConfidentiality, LetterEncryption, OutboundMessage, OutboundSubmission
from shared.db.session import Database
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
        database: Database,
        clock: Clock,
        spool: Path,
        max_package_bytes: int,
    ) -> None:
        self._relay = relay
        self._directory = directory
        self._signer = signer
        self._institutions = institutions
        self._keys = keys
        self._metrics = metrics
        self._database = database
        self._clock = clock
        self._spool = spool
        self._max_package_bytes = max_package_bytes

    async def submit(
        self,
        caller: Caller,
        key: str,
        message: OutboundMessageRequest,
        package: UploadedFile,
        message_signature: bytes | None = None,
    ) -> Accepted:
        """Accept a letter durably, or say why not. Raises ``DomainError`` with any code the operation documents."""
        try:
            accepted = await self._submit(caller, key, message, package, message_signature)
        except DomainError as error:
            self._metrics.submissions.labels("unavailable" if error.retryable else "refused").inc()
            raise
        self._metrics.submissions.labels("replayed" if accepted.replayed else "accepted").inc()
        return accepted

    @asynccontextmanager
    async def message_content(
        self, caller: Caller, message: OutboundMessageRequest, package: UploadedFile
    ) -> AsyncIterator[httpx.Response]:
        """What has to be signed of the KEP messages this letter would go in; nothing is kept.

        Refuses what ``submit`` would refuse now, and what the gateway would encrypt.
        """
        institution_no = caller.acting_for(message.institution_no, "/message/institution_no")
        self._check_declarations(message, package)
        inspection = await look_into(package)
        policy = await self._institutions.policy(institution_no)
        protection, _findings = await self._judge(institution_no, message, package, inspection, policy)
        _require_unchanged(protection)
        async with self._relay.message_content(
            inspection.letter.document_id, package.filename, package.sha256, package.chunks(), package.size
        ) as content:
            yield content

    async def _submit(
        self,
        caller: Caller,
        key: str,
        message: OutboundMessageRequest,
        package: UploadedFile,
        message_signature: bytes | None,
    ) -> Accepted:
        institution_no = caller.acting_for(message.institution_no, "/message/institution_no")
        self._check_declarations(message, package)
        signed = [] if message_signature is None else [hashlib.sha256(message_signature).hexdigest()]
        wanted = fingerprint("POST /v1/outbound-messages", message, package.sha256, package.filename, *signed)
        claim = await self._keys.claim(caller, key, wanted)
        if isinstance(claim, Replay):
            return Accepted(claim.message_id, claim.answer, replayed=True)
        async with self._keys.working(claim, uncertain=_MAY_BE_THERE):
            answer = await self._hand_over(caller, institution_no, claim, message, package, message_signature)
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
        self,
        caller: Caller,
        institution_no: int,
        claim: Claim,
        message: OutboundMessageRequest,
        package: UploadedFile,
        message_signature: bytes | None,
    ) -> AcceptedMessage:
        known = await self._already_there(institution_no, claim)
        inspection = await look_into(package)
        policy = await self._institutions.policy(institution_no)
        if known is not None:
            # An earlier try got through and only its answer was lost: what is stored counts, whatever holds now.
            return _accepted(known, let_through(inspection, policy))
        protection, findings = await self._judge(institution_no, message, package, inspection, policy)
        if message_signature is not None:
            _require_unchanged(protection)
        with ExitStack() as stack:
            travelling = await self._travelling(package, protection, claim, stack)
            await self._relay.put_package(travelling.sha256, travelling.chunks(), travelling.size)
            confidentiality = protection.recorded(package)
            submission = OutboundSubmission(
                institution_no=institution_no,
                client_id=caller.client_id,
                client_ref=message.client_ref,
                subject=message.subject or _subject(inspection, package),
                # Unknown counts as not ordinary: the mail's headers are the one place anybody on the way can read.
                subject_withheld=travelling is not package or inspection.security_code is not SecurityCode.UNCLASSIFIED,
                document_id=inspection.letter.document_id,
                document_no=inspection.letter.document_no,
                package_sha256=travelling.sha256,
                package_size=travelling.size,
                package_filename=travelling.filename or f"{inspection.document_id or claim.message_id}.eyp",
                recipient_nos=message.recipient_nos,
                expires_at=message.expires_at,
                confidentiality=confidentiality,
                message_signature=None if message_signature is None else base64.b64encode(message_signature).decode(),
                correlation_id=correlation_id.get(),
            )
            await self._keys.hold(claim)
            await self._note(caller, claim.message_id, submission, confidentiality)
            stored = await self._put(claim.message_id, submission)
        log.info("letter_accepted", message_id=str(claim.message_id), findings=len(findings))
        return _accepted(stored, findings)

    async def _judge(
        self,
        institution_no: int,
        message: OutboundMessageRequest,
        package: UploadedFile,
        inspection: Inspection,
        policy: InstitutionPolicy,
    ) -> tuple[Protection, list[PackageFinding]]:
        """The form the letter travels in, and what the policy let pass; refuses what must not leave."""
        now = self._clock.now()
        standing = standing_of(inspection, message.security_code, now)
        checking = asyncio.create_task(
            check_recipients(
                self._directory, sender_no=institution_no, recipient_nos=message.recipient_nos,
                eyp_version=str(inspection.version) if inspection.version else None,
            )
        )  # fmt: skip
        try:
            await refuse_unproven_lowering(package, inspection, standing, self._signer, self._spool)
            await refuse_secret_annexes(package, inspection, standing)
            findings = await examine(package, inspection, policy, self._signer, self._spool)
            findings += version_findings(await checking, message, policy)
        finally:
            await _ended(checking)
        protection = await protection_of(
            standing, package, inspection, policy, message, directory=self._directory, signer=self._signer, now=now
        )
        return protection, findings

    async def _travelling(
        self, package: UploadedFile, protection: Protection, claim: Claim, stack: ExitStack
    ) -> UploadedFile:
        """What goes to the recipients: the package itself, or what the gateway encrypted."""
        if protection.encryption is not LetterEncryption.GATEWAY:
            return package
        return await encrypt_package(
            package, protection.addressees, package_id=claim.message_id, packed_at=self._clock.now(),
            signer=self._signer, spool=self._spool, limit=self._max_package_bytes, stack=stack,
        )  # fmt: skip

    async def _note(
        self, caller: Caller, message_id: UUID, submission: OutboundSubmission, confidentiality: LetterConfidentiality
    ) -> None:
        """An audit line about a letter that was encrypted or is not by decision; an attempt is worth one, too."""
        detail: dict[str, str | int | list[str]] = {
            "institution": submission.institution_no,
            "recipients": [str(number) for number in submission.recipient_nos],
            "package_sha256": submission.package_sha256,
            "degree": confidentiality.degree,
            "rule": confidentiality.rule,
            "rules_of": confidentiality.rules_of.isoformat(),
        }
        if (decision := confidentiality.decision) is not None:
            action = "letter.unencrypted-decision"
            detail |= {
                "decided_by": decision.decided_by,
                "decided_at": decision.decided_at.isoformat(),
                "reason": decision.reason,
            }
        elif confidentiality.encryption is LetterEncryption.GATEWAY:
            action = "letter.encrypt"
            detail |= {
                "inner_sha256": confidentiality.inner_sha256 or "",
                "certificates": [item.sha256 or item.serial for item in confidentiality.certificates],
            }
        else:
            return
        async with self._database.unit_of_work() as work:
            await audit.record(work, self._clock, actor=caller, action=action, subject=str(message_id), **detail)

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


async def _ended(task: asyncio.Task[dict[int, str]]) -> None:
    """Stop it; what it would have said no longer matters."""
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()  # looked at, or the loop would log it as forgotten


def _require_unchanged(protection: Protection) -> None:
    if protection.encryption is LetterEncryption.GATEWAY:
        detail = (
            "the gateway would encrypt this letter: encrypt it first (/v1/package-encryptions), then sign the message"
        )
        raise DomainError(ErrorCode.VALIDATION_FAILED, detail, faults=[Fault("/package", detail)])


def _accepted(message: OutboundMessage, findings: list[PackageFinding]) -> AcceptedMessage:
    return AcceptedMessage.model_validate({**message.model_dump(), "package_findings": findings})


def _subject(inspection: Inspection, package: UploadedFile) -> str:
    """The letter's own subject as one line; a letter without any is named by its number or file."""
    for text in (inspection.subject, inspection.letter.document_no, inspection.document_id, package.filename):
        line = " ".join("".join(c if c.isprintable() else " " for c in text or "").split())
        if line:
            return line[:_LONGEST_SUBJECT]
    return "e-Yazışma"
