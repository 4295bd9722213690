"""The step to X-L: what proves a signature's certificates, put where each belongs (record 0036)."""

from __future__ import annotations

from collections.abc import Mapping

from services.signer.facts import SignatureFacts
from services.signer.formats import cms
from services.signer.formats.cades_upgrading import OpenSignature, kinds_of, token_with
from services.signer.formats.references_writing import CertificateProof, reference_attributes, value_attributes
from services.signer.limits import DEFAULT_LIMITS

_VALUES = frozenset({cms.CERTIFICATE_VALUES, cms.REVOCATION_VALUES})


def completed(
    encoded: bytes,
    index: int,
    facts: SignatureFacts,
    own: CertificateProof | None,
    others: Mapping[bytes, CertificateProof],
) -> bytes:
    """The file (DER) with references and values for one signature, and values for the authorities of its time-stamps.

    Args:
        encoded: the CMS.
        index: of the signature, from 0.
        facts: what was read of ``encoded``.
        own: what proves the signer's certificate; None when references and values are there.
        others: what proves the authority of each signature time-stamp, by its token (DER); a token that carries
            values already stays as it is.

    Raises:
        CheckFailed: FORMAT_FAILURE.
    """
    signer = facts.signers[index]
    opened = OpenSignature.of(encoded, index, DEFAULT_LIMITS)
    held = set(signer.unsigned.values.revocation_lists if own is None else own.lists)
    changed: dict[bytes, bytes] = {}
    for token, proof in others.items():
        if kinds_of(token, DEFAULT_LIMITS) & _VALUES:
            continue
        # A list that speaks for both is there once.
        lists = [item for item in proof.lists if item not in held]
        changed[token] = token_with(token, DEFAULT_LIMITS, *value_attributes(proof.authorities, lists, proof.responses))
    if own is None:
        return opened.with_tokens(changed).encoded() if changed else encoded
    certificates = own.authorities
    if signer.certificate is not None and signer.certificate not in facts.embedded.certificates:
        certificates = (signer.certificate.der, *certificates)
    values = value_attributes(certificates, own.lists, own.responses)
    return opened.with_tokens(changed).plus(*reference_attributes(own), *values).encoded()
