"""Long-term signatures with single bits changed, and time-stamps by a program that is not ours."""

from __future__ import annotations

import hashlib
import random
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from services.signer.certificates import load_certificate
from services.signer.checks.references import Digests, check_references
from services.signer.pipeline import Evidence, load_lists, read_facts, verify
from services.signer.trust import make_store
from shared.clock import SystemClock
from shared.contracts.signatures import SignatureReport, TimestampType, VerificationRequest
from shared.domain.verdict import Conclusion
from tests.support.pki import Pki, build_pki
from tests.unit.signer import levels
from tests.unit.signer.conftest import Judge
from tests.unit.signer.levels import MINUTE, SIGNED_AT, File
from tests.unit.signer.signing import sign

CONTENT = b"<PaketOzeti/>" * 10
FLIPS = 150


def archive_v2(pki: Pki) -> File:
    return levels.with_archive_v2(levels.long_term(pki, CONTENT), pki.tsa, SIGNED_AT + MINUTE)


def archive_v3(pki: Pki) -> File:
    return levels.with_archive_v3(levels.long_term(pki, CONTENT), CONTENT, pki.tsa, SIGNED_AT + MINUTE)


def flipped(encoded: bytes, chooser: random.Random) -> bytes:
    changed = bytearray(encoded)
    changed[chooser.randrange(len(changed))] ^= 1 << chooser.randrange(8)
    return bytes(changed)


@pytest.mark.parametrize(
    "made", [lambda pki: levels.long_term(pki, CONTENT), archive_v2, archive_v3], ids=["XL", "A v2", "A v3"]
)
def test_no_bit_raises_and_no_signed_part_is_accepted_altered(
    pki: Pki, judge: Judge, made: Callable[[Pki], File]
) -> None:
    file = made(pki)
    encoded = file.encode()
    good = judge(encoded).signatures[0]
    assert good.conclusion is Conclusion.PASSED
    chooser = random.Random(20261128)
    for _ in range(FLIPS):
        report = judge(flipped(encoded, chooser))
        if report.conclusion is not Conclusion.PASSED:
            continue
        [signature] = report.signatures
        assert report.signed_content_sha256 == hashlib.sha256(CONTENT).hexdigest()
        assert signature.signer == good.signer
        assert signature.claimed_signing_time == good.claimed_signing_time
        for before, after in zip(good.timestamps, signature.timestamps, strict=False):
            assert not after.intact or (before.type, before.time, before.tsa) == (after.type, after.time, after.tsa)


def test_every_part_an_archive_time_stamp_covers(pki: Pki) -> None:
    """One bit in any part under the stamp: the stamp is about other bytes, whatever else still holds."""
    file = archive_v2(pki)
    encoded = file.encode()
    [own] = file.of_kind(levels.ARCHIVE_V2)
    chooser, position = random.Random(3), 0
    for part in (*file.before, *file.signer, *file.attributes):
        position = encoded.index(part, position)
        changed = bytearray(encoded)
        changed[position + len(part) - 1 - chooser.randrange(min(8, len(part) - 2))] ^= 1
        position += len(part)
        if part in (*file.before[:2], own):
            continue
        facts = read_facts(bytes(changed), None)
        archives = [
            stamp for signer in facts.signers for stamp in signer.timestamps if stamp.type is TimestampType.ARCHIVE_V2
        ]
        assert not any(stamp.intact for stamp in archives)


def test_references_cost_one_digest_for_each_value(pki: Pki) -> None:
    """Not one for each pair: 200 references to the last of 100 padded certificates took seconds, for each signer."""

    class Counting(Digests):
        asked = 0

        def of(self, name: str, encoded: bytes) -> bytes:
            self.asked += 1
            return super().of(name, encoded)

    certificates = [*levels.authorities(pki.qualified), *levels.authorities(pki.seal), pki.signer.der]
    crls = pki.qualified.crls()
    file = File.of(sign(pki.signer, CONTENT, at=SIGNED_AT))
    file = file.plus(levels.CERTIFICATE_REFERENCES, levels.certificate_references([pki.signer.der] * 200))
    file = file.plus(levels.REVOCATION_REFERENCES, levels.revocation_references(crls * 100))
    file = file.plus(levels.CERTIFICATE_VALUES, levels.sequence(*certificates))
    file = file.plus(levels.REVOCATION_VALUES, levels.revocation_values(crls))
    facts = read_facts(file.encode(), None)
    digests = Counting()
    check_references(facts.signers[0].unsigned, facts.embedded, digests)
    values = facts.signers[0].unsigned.values + facts.embedded
    assert digests.asked <= len(certificates) + len(facts.embedded.certificates) + len(values.revocation_lists)


