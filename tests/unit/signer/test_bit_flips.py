"""10,000 single bits changed in valid files of every kind: nothing raises, and no altered signed part is accepted.

What lies outside every signature may change: version numbers, hints, white space, unsigned attributes that nothing
needs. A file that still passes must therefore say the same in all that was signed.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from shared.contracts.signatures import Profile, SignatureReport, VerificationReport
from shared.domain.verdict import Conclusion
from tests.support.pki import SEAL_USAGE, Pki, ec_key
from tests.unit.signer import levels
from tests.unit.signer.conftest import Judge
from tests.unit.signer.levels import File
from tests.unit.signer.signing import sign, signed_data, signer_info
from tests.unit.signer.test_counter_signatures import counter, other, upon, value_of, with_certificate
from tests.unit.signer.test_levels_hostile import archive_v2, archive_v3, flipped
from tests.unit.signer.test_smime import PART, mail
from tests.unit.signer.test_usage_profiles import P2, stamped
from tests.unit.signer.test_xades import sign_xml

CONTENT = b"<PaketOzeti/>" * 10
CHUNKS = 5


@dataclass(frozen=True)
class Kind:
    """A valid file, and how many bits of it are changed in each of the chunks."""

    make: Callable[[Pki], tuple[bytes, bytes | None]]
    profile: Profile
    flips: int


def _elliptic(pki: Pki) -> tuple[bytes, bytes | None]:
    holder = pki.seal.issuing.issue("Mühür P-256", key=ec_key(), key_usage=SEAL_USAGE)
    return sign(holder, CONTENT), None


def _parallel(pki: Pki) -> tuple[bytes, bytes | None]:
    second = other(pki)
    infos = [signer_info(pki.signer, CONTENT), signer_info(second, CONTENT)]
    return signed_data(infos, [*pki.signer.chain_der, second.der], CONTENT), None


def _countersigned(pki: Pki) -> tuple[bytes, bytes | None]:
    second = other(pki)
    file = File.of(sign(pki.signer, CONTENT))
    value = value_of(levels.sequence(*file.signer))
    file = with_certificate(file, second)
    return File(file.before, file.signer, (*file.attributes, upon(counter(second, value)))).encode(), None


KINDS: dict[str, Kind] = {
    "CAdES-B": Kind(lambda pki: (sign(pki.signer, CONTENT), None), Profile.QUALIFIED_SIGNATURE, 300),
    "CAdES-B detached": Kind(
        lambda pki: (sign(pki.sealer, CONTENT, attached=False, digest="sha384"), CONTENT), Profile.INSTITUTION_SEAL, 300
    ),
    "CAdES-B P-256": Kind(_elliptic, Profile.INSTITUTION_SEAL, 300),
    "CAdES-B PSS": Kind(lambda pki: (sign(pki.signer, CONTENT, pss=True), None), Profile.QUALIFIED_SIGNATURE, 200),
    "parallel": Kind(_parallel, Profile.QUALIFIED_SIGNATURE, 150),
    "CAdES-T of P2": Kind(lambda pki: (stamped(pki, P2).encode(), None), Profile.P2, 200),
    "CAdES-XL": Kind(lambda pki: (levels.long_term(pki, CONTENT).encode(), None), Profile.QUALIFIED_SIGNATURE, 100),
    "CAdES-A v2": Kind(lambda pki: (archive_v2(pki).encode(), None), Profile.QUALIFIED_SIGNATURE, 75),
    "CAdES-A v3": Kind(lambda pki: (archive_v3(pki).encode(), None), Profile.QUALIFIED_SIGNATURE, 75),
    "S/MIME": Kind(
        lambda pki: (mail(PART, sign(pki.transaction, PART, attached=False)), None), Profile.KEPHS_TRANSACTION, 200
    ),
    "XAdES-B": Kind(lambda pki: (sign_xml(pki.transaction), None), Profile.KEPHS_TRANSACTION, 100),
}


def said(report: VerificationReport) -> object:
    """All that was signed, as far as a report tells it."""
    return report.signed_content_sha256, [_signed(item) for item in report.signatures]


def _signed(signature: SignatureReport) -> object:
    return (
        signature.signer,
        signature.claimed_signing_time,
        [(item.type, item.time, item.tsa) for item in signature.timestamps if item.conclusion is Conclusion.PASSED],
    )


def test_there_are_ten_thousand() -> None:
    assert CHUNKS * sum(kind.flips for kind in KINDS.values()) >= 10_000


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("name", KINDS)
def test_nothing_raises_and_nothing_altered_is_accepted(pki: Pki, judge: Judge, name: str, chunk: int) -> None:
    kind = KINDS[name]
    encoded, content = kind.make(pki)
    good = judge(encoded, content, profile=kind.profile)
    assert good.conclusion is Conclusion.PASSED
    chooser = random.Random(f"{name} {chunk}")
    refused = 0
    for _ in range(kind.flips):
        report = judge(flipped(encoded, chooser), content, profile=kind.profile)
        if report.conclusion is Conclusion.PASSED:
            altered, original = said(report), said(good)
            assert altered == original or _lost_a_stamp(report, good)
        else:
            refused += 1
    assert refused > kind.flips / 4, "most of a file is signed"


def _lost_a_stamp(report: VerificationReport, good: VerificationReport) -> bool:
    """A time-stamp that no longer holds proves nothing, and spoils nothing else."""
    return report.signed_content_sha256 == good.signed_content_sha256 and all(
        after.signer == before.signer
        and after.claimed_signing_time == before.claimed_signing_time
        and {(item.type, item.time, item.tsa) for item in after.timestamps if item.conclusion is Conclusion.PASSED}
        <= {(item.type, item.time, item.tsa) for item in before.timestamps}
        for before, after in zip(good.signatures, report.signatures, strict=True)
    )
