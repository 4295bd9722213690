"""One print as it was asked for, and what follows from that: profile, label, stamp."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from services.gateway.callers import Caller
from services.gateway.printing.facts import Occasion, Transport, day, time_of_day
from services.gateway.printing.letters import Letter
from services.gateway.printing.orders import Label, Stamp
from services.gateway.printing.profiles import (
    BodyProfile,
    Profile,
    ProfileName,
    allowed,
    profile,
    usual_name,
)
from services.gateway.schemas.admin import InstitutionPolicy
from services.gateway.schemas.printing import PrintOptions
from shared.clock import ISTANBUL
from shared.contracts.inbound import InboundMessage
from shared.errors import DomainError, ErrorCode, Fault


@dataclass(frozen=True)
class PrintRequest:
    """What was asked for, with what is known of the letter besides the letter."""

    caller: Caller
    institution_no: int
    options: PrintOptions
    pointer: str
    """Where in the request the options are."""
    transport: Transport
    message: InboundMessage | None = None

    @property
    def register_no(self) -> str | None:
        """Under which the letter was registered: as stated, else as acknowledged."""
        return self.options.register_no or (self.message.registry_no if self.message else None)

    @property
    def registered_at(self) -> datetime | None:
        """When, likewise."""
        return self.options.registered_at or (self.message.consumed_at if self.message else None)

    def refusal(self, field: str, detail: str) -> DomainError:
        """VALIDATION_FAILED about one of the options."""
        fault = Fault(f"{self.pointer}/{field}", detail)
        return DomainError(ErrorCode.VALIDATION_FAILED, "the print cannot be made as asked", faults=[fault])


def chosen_profile(request: PrintRequest, letter: Letter, policy: InstitutionPolicy, now: datetime) -> Profile:
    """Under what the letter is printed: no official print before a verdict that passed (L.5), whatever was asked for.

    Raises VALIDATION_FAILED for a profile that is not for this letter, and without a register number.
    """
    day_of_print, body = today(now), BodyProfile(policy.print_profile)
    written = letter.inspection.final_metadata.date if letter.inspection.final_metadata else None
    document_date = written.astimezone(ISTANBUL).date() if written and written.tzinfo else written and written.date()
    name = request.options.profile or usual_name(body, document_date, day_of_print)
    found = profile(name if letter.verdict.passed else ProfileName.WORKING, day_of_print)
    if found is None:
        raise request.refusal("profile", "is not in force yet")
    if not found.official:
        return found
    if not allowed(found, body, document_date):
        raise request.refusal("profile", "is for documents of another time, unless the institution's policy says so")
    if request.register_no is None:
        raise request.refusal("register_no", "an official print is made after the letter was registered (L.5)")
    return found


def label_of(request: PrintRequest, letter: Letter, body: str) -> Label | None:
    """The register label (L.20) with the body's name; None for a letter that was not registered."""
    number, options = request.register_no, request.options
    if number is None:
        return None
    metadata = letter.inspection.metadata
    plan = metadata.file_plan.code if metadata and metadata.file_plan else None
    return Label(
        body=body,
        register_no=number,
        registered_on=time_of_day(request.registered_at) if request.registered_at else None,
        file_code=options.file_code or (plan[:100] if plan else None),
        unit=options.unit,
        annexes=len(metadata.annexes) if metadata else 0,
    )


def stamp_of(request: PrintRequest, occasion: Occasion) -> Stamp | None:
    """The stamp, if the profile has one."""
    texts, printer = occasion.profile.stamps, occasion.printer
    if not texts:
        return None
    wanted = request.options.stamp or next(iter(texts))
    return Stamp(
        text=texts[wanted], day=day(occasion.at), name=printer.name or "", title=printer.title
    )  # fmt: skip


def today(now: datetime) -> date:
    """The day in Turkey."""
    return now.astimezone(ISTANBUL).date()
