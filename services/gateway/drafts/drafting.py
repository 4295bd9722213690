"""The steps of a package up to its seal. Each is taken once, whoever asks how often, and by one caller at a time.

A step reads the row, decides, and applies its change only if the row is still the one it read; else it decides anew.
Bytes are in the blob store before the row that names them.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

from services.gateway import audit
from services.gateway.callers import Caller
from services.gateway.drafts import answers, rows, stages
from services.gateway.drafts.material import LARGEST_SIGNATURE, brought, reopened
from services.gateway.drafts.metrics import DraftMetrics
from services.gateway.drafts.rows import Change, Draft, PutFile
from services.gateway.drafts.signing import check_signature
from services.gateway.drafts.stages import Inputs
from services.gateway.institutions import Institutions
from services.gateway.schemas.drafts import (
    DraftState,
    FinalMetadataBody,
    PackageDraftAnswer,
    SigningStep,
    ToBeSigned,
)
from shared.blobs import BlobRef, BlobStore
from shared.clients.signer import SignerClient
from shared.clock import Clock
from shared.db.session import Database
from shared.errors import DomainError, ErrorCode
from shared.eyp import PartSource

_TRIES = 5
"""Steps are taken by people; that so many others come first in a row does not happen."""
_REMEMBERED = 64
_BESIDES_FILES = 1024 * 1024
"""Bytes left for metadata, signatures and manifests: a package that gets too large is refused before anybody signs it."""
Decide = Callable[[Draft], Awaitable[Change | None]]
"""What a step does to a package as it was read; None when that was done before. Raises when it may not be done."""


def room_for_files(max_package_bytes: int) -> int:
    """How many bytes the files of one package may have together."""
    return max_package_bytes - min(_BESIDES_FILES, max_package_bytes // 8)


@dataclass
class Drafts:
    """Everything the steps need. What is to be signed is remembered for a while: it depends on the revision alone."""

    database: Database
    clock: Clock
    blobs: BlobStore
    signer: SignerClient
    institutions: Institutions
    metrics: DraftMetrics
    spool: Path
    max_package_bytes: int

    def __post_init__(self) -> None:
        self._manifests: OrderedDict[tuple[UUID, int, SigningStep], bytes] = OrderedDict()

    async def find(self, caller: Caller, package_id: UUID) -> Draft:
        """One of the caller's packages. Raises NOT_FOUND."""
        return await rows.find(self.database, caller.visible(), package_id)

    async def take(self, caller: Caller, package_id: UUID, step: str, decide: Decide) -> Draft:
        """Take a step; the package after it.

        Raises what ``decide`` raises, NOT_FOUND, and STATE_CONFLICT while others keep changing it.
        """
        with self.metrics.refusals(step):
            for _ in range(_TRIES):
                draft = await self.find(caller, package_id)
                change = await decide(draft)
                if change is None:
                    self.metrics.steps.labels(step, "repeated").inc()
                    return draft
                if await self.apply(caller, draft, change):
                    self.metrics.steps.labels(step, "done").inc()
                    return await self.find(caller, package_id)
            raise DomainError(ErrorCode.STATE_CONFLICT, "others keep changing this package: read it again")

    async def apply(self, caller: Caller | None, draft: Draft, change: Change) -> bool:
        """Write a step down, with its line in the audit log when it ends the package; None: the gateway itself."""
        async with self.database.unit_of_work() as work:
            applied = await rows.apply(work, self.clock, caller, draft, change)
            if applied and change.state in rows.ENDED:
                await audit.record(
                    work, self.clock, actor=caller, subject=str(draft.row.package_id),
                    action="package.finish" if change.state is DraftState.FINISHED else "package.discard",
                    institution=draft.row.institution_no, sha256=change.sha256 or "",
                )  # fmt: skip
        return applied

    @asynccontextmanager
    async def inputs(self, draft: Draft) -> AsyncIterator[Inputs]:
        """All the package is made from; the files are there for the length of the block.

        Raises DURABILITY_UNAVAILABLE where the block, or what it needs, finds no room for files.
        """
        with _room_for_files(), ExitStack() as stack:
            files: dict[str, PartSource] = {}
            signatures: dict[str, bytes] = {}
            for name, file in draft.files.items():
                if name in set(SigningStep):
                    signatures[name] = await self.blobs.get(file.sha256, limit=LARGEST_SIGNATURE)
                else:
                    files[name] = reopened(await brought(self.blobs, file.sha256, self.spool, stack))
            yield Inputs(
                package_id=draft.row.package_id,
                version=draft.row.package_version,
                request=draft.request,
                files=files,
                initials=signatures.get(SigningStep.INITIALS),
                signature=signatures.get(SigningStep.SIGNATURE),
                final=FinalMetadataBody.model_validate(draft.row.final) if draft.row.final is not None else None,
                created=draft.row.created,
            )

    async def to_be_signed(self, draft: Draft, step: SigningStep) -> bytes:
        """The exact bytes to be signed now. Raises STATE_CONFLICT when it is not their turn."""
        require_open(draft, step)
        return await self._manifest(draft, step)

    async def _manifest(self, draft: Draft, step: SigningStep) -> bytes:
        key = (draft.row.package_id, draft.row.revision, step)
        if (known := self._manifests.get(key)) is None:
            async with self.inputs(draft) as inputs:
                known = await asyncio.to_thread(stages.to_be_signed, inputs, step)
            self._manifests[key] = known
            if len(self._manifests) > _REMEMBERED:
                self._manifests.popitem(last=False)
        return known

    async def answer(self, draft: Draft) -> PackageDraftAnswer:
        """Everything a client is told about it."""
        signing: list[ToBeSigned] = []
        for step in answers.open_steps(draft):
            content = await self._manifest(draft, step)
            signing.append(stages.described(step, content))
        return answers.answer(draft, await rows.history(self.database, draft), signing)

    def room(self, draft: Draft, name: str) -> int:
        """Bytes the file ``name`` may have beside the package's others."""
        others = sum(file.size for key, file in draft.files.items() if key != name)
        return max(0, room_for_files(self.max_package_bytes) - others)

    async def put_file(self, caller: Caller, package_id: UUID, name: str, stored: BlobRef) -> Draft:
        """Make a stored blob the cover letter or the file of an annex, while nothing is initialled or signed."""

        async def decide(draft: Draft) -> Change | None:
            require_file(draft, name)
            known = draft.files.get(name)
            if known is not None and known.sha256 == stored.sha256:
                return None
            if draft.state is not DraftState.DRAFT:
                raise not_now(draft, "files stay as they were initialled or signed")
            if stored.size > self.room(draft, name):
                raise DomainError(
                    ErrorCode.TOO_LARGE,
                    f"its files would have more than {room_for_files(self.max_package_bytes)} bytes together",
                )
            return Change(
                "file", DraftState.DRAFT, put={name: PutFile(stored.sha256, stored.size)}, sha256=stored.sha256,
                detail={"file": name, "size": str(stored.size)},
            )  # fmt: skip

        return await self.take(caller, package_id, "file", decide)

    async def put_signature(self, caller: Caller, package_id: UUID, step: SigningStep, cms: bytes) -> Draft:
        """Put in the initials or the signature, for the first or a further signer.

        Raises SIGNATURE_INVALID unless it carries exactly the bytes to be signed and every earlier signer.
        """
        digest = hashlib.sha256(cms).hexdigest()
        state = DraftState.INITIALLED if step is SigningStep.INITIALS else DraftState.SIGNED

        async def decide(draft: Draft) -> Change | None:
            known = draft.files.get(step)
            if known is not None and known.sha256 == digest:
                return None
            require_open(draft, step)
            async with self.inputs(draft) as inputs:
                fits = stages.with_initials if step is SigningStep.INITIALS else stages.with_signature
                await asyncio.to_thread(fits, inputs, cms)
            checked = await self.check(draft, step, cms)
            await self.blobs.put(cms, limit=LARGEST_SIGNATURE)
            return Change(
                step.value, state, put={step.value: PutFile(digest, len(cms), checked)}, sha256=digest,
                detail=verdict_detail(checked),
            )  # fmt: skip

        return await self.take(caller, package_id, step.value, decide)

    async def check(self, draft: Draft, step: SigningStep, cms: bytes) -> dict[str, Any]:
        """What signer says of a signature that covers the right bytes; raises as ``check_signature``."""
        policy = await self.institutions.policy(draft.row.institution_no)
        return await check_signature(self.signer, policy, step, cms, await self._manifest(draft, step))

    async def put_final(self, caller: Caller, package_id: UUID, body: FinalMetadataBody) -> Draft:
        """Number, date and signatories, once the letter is signed; they may be put again until it is sealed."""
        wanted = body.model_dump(mode="json")

        async def decide(draft: Draft) -> Change | None:
            if draft.row.final == wanted and draft.state is not DraftState.DISCARDED:
                return None
            if draft.state not in {DraftState.SIGNED, DraftState.UNSEALED}:
                raise not_now(draft, "number, date and signatories come between signature and seal")
            created = draft.row.created or self.clock.now().replace(microsecond=0)
            async with self.inputs(draft) as inputs:
                await asyncio.to_thread(stages.unsealed, replace(inputs, final=body, created=created))
            return Change(
                "final-metadata", DraftState.UNSEALED, values={"final": wanted, "created": created},
                detail={"document_no": body.document_no or ""},
            )  # fmt: skip

        return await self.take(caller, package_id, "final-metadata", decide)

    async def discard(self, caller: Caller, package_id: UUID) -> Draft:
        """Give up a package that is not finished: its files go, its history stays."""

        async def decide(draft: Draft) -> Change | None:
            if draft.state is DraftState.DISCARDED:
                return None
            if draft.state is DraftState.FINISHED:
                raise not_now(draft, "a finished package stays")
            return discarding(draft, "asked for")

        return await self.take(caller, package_id, "discard", decide)


