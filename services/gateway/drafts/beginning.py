"""How a package begins: a letter from its metadata, an update from a finished package; and metadata put anew."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from services.gateway.callers import Caller
from services.gateway.drafts import rows, stages
from services.gateway.drafts.completion import ChosenVersion, Filled, Filling, choose_version, with_ids
from services.gateway.drafts.drafting import Drafts, not_now
from services.gateway.drafts.material import reopened
from services.gateway.drafts.rows import Change, Draft, PutFile
from services.gateway.drafts.stages import OLDER_VERSION, Inputs, UpdateOrder
from services.gateway.idempotency import Claim, IdempotencyKeys, Replay, fingerprint
from services.gateway.schemas.correspondence import CorrespondenceBody
from services.gateway.schemas.drafts import DraftKind, DraftState, MetadataBody, PackageBody, PackageUpdateBody
from services.gateway.schemas.letters import LetterMetadata, OrganisationParty
from services.gateway.uploads import UploadedFile
from shared.clients.correspondence import CorrespondenceClient
from shared.clients.directory import DirectoryClient
from shared.contracts.directory import CorrespondenceData, CorrespondenceRequest
from shared.errors import DomainError, ErrorCode, Fault
from shared.eyp.writer_update import VERSION as UPDATE_VERSION

_CALLER_CHOSE = "asked for"


@dataclass(frozen=True)
class Begun:
    """What the client is told: the body of the 201, and whether it was told so before."""

    package_id: UUID
    body: str
    replayed: bool


@dataclass(frozen=True)
class Beginnings:
    """Begins packages, once for each Idempotency-Key."""

    drafts: Drafts
    keys: IdempotencyKeys
    directory: DirectoryClient
    correspondence: CorrespondenceClient

    async def letter(self, caller: Caller, key: str, body: PackageBody) -> Begun:
        """Begin a letter.

        Raises VALIDATION_FAILED with the rules the metadata breaks, DIRECTORY_REFUSED and DIRECTORY_UNAVAILABLE
        when the data of the letter is asked for and cannot be had.
        """
        institution_no = caller.acting_for(body.institution_no, "/body/institution_no")
        return await self._once(
            caller, key, fingerprint("POST /v1/packages", body),
            lambda claim: self._begin_letter(caller, claim, institution_no, body),
        )  # fmt: skip

    async def update(self, caller: Caller, key: str, body: PackageUpdateBody, original: UploadedFile) -> Begun:
        """Begin an update of a letter's degree: it only waits for its seal.

        Raises as ``inspect`` about the original, VALIDATION_FAILED for a change the rules forbid.
        """
        institution_no = caller.acting_for(body.institution_no, "/message/institution_no")
        return await self._once(
            caller, key, fingerprint("POST /v1/package-updates", body, original.sha256),
            lambda claim: self._begin_update(caller, claim, institution_no, body, original),
        )  # fmt: skip

    async def put_metadata(self, caller: Caller, package_id: UUID, seen: int, body: MetadataBody) -> Draft:
        """Replace what a letter says; ``seen``: the revision the caller has read. Files of annexes gone go as well.

        Raises STATE_CONFLICT once somebody initialled or signed, and when the package is another one by now.
        """
        asked = hashlib.sha256(body.model_dump_json().encode()).hexdigest()

        async def decide(draft: Draft) -> Change | None:
            former = draft.request
            if isinstance(former, UpdateOrder):
                raise not_now(draft, "what an update says is fixed when it begins")
            if draft.row.revision != seen:
                if draft.state is not DraftState.DISCARDED and await self._was_put(draft, seen + 1, asked):
                    return None
                raise not_now(draft, "it was changed since the ETag in If-Match: read it again")
            if draft.state is not DraftState.DRAFT:
                raise not_now(draft, "the metadata stays as it was initialled or signed")
            version = draft.row.package_version
            filled = await self._filled(
                body.metadata, body.correspondence, draft.row.institution_no, version == OLDER_VERSION, former
            )
            await asyncio.to_thread(stages.check_letter, filled.letter, version)
            places = stages.uploaded_files(filled.letter)
            return Change(
                "metadata", DraftState.DRAFT, values=_letter_values(filled), sha256=asked,
                removed=[name for name in draft.files if name not in places],
            )  # fmt: skip

        return await self.drafts.take(caller, package_id, "metadata", decide)

    async def _was_put(self, draft: Draft, sequence: int, asked: str) -> bool:
        """Whether this very request made that revision."""
        events = await rows.history(self.drafts.database, draft)
        return any(item.sequence == sequence and item.kind == "metadata" and item.sha256 == asked for item in events)

    async def _once(self, caller: Caller, key: str, wanted: str, begin: Callable[[Claim], Awaitable[None]]) -> Begun:
        with self.drafts.metrics.refusals("create"):
            claim = await self.keys.claim(caller, key, wanted)
            if isinstance(claim, Replay):
                self.drafts.metrics.steps.labels("create", "repeated").inc()
                return Begun(claim.message_id, claim.answer, replayed=True)
            async with self.keys.working(claim):
                if not await self._there(caller, claim):
                    await begin(claim)
                return await self._begun(caller, claim)

    async def _begin_letter(self, caller: Caller, claim: Claim, institution_no: int, body: PackageBody) -> None:
        chosen = ChosenVersion(body.version, _CALLER_CHOSE)
        data = await self._data(body.correspondence, institution_no)
        letter = body.metadata
        if body.version == "auto":
            listed = Filling(data, older=False).distributions(letter)
            chosen = await choose_version(self.directory, listed)
        filled = await self._filled(
            letter, body.correspondence, institution_no, chosen.version == OLDER_VERSION, None, data
        )
        await asyncio.to_thread(stages.check_letter, filled.letter, chosen.version)
        values = {
            "package_id": claim.message_id, "institution_no": institution_no, "kind": DraftKind.LETTER.value,
            "package_version": chosen.version, "version_reason": chosen.reason, **_letter_values(filled),
        }  # fmt: skip
        await self._add(caller, values, Change("created", DraftState.DRAFT, detail={"version": chosen.version}))

    async def _begin_update(
        self, caller: Caller, claim: Claim, institution_no: int, body: PackageUpdateBody, original: UploadedFile
    ) -> None:
        name = (await self.drafts.institutions.get(institution_no)).name
        order = UpdateOrder(body, OrganisationParty(detsis_no=institution_no, name=name))
        created = self.drafts.clock.now().replace(microsecond=0)
        stored = await self.drafts.blobs.put(original.chunks(), limit=self.drafts.max_package_bytes)
        values = {
            "package_id": claim.message_id, "institution_no": institution_no, "kind": DraftKind.UPDATE.value,
            "package_version": UPDATE_VERSION, "version_reason": "update packages are of this version",
            "request": {"body": body.model_dump(mode="json"), "originator": order.originator.model_dump(mode="json")},
            "filled": [], "created": created,
        }  # fmt: skip
        put = {stages.ORIGINAL: PutFile(stored.sha256, stored.size)}
        change = Change("created", DraftState.UNSEALED, put=put, sha256=stored.sha256)
        inputs = Inputs(
            claim.message_id, UPDATE_VERSION, order, {stages.ORIGINAL: reopened(original.file)}, created=created
        )
        await asyncio.to_thread(stages.unsealed, inputs)
        await self._add(caller, values, change)

    async def _add(self, caller: Caller, values: dict[str, object], change: Change) -> None:
        async with self.drafts.database.unit_of_work() as work:
            await rows.add(work, self.drafts.clock, caller, values, change)

    async def _there(self, caller: Caller, claim: Claim) -> bool:
        """Whether an earlier try got so far that the package has begun."""
        if not claim.continued:
            return False
        try:
            await self.drafts.find(caller, claim.message_id)
        except DomainError as error:
            if error.code is ErrorCode.NOT_FOUND:
                return False
            raise
        return True

    async def _begun(self, caller: Caller, claim: Claim) -> Begun:
        draft = await self.drafts.find(caller, claim.message_id)
        body = (await self.drafts.answer(draft)).model_dump_json()
        await self.keys.complete(claim, body)
        self.drafts.metrics.steps.labels("create", "done").inc()
        return Begun(claim.message_id, body, replayed=False)

    async def _data(self, asked: CorrespondenceBody | None, institution_no: int) -> CorrespondenceData | None:
        if asked is None:
            return None
        if asked.institution_no not in {None, institution_no}:
            fault = Fault("/body/correspondence/institution_no", "is another institution than the package's")
            raise DomainError(ErrorCode.VALIDATION_FAILED, "a letter has one sender", faults=[fault])
        request = CorrespondenceRequest(
            institution_no=institution_no,
            sender_no=institution_no if asked.sender_no is None else asked.sender_no,
            recipient_nos=list(dict.fromkeys(asked.recipients)),
            mode=asked.mode,
        )
        try:
            return await self.correspondence.data(request)
        except DomainError as error:
            faults = [Fault(f"/body/correspondence{fault.pointer}", fault.detail) for fault in error.faults]
            raise DomainError(
                error.code, error.detail, faults=faults, retry_after_seconds=error.retry_after_seconds
            ) from error

    async def _filled(
        self,
        letter: LetterMetadata,
        asked: CorrespondenceBody | None,
        institution_no: int,
        older: bool,
        former: LetterMetadata | None,
        data: CorrespondenceData | None = None,
    ) -> Filled:
        data = data or await self._data(asked, institution_no)
        name = (await self.drafts.institutions.get(institution_no)).name
        return Filling(data, older=older).fill(with_ids(letter, former), institution_no, name, asked)


def _letter_values(filled: Filled) -> dict[str, object]:
    return {
        "request": filled.letter.model_dump(mode="json"),
        "filled": [item.model_dump(mode="json") for item in filled.values],
    }
