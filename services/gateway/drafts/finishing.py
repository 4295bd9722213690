"""The end of a package: its seal, made here or brought, the strict inspection, and what is handed out of it."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import BinaryIO
from uuid import UUID

from services.gateway.callers import Caller
from services.gateway.drafts import answers, stages
from services.gateway.drafts.drafting import Drafts, not_now, require_open, verdict_detail
from services.gateway.drafts.material import LARGEST_SIGNATURE, brought, described_file
from services.gateway.drafts.rows import Change, Draft, PutFile
from services.gateway.drafts.stages import Finished, Inputs, UpdateOrder
from services.gateway.drafts.translation import metadata_of
from services.gateway.policy.findings import refuse_unacceptable
from services.gateway.schemas.drafts import DraftState, SigningStep
from services.gateway.schemas.letters import (
    LegalEntityParty,
    LetterMetadata,
    OrganisationParty,
    PartyDetails,
    PersonParty,
)
from services.gateway.schemas.outbound import OutboundMessageRequest
from services.gateway.schemas.packages import public_findings
from services.gateway.uploads import UploadedFile
from shared.blobs import BlobRef
from shared.contracts.signatures import SigningPurpose
from shared.domain.identifiers import Sha256
from shared.errors import DomainError, ErrorCode, Fault
from shared.eyp import STRICT, FinishedPackage, Inspection, inspect
from shared.eyp.checks.annexes import withheld_annexes


@dataclass(frozen=True)
class Finishing:
    """Seals packages, and gives them out."""

    drafts: Drafts

    async def seal(self, caller: Caller, package_id: UUID, key_id: str | None) -> Draft:
        """Have signer seal it with a key of its institution.

        Raises SIGNING_KEY_UNAVAILABLE when there is none, VALIDATION_FAILED when it must be named, PACKAGE_INVALID
        when the finished package would break a rule.
        """

        async def decide(draft: Draft) -> Change | None:
            if draft.state is DraftState.FINISHED:
                return None
            require_open(draft, SigningStep.SEAL)
            chosen = await self._key(draft.row.institution_no, key_id)
            content = await self.drafts.to_be_signed(draft, SigningStep.SEAL)
            cms = await self.drafts.signer.seal(chosen, content, institution_no=draft.row.institution_no)
            return await self._finished(draft, cms)

        return await self.drafts.take(caller, package_id, "seal", decide)

    async def put_seal(self, caller: Caller, package_id: UUID, cms: bytes) -> Draft:
        """The same with a seal made outside. Raises SIGNATURE_INVALID for one over other bytes."""
        digest = hashlib.sha256(cms).hexdigest()

        async def decide(draft: Draft) -> Change | None:
            if draft.state is DraftState.FINISHED:
                known = draft.files.get(SigningStep.SEAL)
                if known is not None and known.sha256 == digest:
                    return None
                raise not_now(draft, "it has another seal")
            require_open(draft, SigningStep.SEAL)
            return await self._finished(draft, cms)

        return await self.drafts.take(caller, package_id, "seal", decide)

    async def _key(self, institution_no: int, wanted: str | None) -> str:
        held = [
            key.key_id
            for key in await self.drafts.signer.keys()
            if key.institution_no == institution_no and SigningPurpose.PACKAGE_SEAL in key.purposes
        ]
        if wanted is not None and wanted not in held:
            fault = Fault("/body/key_id", "is no key of the institution for sealing packages")
            raise DomainError(ErrorCode.VALIDATION_FAILED, "the key cannot be used", faults=[fault])
        if not held:
            raise DomainError(ErrorCode.SIGNING_KEY_UNAVAILABLE, "signer holds no sealing key of the institution")
        if wanted is None and len(held) > 1:
            fault = Fault("/body/key_id", f"one of {', '.join(sorted(held)[:20])}")
            raise DomainError(ErrorCode.VALIDATION_FAILED, "the institution has several sealing keys", faults=[fault])
        return wanted or held[0]

    async def _finished(self, draft: Draft, cms: bytes) -> Change:
        """Write the package, judge it strictly, store it: only then it counts."""
        drafts = self.drafts
        with ExitStack() as stack:
            async with drafts.inputs(draft) as inputs:
                file = stack.enter_context(tempfile.TemporaryFile(dir=drafts.spool))
                written, inspection = await asyncio.to_thread(
                    _write, inputs, cms, file, answers.file_name_of(draft.row)
                )
            if written.size > drafts.max_package_bytes:
                raise DomainError(ErrorCode.TOO_LARGE, f"the package has more than {drafts.max_package_bytes} bytes")
            refuse_unacceptable(inspection)
            checked = await drafts.check(draft, SigningStep.SEAL, cms)
            await drafts.blobs.put(cms, limit=LARGEST_SIGNATURE)
            stored = await drafts.blobs.put(written.chunks(), limit=drafts.max_package_bytes)
        seal = PutFile(hashlib.sha256(cms).hexdigest(), len(cms), checked)
        return Change(
            "finished", DraftState.FINISHED, put={SigningStep.SEAL.value: seal}, sha256=stored.sha256,
            values={
                "package_sha256": stored.sha256, "package_size": stored.size,
                "findings": [item.model_dump(mode="json") for item in public_findings(inspection)],
            },
            detail={"seal_sha256": seal.sha256, **verdict_detail(checked)},
        )  # fmt: skip

    async def content(self, draft: Draft, recipient: str | None) -> BlobRef:
        """The finished package, or the copy for one recipient, which is made again each time and stored like it.

        Raises STATE_CONFLICT before the seal, VALIDATION_FAILED for one the letter does not go to.
        """
        row = draft.row
        if row.package_sha256 is None or row.package_size is None:
            raise not_now(draft, "there is no package before its seal")
        whole = BlobRef(Sha256(row.package_sha256), row.package_size)
        if recipient is None or isinstance(draft.request, UpdateOrder):
            return whole
        _require_named(_named(draft.request), recipient, "/query/recipient")
        if not withheld_annexes(metadata_of(draft.request), recipient):
            return whole
        seal = await self.drafts.blobs.get(draft.files[SigningStep.SEAL].sha256, limit=LARGEST_SIGNATURE)
        with ExitStack() as stack:
            async with self.drafts.inputs(draft) as inputs:
                file = stack.enter_context(tempfile.TemporaryFile(dir=self.drafts.spool))
                copy = await asyncio.to_thread(_write_copy, inputs, seal, recipient, file)
            return await self.drafts.blobs.put(copy.chunks(), limit=self.drafts.max_package_bytes)

    @asynccontextmanager
    async def handed_over(
        self, caller: Caller, message: OutboundMessageRequest, uploaded: UploadedFile | None
    ) -> AsyncIterator[UploadedFile]:
        """The package a letter is sent with: the uploaded one, or the finished one ``package_id`` names.

        Raises VALIDATION_FAILED unless it is exactly one of both, and as ``_sendable``.
        """
        if (uploaded is None) is (message.package_id is None):
            detail = "exactly one of the part package and message.package_id names what is sent"
            raise DomainError(ErrorCode.VALIDATION_FAILED, detail, faults=[Fault("/package", detail)])
        with ExitStack() as stack:
            if message.package_id is not None:
                institution_no = caller.acting_for(message.institution_no, "/message/institution_no")
                uploaded = await self._sendable(
                    caller, institution_no, message.package_id, message.recipient_nos, stack
                )
            assert uploaded is not None
            yield uploaded

    async def _sendable(
        self, caller: Caller, institution_no: int, package_id: UUID, recipients: list[int], stack: ExitStack
    ) -> UploadedFile:
        """A finished package of that institution as it may go to these recipients; ``stack`` closes the file.

        Raises NOT_FOUND, STATE_CONFLICT, and VALIDATION_FAILED for recipients the letter does not name while annexes
        are withheld, and when different ones are withheld from them.
        """
        draft = await self.drafts.find(caller, package_id)
        if draft.row.institution_no != institution_no:
            raise DomainError(ErrorCode.NOT_FOUND, "no such package")
        content = await self.content(draft, await asyncio.to_thread(_one_of_them, draft, recipients))
        file = await brought(self.drafts.blobs, content.sha256, self.drafts.spool, stack)
        return UploadedFile(file, answers.file_name_of(draft.row), content.size, content.sha256)


def _one_of_them(draft: Draft, recipients: list[int]) -> str | None:
    """One whose copy all these recipients may get; None: they get the package itself. Raises as ``_sendable``."""
    if isinstance(draft.request, UpdateOrder):
        return None
    metadata = metadata_of(draft.request)
    if withheld_annexes(metadata, None):
        named = _named(draft.request)
        for index, number in enumerate(recipients):
            # Whom the letter does not name might get what is withheld from the one it is sent on behalf of.
            _require_named(named, str(number), f"/message/recipients/{index}/detsis_no")
    withheld = {number: withheld_annexes(metadata, str(number)) for number in recipients}
    if len(set(withheld.values())) > 1:
        fault = Fault("/message/recipients", "other annexes are withheld from some of them: send to those apart")
        raise DomainError(ErrorCode.VALIDATION_FAILED, "the recipients do not all get the same annexes", faults=[fault])
    return next((str(number) for number, annexes in withheld.items() if annexes), None)


def _named(letter: LetterMetadata) -> set[str]:
    """The numbers of everybody the letter goes to."""
    return {number for item in letter.distributions for number in _numbers(item.recipient)}


def _require_named(named: set[str], recipient: str, pointer: str) -> None:
    """Raise VALIDATION_FAILED unless the letter goes to the one with that number."""
    if recipient not in named:
        fault = Fault(pointer, "is no number of a recipient of this letter")
        raise DomainError(ErrorCode.VALIDATION_FAILED, "the letter does not go there", faults=[fault])


def _numbers(party: PartyDetails) -> set[str]:
    match party:
        case OrganisationParty():
            return {str(number) for number in (party.detsis_no, party.unit_no) if number is not None}
        case PersonParty():
            return {party.identity_number} if party.identity_number is not None else set()
        case LegalEntityParty():
            return {party.identifier.value}


def _write(inputs: Inputs, cms: bytes, file: BinaryIO, name: str) -> tuple[UploadedFile, Inspection]:
    package: Finished = stages.finished(inputs, cms)
    package.write_to(file)
    written = described_file(file, name)
    return written, inspect(file, file_name=name, profile=STRICT)


def _write_copy(inputs: Inputs, seal: bytes, recipient: str, file: BinaryIO) -> UploadedFile:
    package = stages.finished(inputs, seal)
    assert isinstance(package, FinishedPackage)
    package.copy_for(recipient).write_to(file)
    return described_file(file, package.file_name)
