"""Whether a mailbox may be closed: not while DETSİS lists its address, nor while a registration needs it (EK-2/5)."""

from __future__ import annotations

from sqlalchemy import select

from services.detsis_sync.registrations.listing import Listing, Register
from services.detsis_sync.registrations.store import OPEN_STATES
from services.detsis_sync.tables import Registration
from shared.contracts.directory.registrations import AddressGuard, Standing
from shared.db.session import Database
from shared.domain.identifiers import KepAddress


class ClosingGuard:
    """Answers for one address at a time: live, with the mirror as fallback."""

    def __init__(self, database: Database, register: Register) -> None:
        self._database = database
        self._register = register

    async def judge(self, institution_no: int, address: KepAddress) -> AddressGuard:
        """``unknown`` when neither DETSİS nor a fresh mirror can say; the caller decides what that means.

        Listed counts as in use unless the unit has another, active address: after a change DETSİS goes
        on listing the old one as not active.
        """
        listing = await self._register.owner(institution_no, address)
        async with self._database.reading() as session:
            if listing is None:
                listing = await self._register.mirrored(session, None, address)
            needing = await session.scalar(
                select(Registration.registration_id)
                .where(
                    Registration.institution_no == institution_no,
                    (Registration.kep_address == address) | (Registration.previous_address == address),
                    Registration.state.in_(OPEN_STATES),
                )
                .limit(1)
            )
        replaced = listing.active_address not in {None, address}
        guard = AddressGuard(
            address=address,
            standing=listing.standing,
            source=listing.source,
            as_of=listing.as_of,
            detsis_no=listing.owner_no,
            replaced=replaced,
            registration_id=needing,
            verdict="free",
        )
        if needing is not None:
            return guard.model_copy(update={"verdict": "in-registration"})
        return guard.model_copy(update={"verdict": _verdict(listing, replaced=replaced)})


def _verdict(listing: Listing, *, replaced: bool) -> str:
    if listing.standing is None:
        return "unknown"
    if listing.standing is Standing.ACTIVE or (listing.standing is not Standing.NOT_LISTED and not replaced):
        return "listed"
    return "free"