@contextmanager
def _room_for_files() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DomainError(ErrorCode.DURABILITY_UNAVAILABLE, "there is no room for the package's files") from error


def discarding(draft: Draft, reason: str) -> Change:
    """The end of a package that is not finished."""
    return Change("discarded", DraftState.DISCARDED, removed=list(draft.files), detail={"reason": reason})


def require_open(draft: Draft, step: SigningStep) -> None:
    """Raise STATE_CONFLICT, and say why, unless ``step`` can be taken now."""
    if step in answers.open_steps(draft):
        return
    if draft.state is DraftState.DRAFT and (missing := answers.missing_files(draft)):
        raise not_now(draft, f"files are missing: {', '.join(missing[:20])}")
    raise not_now(draft, f"it is not the turn of the {step}")


def require_file(draft: Draft, name: str) -> None:
    """Raise NOT_FOUND unless the package has a place for the file ``name``."""
    if name not in stages.uploaded_files(draft.request):
        raise DomainError(ErrorCode.NOT_FOUND, "the package has no place for such a file")


def not_now(draft: Draft, why: str) -> DomainError:
    """STATE_CONFLICT with its reason."""
    return DomainError(ErrorCode.STATE_CONFLICT, f"the package is {draft.state}: {why}")


def verdict_detail(checked: dict[str, Any]) -> dict[str, str]:
    """What the history says of a checked signature."""
    report = checked.get("report")
    return {"conclusion": report["conclusion"] if report else "not-checked"}
