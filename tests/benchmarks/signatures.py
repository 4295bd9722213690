"""CPU time of one verification in signer, beside ``openssl cms -verify``.

Everything runs in this process on one core, with the revocation lists at hand as they are after the first
letter. OpenSSL checks neither revocation nor profile, and its start is taken off.
"""

from __future__ import annotations

import base64
import hashlib
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from lxml import etree
from signxml import DigestAlgorithm, SignatureMethod, methods
from signxml.xades import XAdESDataObjectFormat, XAdESSigner

from services.signer.certificates import load_certificate
from services.signer.checks.revocation import load_list
from services.signer.formats.cades_writing import make_signature
from services.signer.keys import SoftwareKey
from services.signer.pipeline import Evidence, verify
from services.signer.trust import make_store
from shared.contracts.signatures import Profile, VerificationRequest
from shared.domain.verdict import Conclusion
from tests.benchmarks.figure import Figure
from tests.support.pki import NES_USAGE, NOW, SEAL_USAGE, Hierarchy, Holder, ec_key, make_hierarchy, rsa_key

ROUNDS = 200
REVOKED = 20_000
_EVIDENCE = (
    b'<r:DeliveryNonDeliveryToRecipient xmlns:r="http://uri.etsi.org/02640/v2#" version="2.1.1">'
    b"<r:EventCode>http://uri.etsi.org/02640/Event#Delivery</r:EventCode></r:DeliveryNonDeliveryToRecipient>"
)


@dataclass(frozen=True)
class _Case:
    what: str
    tree: Hierarchy
    file: bytes
    content: bytes | None
    profile: Profile
    cms: bytes | None
    """What OpenSSL is given; None where it has no such command."""


async def run() -> list[Figure]:
    """One line for each kind of signature."""
    return list(map(_verification, _cases()))


def _cases() -> list[_Case]:
    qualified, seal, kephs = (make_hierarchy(name) for name in ("qualified", "seal", "kephs"))
    manifest = os.urandom(2000)
    part = b"Content-Type: application/octet-stream\r\n\r\n" + base64.encodebytes(os.urandom(100_000)).replace(
        b"\n", b"\r\n"
    )
    cases = []
    for what, tree, key, profile in (
        ("RSA-2048", qualified, rsa_key(), Profile.QUALIFIED_SIGNATURE),
        ("P-256", qualified, ec_key(), Profile.QUALIFIED_SIGNATURE),
        ("P-384", seal, ec_key(ec.SECP384R1()), Profile.INSTITUTION_SEAL),
    ):
        usage = NES_USAGE if profile is Profile.QUALIFIED_SIGNATURE else SEAL_USAGE
        holder = tree.issuing.issue("Biri", key=key, key_usage=usage, qualified=True)
        signed = _signed(holder, manifest, attached=True)
        cases.append(_Case(f"CAdES-B of a package, {what}", tree, signed, manifest, profile, signed))
    holder = kephs.issuing.issue("KEPHS", key_usage=SEAL_USAGE)
    detached = _signed(holder, part, attached=False)
    mail = (
        b'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; boundary="b"\r\n\r\n--b\r\n' + part
        + b"\r\n--b\r\nContent-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(detached) + b"\r\n--b--\r\n"
    )  # fmt: skip
    profile = Profile.KEPHS_TRANSACTION
    cases.append(_Case("S/MIME of 135 KB, P-256", kephs, mail, None, profile, _signed(holder, part, attached=True)))
    cases.append(_Case("XAdES-B evidence, P-256", kephs, _evidence(holder), None, profile, None))
    return cases


def _signed(holder: Holder, content: bytes, *, attached: bool) -> bytes:
    port = SoftwareKey(holder.key)
    digest = hashlib.new(port.digest, content).digest()
    return make_signature(port, holder.chain_der, digest, content if attached else None, NOW).encoded()


def _evidence(holder: Holder) -> bytes:
    signer = XAdESSigner(
        method=methods.enveloped,
        signature_algorithm=SignatureMethod.ECDSA_SHA256,
        digest_algorithm=DigestAlgorithm.SHA256,
        data_object_format=XAdESDataObjectFormat("evidence", "text/xml"),
    )
    signed = signer.sign(etree.fromstring(_EVIDENCE), key=holder.key, cert=[holder.certificate, *holder.issuers])
    return etree.tostring(signed)


def _verification(case: _Case) -> Figure:
    purpose = {Profile.QUALIFIED_SIGNATURE: "qualified", Profile.INSTITUTION_SEAL: "seal"}.get(case.profile, "kephs")
    lists = (load_list(case.tree.root.crl()), load_list(case.tree.issuing.crl(extra_entries=REVOKED)))
    evidence = Evidence(make_store({purpose: (load_certificate(case.tree.root.der),)}), lists)
    request = VerificationRequest(profile=case.profile)

    def once() -> None:
        report = verify(case.file, case.content, request, evidence, NOW)
        if report.conclusion is not Conclusion.PASSED:
            raise SystemExit(f"{case.what}: {report.conclusion} {report.sub_indication}")

    own = _seconds(once, ROUNDS)
    if case.cms is None:
        return Figure(case.what, f"{own * 1000:.2f} ms CPU")
    other = _openssl(case.cms, case.tree.root.pem)
    return Figure(
        case.what, f"{own * 1000:.2f} ms CPU", f"{other * 1000:.2f} ms openssl cms -verify", f"{own / other:.2f}"
    )


def _seconds(work: Callable[[], object], rounds: int) -> float:
    work()
    started = time.process_time()
    for _ in range(rounds):
        work()
    return (time.process_time() - started) / rounds


def _openssl(cms: bytes, root: bytes) -> float:
    with tempfile.TemporaryDirectory(prefix="kepgw-bench-") as directory:
        file, anchor = Path(directory) / "file.p7s", Path(directory) / "root.pem"
        file.write_bytes(cms)
        anchor.write_bytes(root)
        moment = str(int(NOW.timestamp()))
        verifying = ["cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", str(file), "-out", os.devnull,
                     "-CAfile", str(anchor), "-purpose", "any", "-attime", moment]  # fmt: skip
        return max(_children_seconds(verifying) - _children_seconds(["version"]), 1e-6)


def _children_seconds(arguments: list[str], rounds: int = 40) -> float:
    def used() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before = used()
    for _ in range(rounds):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)
    return (used() - before) / rounds
