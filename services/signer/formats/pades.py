"""Signatures in PDF documents: PAdES and plain PKCS#7 (EN 319 142-1; ISO 32000-1, 12.8), with document time-stamps.

The CMS of each signature is read as every other CMS, over the bytes its range names. What PDF adds are the ranges, the
revisions after them, the document security store, and time-stamps over all that stands before them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.signer.certificates import Certificate
from services.signer.checks.timestamps import read_stamp, read_timestamps
from services.signer.facts import Content, Embedded, SignatureFacts, SignerFacts, Stamp, StampFacts
from services.signer.findings import CheckFailed, Finding, Step, failed, passed, warned
from services.signer.formats import cms
from services.signer.formats.cades import read_cades
from services.signer.formats.pades_changes import Comparison, LaterChanges
from services.signer.formats.pades_document import (
    CADES_DETACHED,
    PdfSignature,
    RangesImprint,
    open_document,
    read_signatures,
)
from services.signer.formats.pades_levels import STORE_POSITION, baseline_found, level_found
from services.signer.formats.pades_reader import Exhausted, MeteredReader
from services.signer.formats.pades_store import has_values, read_store
from services.signer.formats.smime import NoSignature
from services.signer.limits import Limits, malformed, too_much
from services.signer.texts import say
from shared.contracts.signatures import SignatureFormat, TimestampType
from shared.domain.verdict import SubIndication

_FIRST_POSITION = 1_000_000
"""Of document time-stamps: after all unsigned attributes."""


def read_pades(
    data: bytes, content: Content | None, limits: Limits, *, known: Sequence[Certificate] = ()
) -> SignatureFacts:
    """Facts about every signature of one PDF, its time-stamps read.

    Args:
        data: the whole file.
        content: must be None: a PDF has its content inside.
        limits: what the bytes may cost.
        known: certificates from elsewhere, for signatures that carry none.

    Raises:
        CheckFailed: FORMAT_FAILURE when the file cannot be read, SIGNED_DATA_NOT_FOUND when it is encrypted or has two
            tables of objects, POLICY_PROCESSING_ERROR when memory ran out, HASH_FAILURE when content is given; a
            fault in one signature stays with that signature.
        NoSignature: there is none.
    """
    if content is not None:
        raise CheckFailed(SubIndication.HASH_FAILURE, say("content.other"))
    try:
        return _read(data, limits, known)
    except (CheckFailed, NoSignature):
        raise
    except Exhausted:
        raise too_much("steps", limits.pdf_steps) from None
    except MemoryError:
        raise CheckFailed(SubIndication.POLICY_PROCESSING_ERROR, say("processing.error")) from None
    except Exception as error:  # noqa: BLE001 - whatever the parser trips over, it says that the bytes are malformed
        raise malformed(f"PDF, {type(error).__name__}") from None


def _read(data: bytes, limits: Limits, known: Sequence[Certificate]) -> SignatureFacts:
    reader = open_document(data, limits)
    signatures = read_signatures(reader, data, limits)
    if all(item.is_timestamp for item in signatures):
        raise NoSignature
    store = read_store(reader, limits)
    document = _Document(reader, data, signatures, store, limits, (*store.certificates, *known))
    return document.facts()


@dataclass
class _Document:
    """Puts the facts of one file together."""

    reader: MeteredReader
    data: bytes
    signatures: tuple[PdfSignature, ...]
    store: Embedded
    limits: Limits
    known: tuple[Certificate, ...]

    def facts(self) -> SignatureFacts:
        """Of every signature, each with the document time-stamps over it."""
        stamps = [item for item in self.signatures if item.is_timestamp]
        if len(stamps) > self.limits.timestamps:
            raise too_much("time-stamps", self.limits.timestamps)
        read = [self._stamp(item, _FIRST_POSITION + number) for number, item in enumerate(stamps)]
        over_store = [item.failure is None and has_values(self.reader, item.revision, self.limits) for item in stamps]
        comparison = Comparison(self.reader, self.data, self.signatures, self.limits.pdf_comparisons)
        signers: list[SignerFacts] = []
        embedded = Embedded()
        contents: list[Content] = []
        for signature in self.signatures:
            if signature.is_timestamp:
                continue
            if signature.failure is not None or signature.content is None:
                signers.append(_refused(signature))
                continue
            later = comparison.after(signature)
            try:
                facts = self._signed(signature)
            except CheckFailed as failure:
                signers.append(replace(_refused(signature, failure), scope=later.scope))
                continue
            contents.append(signature.content)
            embedded += facts.embedded
            own = self._over(signature, stamps, read, over_store)
            alone = len(facts.signers) == 1
            signers.extend(self._described(item, signature, later, own, alone=alone) for item in facts.signers)
        if len(signers) > self.limits.signers:
            raise too_much("signers", self.limits.signers)
        covered = contents[0].digest("sha256").hex() if len(contents) == len(signers) == 1 else None
        return SignatureFacts(SignatureFormat.PADES, tuple(signers), embedded, covered)

    def _signed(self, signature: PdfSignature) -> SignatureFacts:
        contents = () if signature.content is None else (signature.content,)
        facts = read_cades(
            signature.encoded,
            contents,
            self.limits,
            known=self.known,
            signature_format=SignatureFormat.PADES,
            expected_type=cms.DATA,
        )
        if not facts.signers:
            raise malformed("signature without signer")
        return read_timestamps(facts, self.limits, known=self.known)

    def _stamp(self, item: PdfSignature, position: int) -> StampFacts:
        if item.failure is not None or item.content is None:
            return StampFacts(TimestampType.DOCUMENT, position, item.failure or malformed("time-stamp"))
        stamp = Stamp(TimestampType.DOCUMENT, position, item.encoded, RangesImprint(item.content))
        return read_stamp(stamp, self.limits, known=self.known)

    def _over(
        self, signature: PdfSignature, stamps: list[PdfSignature], read: list[StampFacts], over_store: list[bool]
    ) -> list[StampFacts]:
        """The document time-stamps over one signature, each with the earlier ones and the store it covers too.

        One whose own range does not hold may be over anything: it is told with each signature and proves nothing.
        """
        found = []
        for stamp, facts, with_store in zip(stamps, read, over_store, strict=True):
            if stamp.failure is None and not stamp.covers(signature):
                continue
            covered = {other.position for item, other in zip(stamps, read, strict=True) if stamp.covers(item)}
            found.append(replace(facts, covers=frozenset(covered | ({STORE_POSITION} if with_store else set()))))
        return found

    def _described(
        self,
        signer: SignerFacts,
        signature: PdfSignature,
        later: LaterChanges,
        stamps: list[StampFacts],
        *,
        alone: bool,
    ) -> SignerFacts:
        inside = frozenset(item.position for item in signer.unsigned.stamps)
        stamps = [replace(item, covers=item.covers | inside) if item.intact else item for item in stamps]
        unsigned = replace(signer.unsigned, values=signer.unsigned.values + self.store)
        timed = signer.claimed_signing_time is not None
        signer = replace(
            signer,
            unsigned=unsigned,
            timestamps=(*signer.timestamps, *stamps),
            claimed_signing_time=signer.claimed_signing_time or signature.claimed_at,
            scope=later.scope,
        )
        found = [_in_words_of_pdf(item, later) for item in signer.findings]
        standard = signature.sub_filter == CADES_DETACHED
        if standard:
            found.extend(_baseline_rules(signature, timed=timed, alone=alone))
        found.extend(_later(later))
        return replace(
            signer,
            level=level_found(signer),
            baseline_level=baseline_found(signer)
            if standard and alone and not timed and signature.claimed_at
            else None,
            findings=tuple(sorted(found, key=lambda item: item.step.number)),
        )


def _refused(signature: PdfSignature, failure: CheckFailed | None = None) -> SignerFacts:
    why = failure or signature.failure or malformed("signature")
    return SignerFacts(
        level="PDF",
        findings=(failed(Step.FORMAT, why),),
        integrity=False,
        claimed_signing_time=signature.claimed_at,
    )


def _in_words_of_pdf(finding: Finding, later: LaterChanges) -> Finding:
    """The same finding, saying where in the document the signature and its content stand."""
    if finding.conclusive or finding.rule is not None:
        return finding
    if finding.step is Step.FORMAT:
        return replace(finding, text=say("format.pdf"))
    if finding.step is Step.CONTENT:
        scope = later.scope
        if scope.whole_document:
            return replace(finding, text=say("content.enveloped"))
        return replace(finding, text=say("pdf.revision", number=scope.revision, total=scope.revisions))
    return finding


def _baseline_rules(signature: PdfSignature, *, timed: bool, alone: bool) -> list[Finding]:
    """What EN 319 142-1, 6.3 asks of a signature that calls itself PAdES, and no check before has asked."""
    broken = [
        key
        for key, breach in (
            ("pdf.signing-time", timed),
            ("pdf.claimed-time", signature.claimed_at is None),
            ("pdf.one-signer", not alone),
        )
        if breach
    ]
    return [warned(Step.ATTRIBUTES, say(key), rule="pades") for key in broken]


def _later(later: LaterChanges) -> list[Finding]:
    if later.failure is not None:
        return [failed(Step.RULES, later.failure, rule="later-changes")]
    if later.changed_fields:
        names = ", ".join(later.changed_fields[:10])[:500]
        return [warned(Step.RULES, say("pdf.change-form", names=names), rule="later-changes")]
    return [passed(Step.RULES, say("pdf.unchanged"), rule="later-changes")]
