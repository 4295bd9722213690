"""Signature time-stamps (RFC 3161): proof that a signature existed, from an authority of the store."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime

from services.signer import der
from services.signer.certificates import Certificate
from services.signer.checks import algorithms
from services.signer.checks.mathematics import digest_name
from services.signer.facts import SignatureFacts
from services.signer.findings import CheckFailed
from services.signer.formats import cms
from services.signer.formats.cades import read_cades
from services.signer.limits import Limits, malformed
from services.signer.texts import say
from shared.domain.verdict import SubIndication

_TIME_STAMPING = frozenset({"1.3.6.1.5.5.7.3.8"})


@dataclass(frozen=True)
class TimestampFacts:
    """A token whose own signature holds and which stamps the right bytes; nobody is trusted yet."""

    generated_at: datetime
    certificate: Certificate
    token: SignatureFacts


def read_timestamp(token: bytes, stamped: bytes, limits: Limits) -> TimestampFacts:
    """Take one token apart.

    ``stamped`` is what it must be about: the signature value. Raises ``CheckFailed``.
    """
    facts = read_cades(token, (), limits, expected_type=cms.TST_INFO)
    if len(facts.signers) != 1 or facts.attached_content is None:
        raise malformed("time-stamp token without exactly one signer")
    signer = facts.signers[0]
    fields = der.children(der.expect(der.read_whole(facts.attached_content), der.SEQUENCE, "TSTInfo"))
    if len(fields) < 5:
        raise malformed("TSTInfo is incomplete")
    imprint = der.children(der.expect(fields[2], der.SEQUENCE, "messageImprint"))
    if len(imprint) != 2:
        raise malformed("bad messageImprint")
    name = digest_name(imprint[0])
    if not hmac.compare_digest(hashlib.new(name, stamped).digest(), der.octets(imprint[1])):
        raise CheckFailed(SubIndication.HASH_FAILURE, say("timestamp.other"))
    generated_at = der.moment(fields[4])
    if not signer.integrity or signer.certificate is None or not signer.bound or signer.algorithms is None:
        raise CheckFailed(SubIndication.SIG_CRYPTO_FAILURE, say("timestamp.broken"))
    if signer.certificate.extended_key_usage != _TIME_STAMPING or not signer.certificate.extended_key_usage_critical:
        raise CheckFailed(SubIndication.CHAIN_CONSTRAINTS_FAILURE, say("timestamp.not-authority"))
    algorithms.check(signer.algorithms, generated_at, proven=True)
    return TimestampFacts(generated_at, signer.certificate, facts)
