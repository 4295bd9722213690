"""References to and values of validation data in XAdES (EN 319 132-1, 5.4 and annex A.1)."""

from __future__ import annotations

from typing import Any

from services.signer.certificates import load_certificate
from services.signer.facts import CertificateReference, Embedded, Reference, RevocationReferences
from services.signer.formats.xades_signed import certificate_reference, digest_and_value
from services.signer.formats.xml_layout import XADES, XADES_141, children_of, octets_of, only_child
from services.signer.limits import Limits, malformed, too_much


def certificate_references(element: Any, limits: Limits) -> tuple[CertificateReference, ...]:
    """CompleteCertificateRefs, old and V2; raises ``CheckFailed``."""
    # The later version stands in the later namespace, with its list in its own or in the old one.
    holders = [item for item in children_of(element) if item.tag in (f"{XADES}CertRefs", f"{XADES_141}CertRefs")]
    if len(holders) != 1:
        raise malformed("CompleteCertificateRefs")
    entries = _bounded(holders[0], "Cert", limits.certificates)
    return tuple(certificate_reference(item) for item in entries)


def revocation_references(element: Any, limits: Limits) -> RevocationReferences:
    """CompleteRevocationRefs; raises ``CheckFailed``."""
    holders = {item.tag: item for item in children_of(element)}
    if len(holders) != len(children_of(element)) or not set(holders) <= {f"{XADES}CRLRefs", f"{XADES}OCSPRefs"}:
        raise malformed("references to revocation data of another kind")
    lists, responses = (
        [
            only_child(item, f"{XADES}DigestAlgAndValue")
            for item in _bounded(holders[name], entry, limits.revocation_lists)
        ]
        if name in holders
        else []
        for name, entry in ((f"{XADES}CRLRefs", "CRLRef"), (f"{XADES}OCSPRefs", "OCSPRef"))
    )
    digested = [item for item in responses if item is not None]
    return RevocationReferences(
        tuple(map(_digest, lists)), tuple(map(_digest, digested)), len(responses) - len(digested)
    )


def _digest(element: Any | None) -> Reference:
    if element is None:
        raise malformed("reference without a digest")
    return Reference(*digest_and_value(element))


def certificate_values(element: Any, limits: Limits) -> Embedded:
    """CertificateValues; raises ``CheckFailed`` (FORMAT_FAILURE)."""
    entries = children_of(element)
    if any(item.tag != f"{XADES}EncapsulatedX509Certificate" for item in entries):
        raise malformed("certificate values of another kind")
    if len(entries) > limits.certificates:
        raise too_much("certificates", limits.certificates)
    return Embedded(tuple(load_certificate(octets_of(item), limits) for item in entries))


def revocation_values(element: Any, limits: Limits) -> Embedded:
    """RevocationValues: lists and OCSP responses; raises ``CheckFailed`` (FORMAT_FAILURE)."""
    holders = {item.tag: item for item in children_of(element)}
    if len(holders) != len(children_of(element)) or not set(holders) <= {f"{XADES}CRLValues", f"{XADES}OCSPValues"}:
        raise malformed("revocation values of another kind")
    found: dict[str, tuple[bytes, ...]] = {}
    for kind, name in (("CRLValues", "EncapsulatedCRLValue"), ("OCSPValues", "EncapsulatedOCSPValue")):
        holder = holders.get(f"{XADES}{kind}")
        entries = [] if holder is None else _bounded(holder, name, limits.revocation_lists)
        found[kind] = tuple(octets_of(item) for item in entries)
    return Embedded(revocation_lists=found["CRLValues"], ocsp_responses=found["OCSPValues"])


def stamp_values(element: Any, limits: Limits) -> Embedded:
    """TimeStampValidationData: what belongs to the certificates of time-stamps (EN 319 132-1, 5.5.1)."""
    found = Embedded()
    for name, read in (("CertificateValues", certificate_values), ("RevocationValues", revocation_values)):
        child = only_child(element, f"{XADES}{name}")
        if child is not None:
            found += read(child, limits)
    return found


def _bounded(holder: Any, name: str, limit: int) -> list[Any]:
    entries = children_of(holder)
    if any(item.tag != f"{XADES}{name}" for item in entries):
        raise malformed(f"something else than {name}")
    if len(entries) > limit:
        raise too_much(name, limit)
    return entries
