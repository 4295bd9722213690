"""Names of the levels: what the attributes claim, and what of it holds (EN 319 122-1, 6; TS 101 733, 4.4; EN 319 132-1, 6).

What holds is mathematics and form: time-stamps about the right bytes with their own signatures in order, references
that fit the values. What certificates are worth is judged elsewhere.
"""

from __future__ import annotations

from services.signer.checks.references import Digests, check_references
from services.signer.facts import Embedded, SignerFacts, UnsignedFacts
from services.signer.findings import CheckFailed
from services.signer.formats import cms
from services.signer.formats.pades_levels import is_of_pdf, pdf_level_that_holds
from shared.contracts.signatures import TimestampType

_BASIC = ("B", "EPES")
_HIGHER = ("T", "C", "X", "XL", "A")
"""After the name of the family, ``CAdES`` or ``XAdES``, and a hyphen."""
_ARCHIVE = frozenset(
    {TimestampType.ARCHIVE_V1, TimestampType.ARCHIVE_V2, TimestampType.ARCHIVE_V3, TimestampType.XADES_ARCHIVE}
)
_CADES = ("CAdES-B", "CAdES-EPES")
_XADES = ("XAdES-B", "XAdES-EPES")
_EXTENDED = frozenset({TimestampType.VALIDATION_DATA, TimestampType.REFERENCES})


def level_found(basic: str, unsigned: UnsignedFacts) -> str:
    """The highest level whose attributes are there; ``basic`` when none of the higher ones is."""
    present = unsigned.present
    family, _, name = basic.partition("-")
    if name not in _BASIC:
        return basic
    if present & cms.ARCHIVE_TIMESTAMPS:
        return f"{family}-A"
    if {cms.CERTIFICATE_VALUES, cms.REVOCATION_VALUES} <= present:
        return f"{family}-XL"
    if {cms.CERTIFICATE_REFERENCES, cms.REVOCATION_REFERENCES} <= present:
        extended = {cms.VALIDATION_DATA_TIMESTAMP, cms.REFERENCES_TIMESTAMP} & present
        return f"{family}-X" if extended else f"{family}-C"
    return f"{family}-T" if cms.SIGNATURE_TIMESTAMP in present else basic


def baseline_found(basic: str, unsigned: UnsignedFacts, embedded: Embedded, *, signing_time: bool) -> str | None:
    """The baseline level whose attributes are there; None when it is not one (EN 319 122-1, table 1)."""
    if basic not in _CADES or not signing_time:
        return None
    present = unsigned.present
    if cms.SIGNATURE_TIMESTAMP not in present:
        return "B-B"
    older = {cms.CERTIFICATE_REFERENCES, cms.REVOCATION_REFERENCES, cms.CERTIFICATE_VALUES, cms.REVOCATION_VALUES}
    if present & (older | {cms.ARCHIVE_TIMESTAMP_V1, cms.ARCHIVE_TIMESTAMP_V2}):
        return "B-T"
    if not embedded.certificates or not (embedded.revocation_lists or embedded.ocsp_responses):
        return "B-T"
    return "B-LTA" if cms.ARCHIVE_TIMESTAMP_V3 in present else "B-LT"


def xml_baseline_found(basic: str, unsigned: UnsignedFacts, *, signing_time: bool) -> str | None:
    """The same for XAdES, whose values lie in unsigned properties (EN 319 132-1, table 2)."""
    if basic not in _XADES or not signing_time:
        return None
    present = unsigned.present
    if cms.SIGNATURE_TIMESTAMP not in present:
        return "B-B"
    older = {cms.CERTIFICATE_REFERENCES, cms.REVOCATION_REFERENCES, cms.ARCHIVE_TIMESTAMP_V1}
    if present & older or not {cms.CERTIFICATE_VALUES, cms.REVOCATION_VALUES} <= present:
        return "B-T"
    return "B-LTA" if cms.ARCHIVE_TIMESTAMP_V3 in present else "B-LT"


def level_that_holds(signer: SignerFacts, embedded: Embedded, digests: Digests) -> str | None:
    """The highest level up to the one found of which everything holds; None when the signature itself does not."""
    if is_of_pdf(signer):
        return pdf_level_that_holds(signer)
    if not signer.integrity:
        return None
    family, _, name = signer.level.partition("-")
    if name not in _HIGHER:
        return signer.level
    held = "EPES" if signer.policy else "B"
    fits = _fits(signer, embedded, digests)
    steps = {
        "T": _stamped(signer, frozenset({TimestampType.SIGNATURE})),
        "C": fits and signer.unsigned.certificate_references is not None,
        "X": _stamped(signer, _EXTENDED),
        "XL": fits and _complete_values(signer.unsigned),
        "A": _stamped(signer, _ARCHIVE),
    }
    demanded = _demanded(signer, name)
    for level in _HIGHER[: _HIGHER.index(name) + 1]:
        if steps[level]:
            held = level
        elif level in demanded:
            break
    return f"{family}-{held}"


def _demanded(signer: SignerFacts, name: str) -> frozenset[str]:
    """The levels that the found one rests on: those whose attributes are there, and T."""
    present = signer.unsigned.present
    demanded = {"T", name}
    if present & {cms.CERTIFICATE_REFERENCES, cms.REVOCATION_REFERENCES}:
        demanded.add("C")
    if present & {cms.VALIDATION_DATA_TIMESTAMP, cms.REFERENCES_TIMESTAMP}:
        demanded.add("X")
    if present & {cms.CERTIFICATE_VALUES, cms.REVOCATION_VALUES}:
        demanded.add("XL")
    return frozenset(demanded)


def _stamped(signer: SignerFacts, kinds: frozenset[TimestampType]) -> bool:
    """Whether there is a time-stamp of these kinds and all of them are intact."""
    found = [stamp.intact for stamp in signer.timestamps if stamp.type in kinds]
    return bool(found) and all(found)


def _complete_values(unsigned: UnsignedFacts) -> bool:
    values = unsigned.values
    return bool(values.certificates) and bool(values.revocation_lists or values.ocsp_responses)


def _fits(signer: SignerFacts, embedded: Embedded, digests: Digests) -> bool:
    try:
        check_references(signer.unsigned, embedded, digests)
    except CheckFailed:
        return False
    return True
