"""What was added to a PDF after a signature, and whether it may change what the document says.

The difference analysis is pyHanko's: it explains each object of the later revisions by a list of harmless changes,
and whatever is left unexplained counts as a change of the content.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pyhanko.pdf_utils import generic
from pyhanko.sign.diff_analysis import (
    DEFAULT_DIFF_POLICY,
    DiffResult,
    FormUpdatingRule,
    GenericFieldModificationRule,
    ModificationLevel,
    SigFieldCreationRule,
    SigFieldModificationRule,
    StandardDiffPolicy,
)
from pyhanko.sign.fields import FieldMDPSpec, MDPPerm

from services.signer.findings import CheckFailed
from services.signer.formats.pades_document import PdfSignature, signature_fields
from services.signer.formats.pades_reader import MeteredReader, entry_of
from services.signer.texts import say
from shared.contracts.signatures import SignatureScope, Text
from shared.domain.verdict import SubIndication

_WHITE_SPACE = b"\0\t\n\f\r "
_END = b"%%EOF"


class _WrittenFields(FormUpdatingRule):
    """Form updates of what the revision has written.

    The library's rule also lists the pictures of fields nobody touched, so that one locked field would forbid everything.
    """

    def apply(self, old: Any, new: Any) -> Iterator[Any]:
        """As the library's."""
        written = new.explicit_refs_in_revision()
        for level, update in super().apply(old, new):
            if update.updated_ref in written:
                yield level, update


_POLICY = StandardDiffPolicy(
    DEFAULT_DIFF_POLICY.global_rules,
    _WrittenFields([SigFieldCreationRule(), SigFieldModificationRule(), GenericFieldModificationRule()]),  # type: ignore[no-untyped-call]  # untyped library
)


@dataclass(frozen=True)
class LaterChanges:
    """The scope of one signature, and why the document as it is now may not be what was signed."""

    scope: SignatureScope
    failure: CheckFailed | None = None
    changed_fields: tuple[str, ...] = ()
    """Form fields, beside those of signatures, that have other values now."""


@dataclass
class Comparison:
    """Compares the revisions of one file; ``left`` is how many comparisons may still be made."""

    reader: MeteredReader
    data: bytes
    signatures: Sequence[PdfSignature]
    left: int

    def after(self, signature: PdfSignature) -> LaterChanges:
        """What came after one signature; of one whose byte range holds. Never raises."""
        total = self.reader.xrefs.total_revisions
        tail = self.data[signature.end :].strip(_WHITE_SPACE)
        scope = SignatureScope(whole_document=not tail, revision=signature.revision + 1, revisions=total)
        if not tail:
            return LaterChanges(scope)
        unaccounted = self.data[self.data.rfind(_END) + len(_END) :].strip(_WHITE_SPACE)
        if scope.revision == total or unaccounted:
            return _open(scope, [say("pdf.change-other")], say("pdf.bytes-after"))
        self.left -= total - scope.revision
        if self.left < 0:
            return _open(scope, [say("pdf.change-unknown")], say("pdf.not-compared"))
        try:
            return self._compared(signature, scope)
        except Exception:  # noqa: BLE001 - what cannot be compared is told as that, whatever it is that stands there
            return _open(scope, [say("pdf.change-unknown")], say("pdf.not-compared"))

    def _compared(self, signature: PdfSignature, scope: SignatureScope) -> LaterChanges:
        for number in range(signature.revision, self.reader.xrefs.total_revisions):
            deque(signature_fields(self.reader.get_historical_resolver(number).root), maxlen=0)
        permission, locked = _permission(signature), _locked(signature)
        result = self._review(signature, locked, permission)
        changes = self._named(signature)
        if isinstance(result, DiffResult):
            level = result.modification_level
            own = {item.name for item in self.signatures}
            fields = tuple(sorted(str(name)[:200] for name in result.changed_form_fields if str(name) not in own))
            if fields:
                changes.append(say("pdf.change-form", names=", ".join(fields[:10])[:500]))
            if level is ModificationLevel.ANNOTATIONS:
                changes.append(say("pdf.change-annotations"))
            scope = _with(scope, changes or [say("pdf.change-harmless")])
            if level is ModificationLevel.OTHER or (permission is not None and level.value > permission.value):
                return LaterChanges(scope, _forbidden("pdf.not-permitted"), fields)
            return LaterChanges(scope, None, fields)
        scope = _with(scope, [*changes, say("pdf.change-other")])
        if locked is not None and isinstance(self._review(signature, None, permission), DiffResult):
            return LaterChanges(scope, _forbidden("pdf.locked-field"))
        if permission in (MDPPerm.NO_CHANGES, MDPPerm.FILL_FORMS):
            return LaterChanges(scope, _forbidden("pdf.not-permitted"))
        return LaterChanges(scope, CheckFailed(SubIndication.SIG_CONSTRAINTS_FAILURE, say("pdf.changed")))

    def _review(self, signature: PdfSignature, locked: FieldMDPSpec | None, permission: MDPPerm | None) -> Any:
        return _POLICY.review_file(self.reader, signature.revision, field_mdp_spec=locked, doc_mdp=permission)

    def _named(self, signature: PdfSignature) -> list[Text]:
        """The changes that can be told by what they are."""
        total = self.reader.xrefs.total_revisions
        later = [item for item in self.signatures if item.revision > signature.revision]
        found = []
        if signed := sum(1 for item in later if not item.is_timestamp):
            found.append(say("pdf.change-signature", count=signed))
        if stamped := sum(1 for item in later if item.is_timestamp):
            found.append(say("pdf.change-timestamp", count=stamped))
        before, now = (_store(self.reader, number) for number in (signature.revision, total - 1))
        if now != before:
            found.append(say("pdf.change-store"))
        return found


