"""What proves a certificate at a moment, chosen out of the evidence at hand: for signatures that carry it with them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from asn1crypto import pem

from services.signer.anchoring import anchored_path
from services.signer.certificates import Certificate
from services.signer.checks.chain import CertificatePath
from services.signer.checks.good_standing import judge_path
from services.signer.checks.ocsp import OcspCheck
from services.signer.checks.revocation import RevocationCheck, RevocationList, RevocationMissing, WantedList
from services.signer.checks.wanted import WantedResponse
from services.signer.evidence import Evidence
from services.signer.formats.references_writing import CertificateProof, RevocationProof


@dataclass(frozen=True)
class Question:
    """A certificate, and when it must have been in good standing."""

    certificate: Certificate
    purposes: tuple[str, ...]
    """Whose anchors count."""
    moment: datetime
    """A proven one: that of the time-stamp (aware)."""
    pool: tuple[Certificate, ...] = ()
    """Untrusted certificates that came with it."""
    list_since: datetime | None = None
    """Take a list for the certificate itself, one made then or later (aware), as P2 and P3 want it; None: whatever
    speaks for it, responses before lists because they are small."""


def path_of(question: Question, evidence: Evidence) -> CertificatePath:
    """The path to an anchor; raises ``CheckFailed`` as ``anchored_path`` does."""
    trust = evidence.trust
    pool = tuple(dict.fromkeys((*question.pool, *trust.intermediates, *evidence.certificates)))
    return anchored_path(trust, question.purposes, question.certificate, pool, question.moment, proven=True)


def wanted_responses(path: CertificatePath) -> tuple[WantedResponse, ...]:
    """Responses that certificates of the path name an address for."""
    named = (WantedResponse(certificate, issuer) for certificate, issuer in path.pairs())
    return tuple(item for item in named if item.urls)


def choose(question: Question, path: CertificatePath, evidence: Evidence, now: datetime) -> CertificateProof:
    """One word for every certificate of the path, in force at the moment or issued after it.

    Raises:
        RevocationMissing: when one has none; ``wanted`` are the lists that would help.
        CheckFailed: as ``RevocationCheck.path``, for one that was revoked.
    """
    check = RevocationCheck(evidence.revocation_lists, question.moment, now, True, 0)
    judge_path(path, check, evidence.responses)
    listed, missing = _listed(check, path)
    if question.list_since is not None and not _made_since(listed.get(0, ()), question.list_since):
        raise _list_missing(path)
    answers = OcspCheck(evidence.responses, check)
    by_digest = {item.sha256: item for item in evidence.responses}
    words: list[RevocationProof] = []
    for index, (certificate, issuer) in enumerate(path.pairs()):
        statement = answers.says(certificate, issuer, path)
        if index in listed and (statement is None or (question.list_since is not None and index == 0)):
            words.append(RevocationProof(lists=tuple(_in_der(item) for item in listed[index])))
        elif statement is not None:
            words.append(RevocationProof(responses=(by_digest[statement.source].encoded,)))
        elif missing is not None:
            raise missing
    return CertificateProof(tuple(item.der for item in reversed(path.certificates[:-1])), tuple(words))


def _listed(
    check: RevocationCheck, path: CertificatePath
) -> tuple[dict[int, tuple[RevocationList, ...]], RevocationMissing | None]:
    """Lists for the path, or for what is left of it above certificates that have none; and what the others lack."""
    missing: RevocationMissing | None = None
    for index in range(len(path.certificates) - 1):
        rest = replace(path, certificates=path.certificates[: len(path.certificates) - index])
        try:
            statuses = check.path(rest)
        except RevocationMissing as failure:
            missing = missing or failure
            continue
        return {at: status.sources for at, status in enumerate(statuses, start=index)}, missing
    return {}, missing


def _made_since(lists: tuple[RevocationList, ...], moment: datetime) -> bool:
    return any(item.this_update >= moment for item in lists)


def _list_missing(path: CertificatePath) -> RevocationMissing:
    certificate, issuer = next(path.pairs())
    missing = RevocationMissing(certificate, stale=True, retry_after_seconds=0)
    missing.wanted = (WantedList(certificate, issuer),) if certificate.revocation_urls else ()
    return missing


def _in_der(item: RevocationList) -> bytes:
    encoded: bytes = pem.unarmor(item.encoded)[2] if pem.detect(item.encoded) else item.encoded
    return encoded
