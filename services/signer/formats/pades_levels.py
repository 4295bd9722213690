"""Names of the levels of signatures in PDF, and what of a level holds (EN 319 142-1, 6).

``PDF`` is a signature without the attribute that names its certificate. Time-stamps and values may stand in the document:
T needs a time-stamp over the signature, LT a document security store beside it, LTA a document time-stamp over both.
"""

from __future__ import annotations

from services.signer.facts import SignerFacts, StampFacts
from shared.contracts.signatures import TimestampType

STORE_POSITION = -1
"""Of the document security store among what a document time-stamp covers."""
_FAMILY = "PAdES"
_PROVING = frozenset({TimestampType.SIGNATURE, TimestampType.DOCUMENT})


def level_found(signer: SignerFacts) -> str:
    """The highest level whose parts are there."""
    if not signer.bound:
        return "PDF"
    stamps = [item for item in signer.timestamps if item.type in _PROVING]
    return f"{_FAMILY}-{_name(signer, stamps, _over_store(stamps))}"


def baseline_found(signer: SignerFacts) -> str | None:
    """The same in the words of the baseline profile; None for a signature that names no certificate."""
    level = level_found(signer)
    return f"B-{level.partition('-')[2]}" if signer.bound else None


def is_of_pdf(signer: SignerFacts) -> bool:
    """Whether the level of this signature is one of ours."""
    return signer.level == "PDF" or signer.level.startswith(f"{_FAMILY}-")


def pdf_level_that_holds(signer: SignerFacts) -> str | None:
    """The highest level up to the one found of which everything holds; None when the signature itself does not."""
    if not signer.integrity or signer.level == "PDF":
        return signer.level if signer.integrity else None
    own = [item for item in signer.timestamps if item.type is TimestampType.SIGNATURE]
    document = [item for item in signer.timestamps if item.type is TimestampType.DOCUMENT]
    stamps = [item for item in (*own, *document) if item.intact]
    if not all(item.intact for item in own):
        return f"{_FAMILY}-B"
    archived = all(item.intact for item in document) and _over_store(stamps)
    return f"{_FAMILY}-{_name(signer, stamps, archived)}"


def _name(signer: SignerFacts, stamps: list[StampFacts], archived: bool) -> str:
    values = signer.unsigned.values
    if not stamps:
        return "B"
    if not values.certificates or not (values.revocation_lists or values.ocsp_responses):
        return "T"
    return "LTA" if archived else "LT"


def _over_store(stamps: list[StampFacts]) -> bool:
    return any(item.type is TimestampType.DOCUMENT and STORE_POSITION in item.covers for item in stamps)