def _store(reader: MeteredReader, revision: int) -> Any:
    """Something that changes with the document security store."""
    root = reader.get_historical_resolver(revision).root
    if "/DSS" not in root:
        return None
    raw = root.raw_get("/DSS")
    if not isinstance(raw, generic.IndirectObject):
        return repr(raw)
    markers = [(raw.idnum, reader.xrefs.get_historical_ref(raw.reference, revision))]
    store = root["/DSS"]
    inner = [store.raw_get(key) for key in store]
    markers += [
        (item.idnum, reader.xrefs.get_historical_ref(item.reference, revision))
        for item in inner
        if isinstance(item, generic.IndirectObject)
    ]
    return markers


def _permission(signature: PdfSignature) -> MDPPerm | None:
    """What a certifying signature allows later (ISO 32000-1, 12.8.2.2), or the lock of its field."""
    found = _transform(signature, "/DocMDP")
    if found is not None:
        return MDPPerm(int(entry_of(found, "/P", 2)))
    lock = entry_of(signature.field_dictionary, "/Lock")
    return MDPPerm(int(lock["/P"])) if isinstance(lock, dict) and "/P" in lock else None


def _locked(signature: PdfSignature) -> FieldMDPSpec | None:
    """The form fields that a signature locks (ISO 32000-1, 12.8.2.4)."""
    found = _transform(signature, "/FieldMDP")
    if found is None:
        lock = entry_of(signature.field_dictionary, "/Lock")
        found = lock if isinstance(lock, dict) and "/Action" in lock else None
    return None if found is None else FieldMDPSpec.from_pdf_object(found)


def _transform(signature: PdfSignature, method: str) -> Any:
    for reference in entry_of(signature.dictionary, "/Reference", ()):
        entry = reference.get_object()
        if entry_of(entry, "/TransformMethod") == method:
            return entry_of(entry, "/TransformParams", generic.DictionaryObject())  # type: ignore[no-untyped-call]  # untyped library
    return None


def _with(scope: SignatureScope, changes: list[Text]) -> SignatureScope:
    return scope.model_copy(update={"later_changes": changes})


def _open(scope: SignatureScope, changes: list[Text], why: Text) -> LaterChanges:
    return LaterChanges(_with(scope, changes), CheckFailed(SubIndication.SIG_CONSTRAINTS_FAILURE, why))


def _forbidden(key: str) -> CheckFailed:
    return CheckFailed(SubIndication.FORMAT_FAILURE, say(key))
