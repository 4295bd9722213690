"""Decides under which profile a letter is printed, has it made, and keeps the event before it is handed out."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from uuid import UUID

from services.gateway import audit
from services.gateway.callers import Caller
from services.gateway.clients.relay import RelayClient
from services.gateway.institutions import Institutions
from services.gateway.printing.authorisations import PrintAuthorisations
from services.gateway.printing.facts import Occasion, Transport, sheet_sections
from services.gateway.printing.isolation import PrintWorkers
from services.gateway.printing.letters import Letter, LetterReader
from services.gateway.printing.metrics import PrintMetrics
from services.gateway.printing.orders import (
    Label,
    Obstacle,
    PrintOrder,
    PrintReport,
    UnprintableError,
)
from services.gateway.printing.profiles import Profile
from services.gateway.printing.records import PrintRecords
from services.gateway.printing.requests import PrintRequest, chosen_profile, label_of, stamp_of, today
from services.gateway.schemas.admin import InstitutionPolicy
from services.gateway.schemas.printing import (
    LeftOutAnnex,
    PrintBody,
    PrinterAnswer,
    PrintOptions,
    PrintRecord,
)
from services.gateway.uploads import UploadedFile
from shared.clock import Clock
from shared.contracts.inbound import InboundMessage, InboundVerification
from shared.db.session import Database
from shared.domain.identifiers import Sha256, new_id
from shared.errors import DomainError, ErrorCode, Fault

_TRIES = 5
"""Prints of one letter at the same moment that a copy number is contested by."""


@dataclass(frozen=True)
class FinishedPrint:
    """A print, and the event that says so."""

    content: bytes
    record: PrintRecord


class Prints:
    """Makes prints of letters that came by KEP, and of packages kept elsewhere."""

    def __init__(
        self,
        *,
        relay: RelayClient,
        institutions: Institutions,
        reader: LetterReader,
        workers: PrintWorkers,
        authorisations: PrintAuthorisations,
        records: PrintRecords,
        metrics: PrintMetrics,
        database: Database,
        clock: Clock,
        spool: Path,
        max_pages: int,
    ) -> None:
        self._relay = relay
        self._institutions = institutions
        self._reader = reader
        self._workers = workers
        self._metrics = metrics
        self._database = database
        self._clock = clock
        self._spool = spool
        self._max_pages = max_pages
        self.authorisations = authorisations
        self.records = records

    async def of_incoming(self, caller: Caller, message_id: UUID, options: PrintOptions) -> FinishedPrint:
        """Print an incoming letter under the verdict it came to.

        Raises NOT_FOUND, what ``LetterReader.read`` raises, VALIDATION_FAILED (profile or register number),
        PRINT_UNAUTHORISED, LETTER_UNPRINTABLE, SERVICE_UNAVAILABLE, DURABILITY_UNAVAILABLE.
        """
        institutions = caller.visible()
        message = await self._relay.inbound(institutions, message_id)
        if message.package_sha256 is None:
            raise DomainError(ErrorCode.NOT_FOUND, "this letter has no package")
        known = await self._verification(institutions, message_id)
        transport = Transport(
            kep_message_id=message.message_id_header, sender_address=message.sender_address,
            received_at=message.received_at, evidence_id=options.evidence_id, evidence_at=options.evidence_at,
        )  # fmt: skip
        request = PrintRequest(caller, message.institution_no, options, "/query", transport, message)
        async with self._fetched(institutions, message) as package:
            return await self._print(request, package, known)

    async def of_package(self, caller: Caller, package: UploadedFile, body: PrintBody) -> FinishedPrint:
        """Print a package that is kept elsewhere; signer judges it now. Raises as ``of_incoming``."""
        institution_no = caller.acting_for(body.institution_no, "/options/institution_no")
        transport = Transport(
            kep_message_id=body.kep_message_id, sender_address=body.sender_address, stated=True,
            evidence_id=body.evidence_id, evidence_at=body.evidence_at,
        )  # fmt: skip
        return await self._print(PrintRequest(caller, institution_no, body, "/options", transport), package, None)

    async def _verification(self, institutions: tuple[int, ...], message_id: UUID) -> InboundVerification | None:
        try:
            return await self._relay.verification(institutions, message_id)
        except DomainError as error:
            if error.code is not ErrorCode.NOT_FOUND:
                raise
            return None

    @asynccontextmanager
    async def _fetched(self, institutions: tuple[int, ...], message: InboundMessage) -> AsyncIterator[UploadedFile]:
        digest, size = hashlib.sha256(), 0
        try:
            with tempfile.TemporaryFile(dir=self._spool) as file:
                async with self._relay.inbound_content(institutions, message.message_id, "package") as response:
                    async for chunk in response.aiter_bytes():
                        digest.update(chunk)
                        size += len(chunk)
                        await asyncio.to_thread(file.write, chunk)
                if digest.hexdigest() != message.package_sha256:
                    raise DomainError(ErrorCode.SERVICE_UNAVAILABLE, "the package did not arrive as it was stored")
                file.flush()
                yield UploadedFile(file, message.package_filename or "", size, Sha256(digest.hexdigest()))
        except OSError as error:
            raise DomainError(ErrorCode.DURABILITY_UNAVAILABLE, "there is no room to make the print") from error

    async def _print(
        self, request: PrintRequest, package: UploadedFile, known: InboundVerification | None
    ) -> FinishedPrint:
        institution = await self._institutions.get(request.institution_no)
        now = self._clock.now()
        with ExitStack() as stack:
            letter = await self._reader.read(
                package, request.institution_no, stack, with_annexes=request.options.annexes,
                before_opening=partial(self._note_opening, request, package.sha256), known=known,
                incoming=request.message is not None,
            )  # fmt: skip
            chosen = chosen_profile(request, letter, institution.policy, now)
            printer = await self._printer(request, chosen, institution.policy, now)
            label = label_of(request, letter, institution.name)
            for _ in range(_TRIES):
                copy_number = await self.records.next_copy(request.institution_no, letter.cover_letter_sha256)
                occasion = Occasion(now, chosen, copy_number, request.options.purpose, printer)
                order = self._order(request, letter, label, occasion)
                content, report = await self._made(order, letter)
                record = _record(request, letter, occasion, content, report)
                if await self.records.add(request.caller, record):
                    self._metrics.prints.labels(chosen.name).inc()
                    return FinishedPrint(content, record)
        raise DomainError(ErrorCode.SERVICE_UNAVAILABLE, "others print this letter just now", retry_after_seconds=5)

    async def _note_opening(self, request: PrintRequest, sha256: str) -> None:
        async with self._database.unit_of_work() as work:
            await audit.record(
                work, self._clock, actor=request.caller, action="package.open", subject=sha256,
                institution=request.institution_no,
            )  # fmt: skip

    async def _printer(
        self, request: PrintRequest, chosen: Profile, policy: InstitutionPolicy, now: datetime
    ) -> PrinterAnswer:
        """Who prints: from the record where there is one, which an official print needs (L.17)."""
        options = request.options
        if options.authorisation is not None:
            found = await self.authorisations.valid(request.institution_no, options.authorisation, today(now))
            return PrinterAnswer(
                authorisation=found.authorisation_id, name=found.name, title=found.title,
                document_no=found.document_no, authorised_on=found.authorised_on,
            )  # fmt: skip
        if chosen.official and policy.print_needs_authorisation:
            raise DomainError(ErrorCode.PRINT_UNAUTHORISED, "an official print needs an authorisation")
        if chosen.stamps and not (options.printed_by and options.printed_by_title):
            raise request.refusal("printed_by", "the stamp names who printed, with a title")
        return PrinterAnswer(
            authorisation=None, name=options.printed_by, title=options.printed_by_title, document_no=None,
            authorised_on=None,
        )  # fmt: skip

    def _order(self, request: PrintRequest, letter: Letter, label: Label | None, occasion: Occasion) -> PrintOrder:
        options, chosen = request.options, occasion.profile
        watermark = chosen.working_watermark if letter.verdict.passed else chosen.unverified_watermark
        sheet = sheet_sections(letter, request.transport, label, occasion) if options.cover_sheet else None
        return PrintOrder(
            label=label if chosen.official else None,
            position=options.label_position,
            stamp=stamp_of(request, occasion),
            watermark=None if chosen.official else watermark,
            sheet=sheet,
            annexes=letter.annexes,
            not_printed=letter.not_printed,
            max_pages=self._max_pages,
        )

    async def _made(self, order: PrintOrder, letter: Letter) -> tuple[bytes, PrintReport]:
        began = time.monotonic()
        try:
            return await self._workers.make(order, letter.files, letter.sizes)
        except UnprintableError as error:
            self._metrics.obstacles.labels(error.obstacle).inc()
            raise _unprintable(error.obstacle) from error
        finally:
            self._metrics.duration.observe(time.monotonic() - began)


def _record(
    request: PrintRequest, letter: Letter, occasion: Occasion, content: bytes, report: PrintReport
) -> PrintRecord:
    verdict = letter.verdict
    return PrintRecord(
        print_id=new_id(),
        institution_no=request.institution_no,
        at=occasion.at,
        client_id=request.caller.client_id,
        key_id=request.caller.key_prefix,
        message_id=request.message.message_id if request.message else None,
        document_id=letter.inspection.document_id,
        document_no=letter.inspection.document_no,
        package_sha256=letter.package_sha256,
        letter_sha256=letter.cover_letter_sha256,
        print_sha256=hashlib.sha256(content).hexdigest(),
        print_size=len(content),
        pages=report.pages,
        profile=occasion.profile.name,
        profile_edition=occasion.profile.edition,
        rules=list(occasion.profile.rules),
        copy_number=occasion.copy_number,
        purpose=occasion.purpose,
        printer=occasion.printer,
        conclusion=verdict.conclusion,
        verified_at=verdict.verified_at,
        register_no=request.register_no,
        label_position=report.label_position,
        codes=report.codes,
        left_out=[LeftOutAnnex(name=item.name, reason=item.reason) for item in report.left_out],
    )


_DETAILS = {
    Obstacle.NOT_A_PDF: "the cover letter is not a PDF",
    Obstacle.BROKEN: "the cover letter is damaged or cannot be read",
    Obstacle.ENCRYPTED: "the cover letter is protected by a password",
    Obstacle.DYNAMIC_FORM: "the cover letter is a dynamic XFA form",
    Obstacle.NO_PAGES: "the cover letter has no pages",
    Obstacle.TOO_MANY_PAGES: "the cover letter has more pages than a print may have",
    Obstacle.TOO_LARGE: "the print takes more memory or room than it may",
    Obstacle.TOO_SLOW: "the print takes longer than it may",
    Obstacle.ALTERED: "the print would not look like the cover letter, so it is not handed out",
    Obstacle.NOT_PRINTABLE: "the cover letter has content that cannot be left out of a print",
}


def _unprintable(obstacle: Obstacle) -> DomainError:
    detail = _DETAILS[obstacle]
    return DomainError(ErrorCode.LETTER_UNPRINTABLE, detail, faults=[Fault("/cover_letter", obstacle.value)])
