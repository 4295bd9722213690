"""What a person should know about an answer that can be used."""

from __future__ import annotations

from collections.abc import Iterator

import structlog

from services.detsis_sync.live.entries import Entries
from services.detsis_sync.mirror.warnings import warning
from services.detsis_sync.rows import PackageRecipient
from shared.contracts.directory import DirectoryWarning, Unit, WarningCode
from shared.domain.identifiers import DetsisNumber

log = structlog.get_logger(__name__)
_LONGEST_QUOTE = 100


def of_live_address(
    number: DetsisNumber, found: Entries, entry: PackageRecipient | None, unit: Unit | None
) -> Iterator[DirectoryWarning]:
    """Doubts about what DETSİS said of a recipient's address. ``unit``: the recipient as the mirror has it."""
    if entry is None:
        yield warning(WarningCode.LEFT_OUT, "DETSİS did not name this recipient in its answer")
        return
    if number in found.repeated:
        yield warning(WarningCode.REPEATED, "DETSİS named this recipient more than once, with the same values")
    if (fields := found.contradicting.get(number)) is not None:
        log.warning("detsis_entries_contradict", detsis_no=number, fields=fields)
        yield warning(
            WarningCode.CONTRADICTING, f"DETSİS named this recipient more than once with different {', '.join(fields)}"
        )
    if entry.kep_address_text is not None:
        text = entry.kep_address_text[:_LONGEST_QUOTE]
        log.warning("detsis_address_unusable", detsis_no=number, text=text)
        yield warning(WarningCode.ADDRESS_UNUSABLE, f"what DETSİS gives as address is none: {text!r}")
    mirrored = {item.address for item in unit.kep_addresses if item.active} if unit is not None else set()
    if entry.kep_address is not None and mirrored and entry.kep_address not in mirrored:
        log.warning(
            "address_differs_from_mirror", detsis_no=number, live=entry.kep_address, mirror=sorted(mirrored)[:5]
        )
        yield warning(
            WarningCode.ADDRESS_DIFFERS_FROM_MIRROR,
            f"the nightly copy still has {', '.join(sorted(mirrored)[:5])} for this unit",
        )


def of_foreign_entries(found: Entries) -> Iterator[DirectoryWarning]:
    """Recipients nobody asked about."""
    if found.foreign:
        log.warning("detsis_foreign_recipients", number=len(found.foreign), first=found.foreign[:5])
        named = ", ".join(map(str, found.foreign[:5]))
        yield warning(
            WarningCode.FOREIGN_RECIPIENTS, f"DETSİS named {len(found.foreign)} units nobody asked about: {named}"
        )
