"""References to validation data against the values beside them ("strict reference use", signatures.md 6.4)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from services.signer.certificates import Certificate
from services.signer.facts import Embedded, Reference, UnsignedFacts
from services.signer.findings import CheckFailed
from services.signer.formats import cms
from services.signer.formats.references import ocsp_forms
from services.signer.texts import say
from shared.domain.verdict import SubIndication

REFERENCES = frozenset({cms.CERTIFICATE_REFERENCES, cms.REVOCATION_REFERENCES})
"""Attributes with references: with one of them the rules apply."""


def check_references(unsigned: UnsignedFacts, embedded: Embedded) -> None:
    """Raise ``CheckFailed`` (SIG_CONSTRAINTS_FAILURE) unless references and values name each other.

    Without values there is nothing to compare: then references must be there for certificates and
    for revocation data. With them every reference has its value, and every list and response of the
    values has its reference.
    """
    if not unsigned.present & REFERENCES:
        return
    certificates, revocation = unsigned.certificate_references, unsigned.revocation_references
    if certificates is None or revocation is None:
        raise unfit("references.incomplete")
    if cms.CERTIFICATE_VALUES in unsigned.present:
        pool = (*unsigned.values.certificates, *embedded.certificates)
        if not all(any(reference.matches(item) for item in pool) for reference in certificates):
            raise unfit("references.certificate-missing")
    if cms.REVOCATION_VALUES not in unsigned.present:
        return
    lists = [(item,) for item in (*unsigned.values.revocation_lists, *embedded.revocation_lists)]
    responses = [_forms(item) for item in (*unsigned.values.ocsp_responses, *embedded.ocsp_responses)]
    if _unmatched(revocation.lists, lists) or _unmatched(revocation.responses, responses):
        raise unfit("references.revocation-missing")
    unnamed = _unnamed(revocation.lists, lists[: len(unsigned.values.revocation_lists)])
    unnamed_responses = _unnamed(revocation.responses, responses[: len(unsigned.values.ocsp_responses)])
    if unnamed or unnamed_responses > revocation.undigested_responses:
        raise unfit("references.value-unnamed")


def check_path(unsigned: UnsignedFacts, authorities: Iterable[Certificate]) -> None:
    """Raise ``CheckFailed`` (SIG_CONSTRAINTS_FAILURE) unless the references name every authority of the path used."""
    if unsigned.certificate_references is None:
        return
    for authority in authorities:
        if not any(reference.matches(authority) for reference in unsigned.certificate_references):
            raise unfit("references.path", name=authority.subject_name)


def unfit(key: str, **values: object) -> CheckFailed:
    """The failure for references that do not fit."""
    return CheckFailed(SubIndication.SIG_CONSTRAINTS_FAILURE, say(key, **values))


def _forms(response: bytes) -> tuple[bytes, ...]:
    try:
        return ocsp_forms(response)
    except CheckFailed:
        return (response,)


def _digests(forms: Iterable[bytes], names: Iterable[str]) -> set[tuple[str, bytes]]:
    return {(name, hashlib.new(name, form).digest()) for form in forms for name in names}


def _unmatched(references: Sequence[Reference], values: Sequence[tuple[bytes, ...]]) -> bool:
    wanted = {(reference.digest, reference.value) for reference in references}
    names = {reference.digest for reference in references}
    return not wanted <= _digests((form for forms in values for form in forms), names)


def _unnamed(references: Sequence[Reference], values: Sequence[tuple[bytes, ...]]) -> int:
    """How many values no reference names."""
    wanted = {(reference.digest, reference.value) for reference in references}
    names = {reference.digest for reference in references}
    return sum(1 for forms in values if not wanted & _digests(forms, names))
