"""Verification through signer's worker processes, as letters meet it, beside the same in one process and other software.

``per core`` is one over the processor time of one verification, that of the worker and of whoever asks it together;
p50 and p95 are what a single caller waits. The revocation list of the signer's authority has 50,000 entries and is at
hand, as after the first letter. OpenSSL checks the same file with the same lists, as a process with its start; pyHanko
does in this process, with the lists parsed once.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import resource
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from asn1crypto import cms, crl, pem
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.asymmetric import ec
from pyhanko.sign.validation.generic_cms import async_validate_detached_cms
from pyhanko_certvalidator import ValidationContext

from services.signer.certificates import load_certificate
from services.signer.evidence import Evidence, load_lists
from services.signer.pipeline import verify
from services.signer.trust import make_store
from services.signer.workers.pool import WorkerLimits, WorkerPool
from services.signer.workers.worker import Job
from shared.contracts.signatures import Profile, VerificationRequest
from shared.domain.verdict import Conclusion
from tests.benchmarks.figure import Figure
from tests.support.pki import NES_USAGE, NOW, Holder, Pki, build_pki, ec_key, rsa_key
from tests.unit.signer import levels
from tests.unit.signer.levels import MINUTE, SIGNED_AT, File
from tests.unit.signer.pdf_signing import Pen, document
from tests.unit.signer.signing import sign
from tests.unit.signer.test_ocsp import NO_CHECK, OCSP_SIGNING, respond, responder
from tests.unit.signer.test_smime import mail
from tests.unit.signer.test_xades import sign_xml

MEGABYTE = 1024 * 1024
REVOKED = 50_000
_ROUNDS, _FEW = 300, 10
_SECONDS = 120.0
_CONTENT = os.urandom(50_000)


@dataclass(frozen=True)
class _Case:
    what: str
    file: bytes
    content: bytes | None = None
    others: bool = False
    """Whether OpenSSL and pyHanko are asked as well."""


@dataclass(frozen=True)
class _Measured:
    cpu: float
    """Seconds of worker and caller."""
    p50: float
    p95: float


async def run() -> list[Figure]:
    """One line for each kind of file and each reference, and the memory that large content takes."""
    return await asyncio.to_thread(_figures)


def _figures() -> list[Figure]:
    pki = build_pki()
    lists = [*pki.crls(), pki.qualified.issuing.crl(extra_entries=REVOKED)]
    # The short one of the same authority would be taken as well.
    del lists[1]
    trust = make_store({name: (load_certificate(tree.root.der),) for name, tree in pki.hierarchies().items()})
    evidence = Evidence(trust, load_lists(lists))
    found: list[Figure] = []
    with _pool() as pool:
        for case in _cases(pki):
            found += _lines(case, pool, evidence, pki, lists)
    found.append(_together(_cases(pki)[0], evidence))
    found += _large(pki, evidence)
    return found


def _cases(pki: Pki) -> list[_Case]:
    def holder(key: object) -> Holder:
        return pki.qualified.issuing.issue("Biri", key=key, key_usage=NES_USAGE, qualified=True)  # type: ignore[arg-type]

    rsa, p384 = holder(rsa_key()), holder(ec_key(ec.SECP384R1()))
    part = b"Content-Type: application/octet-stream\r\n\r\n" + _CONTENT.hex().encode()
    long_term = _long_term(replace(pki, signer=rsa))
    archived = levels.with_archive_v3(long_term, _CONTENT, pki.tsa, SIGNED_AT + MINUTE)
    return [
        _Case("CAdES-B, RSA-2048", sign(rsa, _CONTENT, attached=False), _CONTENT, others=True),
        _Case("CAdES-B, P-384", sign(p384, _CONTENT, attached=False), _CONTENT, others=True),
        _Case("CAdES-X-L with list and OCSP response, RSA-2048", long_term.encode(), _CONTENT),
        _Case("CAdES-A (archive time-stamp v3), RSA-2048", archived.encode(), _CONTENT),
        _Case("S/MIME of 100 KB, RSA-2048", mail(part, sign(rsa, part, attached=False))),
        _Case("XAdES-B, P-256", sign_xml(pki.signer)),
        _Case("PAdES-B, P-256", Pen(pki).sign(document(size=50_000))),
    ]


def _long_term(pki: Pki) -> File:
    """X-L with a list and an OCSP response inside, by reference and by value."""
    crls = pki.qualified.crls()
    response = respond(pki, responder(pki, OCSP_SIGNING, NO_CHECK))
    stamped = levels.with_signature_stamp(
        File.of(sign(pki.signer, _CONTENT, attached=False, at=SIGNED_AT), _CONTENT), pki.tsa
    )
    references = levels.certificate_references(levels.authorities(pki.qualified))
    named = stamped.plus(levels.CERTIFICATE_REFERENCES, references).plus(
        levels.REVOCATION_REFERENCES, levels.revocation_references(crls, [response])
    )
    filled = named.plus(levels.CERTIFICATE_VALUES, levels.sequence(*levels.authorities(pki.qualified)))
    return filled.plus(levels.REVOCATION_VALUES, levels.revocation_values(crls, [response]))


def _lines(case: _Case, pool: WorkerPool, evidence: Evidence, pki: Pki, lists: list[bytes]) -> list[Figure]:
    request = VerificationRequest(profile=Profile.QUALIFIED_SIGNATURE)
    job = Job(NOW, 300, request, case.file, case.content)

    def here() -> None:
        report = verify(case.file, case.content, request, evidence, NOW)
        if report.conclusion is not Conclusion.PASSED:
            raise SystemExit(f"{case.what}: {report.conclusion} {report.sub_indication}")

    inside = _processor_seconds(here, _ROUNDS)
    apart = _apart(lambda: pool.ask(job, evidence, _SECONDS), pool)
    own = f"{1 / apart.cpu:.0f}/s, p50 {apart.p50 * 1000:.1f}, p95 {apart.p95 * 1000:.1f} ms"
    found = [Figure(case.what, own, f"{1 / inside:.0f}/s in one process", f"{inside / apart.cpu:.2f}")]
    if case.others and case.content is not None:
        for name, seconds in (
            ("openssl cms -verify", _openssl(case.file, case.content, pki, lists)),
            ("pyHanko", _pyhanko(case.file, case.content, pki, lists)),
        ):
            found.append(Figure("the same", own, f"{1 / seconds:.1f}/s {name}", f"{seconds / apart.cpu:.1f}"))
    return found


def _together(case: _Case, evidence: Evidence) -> Figure:
    """As many workers and callers as there are cores, by the clock on the wall."""
    cores = os.cpu_count() or 1
    job = Job(NOW, 300, VerificationRequest(), case.file, case.content)
    with _pool(cores) as pool:

        def several() -> None:
            for _ in range(_ROUNDS):
                pool.ask(job, evidence, _SECONDS)

        pool.look()
        for _ in range(2):
            threads = [threading.Thread(target=several) for _ in range(cores)]
            started = time.perf_counter()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            taken = time.perf_counter() - started
    return Figure(f"{case.what}, {cores} workers, {cores} callers", f"{cores * _ROUNDS / taken:.0f}/s in all")


def _large(pki: Pki, evidence: Evidence) -> list[Figure]:
    """Memory of a worker for content of 20 MB in a file, above what it had after small files, and the time."""
    small = Job(NOW, 300, VerificationRequest(), sign(pki.signer, b"x", attached=False), b"x")
    with tempfile.TemporaryFile() as file, _pool() as pool:
        content = os.urandom(20 * MEGABYTE)
        file.write(content)
        file.flush()
        job = replace(small, file=sign(pki.signer, content, attached=False), content=file)
        for _ in range(20):
            pool.ask(small, evidence, _SECONDS)
        before = _peak(pool)
        taken = _apart(lambda: pool.ask(job, evidence, _SECONDS), pool, rounds=20)
        more = _peak(pool) - before
    hashing = _processor_seconds(lambda: hashlib.sha256(content), 20)
    return [
        Figure("detached content of 20 MB: memory above idle", f"{more / MEGABYTE:.1f} MiB", "20 MiB, the content"),
        Figure(
            "the same",
            f"{taken.cpu * 1000:.0f} ms CPU",
            f"{hashing * 1000:.0f} ms, SHA-256 of it",
            f"{taken.cpu / hashing:.2f}",
        ),
    ]


@contextmanager
def _pool(workers: int = 1) -> Iterator[WorkerPool]:
    pool = WorkerPool(WorkerLimits(workers=workers, uses=10**9))
    try:
        yield pool
    finally:
        pool.close()


def _apart(ask: Callable[[], object], pool: WorkerPool, rounds: int = _ROUNDS) -> _Measured:
    for _ in range(3):
        ask()
    waits = []
    before = _worker_seconds(pool) + time.process_time()
    for _ in range(rounds):
        started = time.perf_counter()
        ask()
        waits.append(time.perf_counter() - started)
    cpu = (_worker_seconds(pool) + time.process_time() - before) / rounds
    return _Measured(cpu, statistics.median(waits), statistics.quantiles(waits, n=20)[-1])


def _worker_seconds(pool: WorkerPool) -> float:
    fields = Path(f"/proc/{pool.pids()[0]}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak(pool: WorkerPool) -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pool.pids()[0]}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def _processor_seconds(work: Callable[[], object], rounds: int) -> float:
    work()
    started = time.process_time()
    for _ in range(rounds):
        work()
    return (time.process_time() - started) / rounds


def _pyhanko(file: bytes, content: bytes, pki: Pki, lists: list[bytes]) -> float:
    signed = cms.ContentInfo.load(file)["content"]
    root = asn1_x509.Certificate.load(pki.qualified.root.der)
    parsed = [crl.CertificateList.load(item) for item in lists]

    def once() -> None:
        context = ValidationContext(
            trust_roots=[root], crls=parsed, moment=NOW, allow_fetching=False, revocation_mode="require"
        )
        status = asyncio.run(async_validate_detached_cms(content, signed, signer_validation_context=context))
        if not status.trusted:
            raise SystemExit(f"pyHanko: {status.summary()}")

    return _processor_seconds(once, _FEW)


def _openssl(file: bytes, content: bytes, pki: Pki, lists: list[bytes]) -> float:
    with tempfile.TemporaryDirectory(prefix="kepgw-bench-") as name:
        directory = Path(name)
        (directory / "file.p7s").write_bytes(file)
        (directory / "content").write_bytes(content)
        armored = b"".join(pem.armor("X509 CRL", item) for item in lists)
        (directory / "known.pem").write_bytes(pki.qualified.root.pem + armored)
        verifying = [
            "openssl", "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", "file.p7s", "-content", "content",
            "-out", os.devnull, "-CAfile", "known.pem", "-crl_check_all", "-purpose", "any",
            "-attime", str(int(NOW.timestamp())),
        ]  # fmt: skip

        def used() -> float:
            usage = resource.getrusage(resource.RUSAGE_CHILDREN)
            return usage.ru_utime + usage.ru_stime

        before = used()
        for _ in range(_FEW):
            subprocess.run(verifying, check=True, capture_output=True, cwd=directory)
        return (used() - before) / _FEW
