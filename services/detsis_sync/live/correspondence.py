"""The data of one letter (EK-3/4 a to j), asked for once with its real list of recipients."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from services.detsis_sync.accounts import Accounts
from services.detsis_sync.live.assemble import assemble
from services.detsis_sync.live.belonging import Belonging, mirrored_line
from services.detsis_sync.live.contacts import ContactBook, UnitContacts
from services.detsis_sync.live.letters import LiveLetter, LiveLetters
from services.detsis_sync.live.material import Material
from services.detsis_sync.live.resolve import ASKED_RULE, DOWN_RULE, LIVE_RULE, NO_ACCOUNT_RULE, checked_numbers
from services.detsis_sync.live.stored import MirroredLetter, mirrored_letter
from services.detsis_sync.metrics import DirectoryMetrics
from services.detsis_sync.mirror.freshness import MirrorAge
from services.detsis_sync.rows import SenderContact
from services.detsis_sync.soap.account import DetsisAccount
from shared.clock import Clock
from shared.contracts.directory import CorrespondenceData, CorrespondenceRequest
from shared.db.session import Database
from shared.domain.identifiers import DetsisNumber, detsis_number
from shared.errors import DomainError, ErrorCode, Fault


class Correspondence:
    """Finds out everything a letter needs; DETSİS down is the mirror's turn, DETSİS refusing is an answer.

    A refusal is told, other than for a single address: the letter is still being written, somebody is there to read
    why, and half of what DETSİS knows cannot be had elsewhere.
    """

    def __init__(
        self,
        database: Database,
        accounts: Accounts,
        letters: LiveLetters,
        contacts: ContactBook,
        belonging: Belonging,
        clock: Clock,
        metrics: DirectoryMetrics,
        age: MirrorAge,
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._letters = letters
        self._contacts = contacts
        self._belonging = belonging
        self._clock = clock
        self._metrics = metrics
        self._age = age

    async def data(self, request: CorrespondenceRequest) -> CorrespondenceData:
        """All items of one letter, each with its source; repeated recipients count once.

        Raises ``DomainError``: VALIDATION_FAILED for numbers that are none or a sender nobody knows,
        INSTITUTION_FORBIDDEN for a sender of another institution, DIRECTORY_REFUSED when DETSİS says no,
        DIRECTORY_UNAVAILABLE when it does not answer and the mirror was never filled.
        """
        institution = _institution(request.institution_no)
        sender, asked = checked_numbers(request.sender_no, request.recipient_nos)
        recipients = tuple(dict.fromkeys(asked))
        async with self._database.reading() as session:
            mirror = await mirrored_letter(session, sender, recipients)
            freshness = await self._age.of(session)
            line = await mirrored_line(session, sender)
            account = await self._accounts.of_sender(session, institution) if request.mode == "live" else None
        await self._belonging.require(institution, sender, line, account)
        letter, rule, result = None, ASKED_RULE, "mirror"
        if request.mode == "live":
            letter, rule, result = await self._ask(account, sender, recipients, mirror)
        self._metrics.lookups.labels("letter", result).inc()
        if letter is None and freshness.snapshot_id is None:
            raise DomainError(
                ErrorCode.DIRECTORY_UNAVAILABLE, f"DETSİS gave no answer and the mirror is empty ({rule})",
                retry_after_seconds=30,
            )  # fmt: skip
        contacts = await self._contacts_of(sender, recipients, letter, account)
        material = Material(
            institution=institution, sender=sender, recipients=recipients, letter=letter, rule=rule, mirror=mirror,
            freshness=freshness, contacts=contacts, now=self._clock.now(),
        )  # fmt: skip
        # certificates of five hundred recipients are read and written out again
        return await asyncio.to_thread(assemble, material)

    async def _ask(
        self,
        account: DetsisAccount | None,
        sender: DetsisNumber,
        recipients: tuple[DetsisNumber, ...],
        mirror: MirroredLetter,
    ) -> tuple[LiveLetter | None, str, str]:
        """The answer, the rule it goes by, and how it is counted."""
        if account is None:
            return None, NO_ACCOUNT_RULE, "mirror"
        try:
            letter, cached = await self._letters.ask(account, sender, recipients, mirror.units)
        except DomainError as error:
            if error.code is ErrorCode.DIRECTORY_REFUSED:
                self._metrics.lookups.labels("letter", "refused").inc()
            if error.code is not ErrorCode.DIRECTORY_UNAVAILABLE:
                raise
            return None, DOWN_RULE, "failed"
        return letter, LIVE_RULE, "cache" if cached else "live"

    async def _contacts_of(
        self,
        sender: DetsisNumber,
        recipients: tuple[DetsisNumber, ...],
        letter: LiveLetter | None,
        account: DetsisAccount | None,
    ) -> Mapping[DetsisNumber, UnitContacts]:
        """Of those recipients that exist, and of the sender if DETSİS left something of item g out."""
        if letter is None:
            # DETSİS was not to be asked, or has just failed: what is stored has to do.
            found, _ = await self._contacts.of([sender, *recipients], None)
            return found
        unknown = {number for number, row in letter.units.items() if row is None}
        wanted = [number for number in recipients if number not in unknown]
        if _incomplete(letter.package.sender_contact):
            wanted.append(sender)
        found, _ = await self._contacts.of(wanted, account)
        return found


def _institution(number: int) -> DetsisNumber:
    try:
        return detsis_number(number)
    except ValueError as error:
        raise DomainError(
            ErrorCode.VALIDATION_FAILED, "not a DETSİS number", faults=[Fault("/institution_no", str(error))]
        ) from error


def _incomplete(contact: SenderContact) -> bool:
    return None in (contact.phone, contact.fax, contact.email, contact.website)
