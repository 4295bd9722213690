"""From a certificate to an anchor that counts for what it signed: a path, and the anchor's own end.

An anchor may have an end (``TrustStore.ends``): what is known to have existed before still leads to it, what
came later does not. That is a matter of the store and not of RFC 5280, so it is decided before the path.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from services.signer.certificates import Certificate
from services.signer.checks.basis import Basis
from services.signer.checks.chain import CertificatePath, build_path
from services.signer.checks.wanted import authorities_above
from services.signer.findings import CheckFailed
from services.signer.texts import say
from services.signer.trust import TrustStore
from shared.domain.verdict import SubIndication


def anchored_path(
    trust: TrustStore,
    purposes: tuple[str, ...],
    certificate: Certificate,
    pool: Sequence[Certificate],
    moment: datetime,
    *,
    proven: bool,
    existed_at: datetime | None = None,
    basis: Basis | None = None,
) -> CertificatePath:
    """The path from an anchor of one of ``purposes``, as ``build_path`` finds it.

    Args:
        trust: the store in use.
        purposes: whose anchors count.
        certificate: the end entity.
        pool: untrusted certificates that may lie between.
        moment: the time of judgement of the path.
        proven: whether the signature is known to have existed then.
        existed_at: when what was signed is known to have existed, if that is another time: a time-stamp's own
            word about its time is worth nothing once its authority is no longer trusted.
        basis: where to note what was used, also for a path that fails.

    Raises:
        CheckFailed: as ``build_path``; NO_CERTIFICATE_CHAIN_FOUND with the date when the only anchors have ended.
    """
    known = existed_at or moment
    try:
        path = build_path(certificate, pool, _ordered(trust.for_purposes(purposes, known)), moment, proven=proven)
    except CheckFailed as failure:
        if basis is not None:
            basis.add_certificates((certificate, *authorities_above(certificate, pool)))
        if failure.sub_indication is not SubIndication.NO_CERTIFICATE_CHAIN_FOUND:
            raise
        ended = _ordered(trust.ended_for(purposes, known))
        try:
            anchor = build_path(certificate, pool, ended, moment, proven=True).anchor
        except CheckFailed:
            raise failure from None
        text = say("path.anchor-ended", name=anchor.subject_name, until=trust.ends[anchor.sha256])
        raise CheckFailed(SubIndication.NO_CERTIFICATE_CHAIN_FOUND, text) from failure
    if basis is not None:
        basis.add_certificates(path.certificates)
    return path


def _ordered(anchors: tuple[Certificate, ...]) -> tuple[Certificate, ...]:
    """In an order that does not depend on file names: the same set gives the same path everywhere."""
    return tuple(sorted(anchors, key=lambda item: item.sha256))