class Authority:
    """``openssl ts`` on the key of a test authority; its clock is the machine's."""

    def __init__(self, pki: Pki, directory: Path) -> None:
        self.directory = directory
        key = pki.tsa.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (directory / "tsa.key").write_bytes(key)
        (directory / "tsa.pem").write_bytes(pki.tsa.pem)
        (directory / "chain.pem").write_bytes(b"".join(item.public_bytes(Encoding.PEM) for item in pki.tsa.issuers))
        (directory / "serial").write_text("01\n")
        (directory / "ts.conf").write_text(
            "[tsa]\ndefault_tsa=one\n[one]\nserial=serial\nsigner_cert=tsa.pem\ncerts=chain.pem\nsigner_key=tsa.key\n"
            "signer_digest=sha256\ndefault_policy=1.2.3.4\ndigests=sha256,sha512\nordering=yes\naccuracy=secs:1\n"
            "ess_cert_id_chain=no\ness_cert_id_alg=sha256\n"
        )

    def stamp(self, data: bytes, digest: str = "sha256") -> bytes:
        hashed = hashlib.new(digest, data).hexdigest()
        self._run("-query", "-digest", hashed, f"-{digest}", "-cert", "-out", "query")
        self._run("-reply", "-config", "ts.conf", "-queryfile", "query", "-token_out", "-out", "token")
        return (self.directory / "token").read_bytes()

    def _run(self, *arguments: str) -> None:
        subprocess.run(["openssl", "ts", *arguments], cwd=self.directory, check=True, capture_output=True)


class TestTimestampsByOpenssl:
    @pytest.fixture
    def now(self) -> datetime:
        return SystemClock().now().replace(microsecond=0)

    @pytest.fixture
    def here(self, now: datetime) -> Pki:
        return build_pki(now - timedelta(hours=1))

    @pytest.fixture
    def authority(self, here: Pki, tmp_path: Path) -> Authority:
        return Authority(here, tmp_path)

    def judged(self, file: File, here: Pki) -> SignatureReport:
        store = make_store({name: (load_certificate(tree.root.der),) for name, tree in here.hierarchies().items()})
        now = SystemClock().now()
        evidence = Evidence(store, load_lists(here.crls(now)))
        [signature] = verify(file.encode(), file.detached, VerificationRequest(), evidence, now).signatures
        return signature

    @pytest.mark.parametrize("digest", ["sha256", "sha512"])
    @pytest.mark.parametrize("attached", [True, False], ids=["attached", "detached"])
    def test_all_the_way_up(self, here: Pki, now: datetime, authority: Authority, digest: str, attached: bool) -> None:
        crls = here.qualified.crls(now)
        file = File.of(sign(here.signer, CONTENT, attached=attached, at=now), None if attached else CONTENT)
        file = file.plus(levels.SIGNATURE_STAMP, authority.stamp(file.signature, digest))
        file = levels.with_references(file, here.qualified, crls)
        file = file.plus(levels.C_STAMP, authority.stamp(file.under_c_stamp(), digest))
        file = levels.with_values(file, here.qualified, crls)
        second = file.plus(levels.ARCHIVE_V2, authority.stamp(file.under_archive_v2(), digest))
        signature = self.judged(second, here)
        assert (signature.conclusion, signature.level_intact) == (Conclusion.PASSED, "CAdES-A")
        assert [item.conclusion for item in signature.timestamps] == [Conclusion.PASSED] * 3
        index = levels.hash_index(file)
        token = authority.stamp(file.under_archive_v3(CONTENT, index))
        third = file.plus(levels.ARCHIVE_V3, levels.add_unsigned(token, levels.INDEX_V3, index))
        assert self.judged(third, here).level_intact == "CAdES-A"
