"""References to validation data against the values beside them ("strict reference use", signatures.md 6.4)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

from services.signer.certificates import Certificate
from services.signer.facts import CertificateReference, Embedded, Reference, UnsignedFacts
from services.signer.findings import CheckFailed
from services.signer.formats import cms
from services.signer.formats.references import ocsp_forms
from services.signer.texts import say
from shared.domain.verdict import SubIndication

REFERENCES = frozenset({cms.CERTIFICATE_REFERENCES, cms.REVOCATION_REFERENCES})
"""Attributes with references: with one of them the rules apply."""


class Digests:
    """Digests of the values of one file, each computed once: signatures and their references share the values."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, bytes], tuple[bytes, ...]] = {}

    def of(self, name: str, encoded: bytes) -> bytes:
        """The digest of a certificate or list by its ``hashlib`` name."""
        return self._of("whole", name, encoded, lambda value: (value,))[0]

    def of_response(self, name: str, encoded: bytes) -> tuple[bytes, ...]:
        """The digests of an OCSP response, in each form that references may mean."""
        return self._of("forms", name, encoded, _forms)

    def _of(
        self, kind: str, name: str, encoded: bytes, forms: Callable[[bytes], tuple[bytes, ...]]
    ) -> tuple[bytes, ...]:
        key = (kind, name, encoded)
        if key not in self._known:
            self._known[key] = tuple(hashlib.new(name, form).digest() for form in forms(encoded))
        return self._known[key]


def check_references(unsigned: UnsignedFacts, embedded: Embedded, digests: Digests) -> None:
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
        if not _all_there(certificates, pool, digests):
            raise unfit("references.certificate-missing")
    if cms.REVOCATION_VALUES not in unsigned.present:
        return
    named = {reference.digest for reference in revocation.lists}
    lists = [
        frozenset((name, digests.of(name, item)) for name in named)
        for item in (*unsigned.values.revocation_lists, *embedded.revocation_lists)
    ]
    named = {reference.digest for reference in revocation.responses}
    responses = [
        frozenset((name, digest) for name in named for digest in digests.of_response(name, item))
        for item in (*unsigned.values.ocsp_responses, *embedded.ocsp_responses)
    ]
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


def _all_there(references: Sequence[CertificateReference], pool: Sequence[Certificate], digests: Digests) -> bool:
    """Whether every reference has its certificate among ``pool``."""
    found: dict[tuple[str, bytes], Certificate] = {}
    for name in {reference.digest for reference in references}:
        found.update({(name, digests.of(name, item.der)): item for item in pool})
    return all(
        (item := found.get((reference.digest, reference.value))) is not None and reference.matches(item)
        for reference in references
    )


def _unmatched(references: Sequence[Reference], values: Iterable[frozenset[tuple[str, bytes]]]) -> bool:
    return not _wanted(references) <= frozenset[tuple[str, bytes]]().union(*values)


def _unnamed(references: Sequence[Reference], values: Iterable[frozenset[tuple[str, bytes]]]) -> int:
    """How many values no reference names."""
    wanted = _wanted(references)
    return sum(1 for digested in values if not wanted & digested)


def _wanted(references: Sequence[Reference]) -> set[tuple[str, bytes]]:
    return {(reference.digest, reference.value) for reference in references}


def _forms(response: bytes) -> tuple[bytes, ...]:
    try:
        return ocsp_forms(response)
    except CheckFailed:
        return (response,)
