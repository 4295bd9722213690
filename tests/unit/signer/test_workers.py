"""Judging in worker processes: the same verdicts as in this process, evidence sent once, workers replaced in time."""

from __future__ import annotations

import dataclasses
import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from services.signer.certificates import load_certificate
from services.signer.checks.ocsp import load_response
from services.signer.checks.revocation import WantedList, load_list
from services.signer.checks.wanted import Wanted, WantedIssuer, WantedResponse
from services.signer.evidence import Evidence, load_lists
from services.signer.pipeline import verify
from services.signer.trust import TrustStore, make_store
from services.signer.workers.pool import WorkerLimits, WorkerPool
from services.signer.workers.snapshots import Receiver, Sender
from services.signer.workers.vocabulary import Reason
from services.signer.workers.wanted import told, understood
from services.signer.workers.worker import Job
from shared.contracts.signatures import CertificatePurpose, Profile, VerificationRequest
from shared.domain.verdict import Conclusion
from tests.support.pki import NOW, Pki, build_pki
from tests.unit.signer import levels
from tests.unit.signer.levels import MINUTE, SIGNED_AT, File
from tests.unit.signer.pdf_signing import Pen, document
from tests.unit.signer.signing import sign
from tests.unit.signer.test_ocsp import respond, responder
from tests.unit.signer.test_smime import PART, mail
from tests.unit.signer.test_xades import sign_xml

CONTENT = b"a letter" * 100
MEGABYTE = 1024 * 1024
SECONDS = 60.0


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    workers = WorkerPool(WorkerLimits(workers=2))
    yield workers
    workers.close()


@pytest.fixture(scope="module")
def evidence(pki: Pki, trust: TrustStore) -> Evidence:
    return Evidence(trust, load_lists(pki.crls()))


def detached_archive(pki: Pki) -> tuple[bytes, bytes]:
    file = levels.long_term(pki, CONTENT, attached=False)
    return levels.with_archive_v2(file, pki.tsa, SIGNED_AT + MINUTE).encode(), CONTENT


def whole_archive(pki: Pki) -> tuple[bytes, None]:
    file: File = levels.long_term(pki, CONTENT)
    return levels.with_archive_v3(file, CONTENT, pki.tsa, SIGNED_AT + MINUTE).encode(), None


FILES: dict[str, Callable[[Pki], tuple[bytes, bytes | None]]] = {
    "attached": lambda pki: (sign(pki.signer, CONTENT), None),
    "detached": lambda pki: (sign(pki.signer, CONTENT, attached=False), CONTENT),
    "wrong content": lambda pki: (sign(pki.signer, CONTENT, attached=False), b"other"),
    "empty content": lambda pki: (sign(pki.signer, b"", attached=False), b""),
    "S/MIME": lambda pki: (mail(PART, sign(pki.signer, PART, attached=False)), None),
    "XAdES": lambda pki: (sign_xml(pki.signer), None),
    "PAdES": lambda pki: (Pen(pki).sign(document()), None),
    "A v2, detached": detached_archive,
    "A v3": whole_archive,
    "other issuer": lambda pki: (sign(pki.sealer, CONTENT), None),
    "nothing": lambda _pki: (b"\x30\x03\x02\x01", None),
}


@pytest.mark.parametrize("profile", [Profile.QUALIFIED_SIGNATURE, Profile.P4, Profile.INTEGRITY_ONLY])
@pytest.mark.parametrize("in_files", [False, True], ids=["bytes", "files"])
def test_the_verdict_is_that_of_the_pipeline(
    pool: WorkerPool, evidence: Evidence, pki: Pki, tmp_path: Path, profile: Profile, in_files: bool
) -> None:
    request = VerificationRequest(profile=profile)
    conclusions = set()
    for make in FILES.values():
        data, content = make(pki)
        expected = verify(data, content, request, evidence, NOW)
        if not in_files:
            answer = pool.ask(Job(NOW, 300, request, data, content), evidence, SECONDS)
        else:
            (tmp_path / "file").write_bytes(data)
            (tmp_path / "content").write_bytes(content or b"")
            with (tmp_path / "file").open("rb") as file, (tmp_path / "content").open("rb") as second:
                # Where a file stands says nothing.
                file.seek(0, os.SEEK_END)
                second.seek(0, os.SEEK_END)
                job = Job(NOW, 300, request, file, None if content is None else second)
                answer = pool.ask(job, evidence, SECONDS)
        assert answer.report == expected
        conclusions.add(expected.conclusion)
    assert len(conclusions) > 1, "files that all come out alike would show little"


def test_certificates_are_judged_in_their_order(pool: WorkerPool, evidence: Evidence, pki: Pki) -> None:
    job = Job(NOW, 300, purpose=CertificatePurpose.ENCRYPTION, certificates=[pki.sealer.der, b"none", pki.signer.der])
    verdicts = pool.ask(job, evidence, SECONDS).verdicts
    assert verdicts is not None
    assert [item.certificate_sha256[:4] for item in verdicts] == [
        load_certificate(pki.sealer.der).sha256[:4], "140b", load_certificate(pki.signer.der).sha256[:4],
    ]  # fmt: skip


def full(pki: Pki) -> Evidence:
    """Evidence of which every field says something."""
    root = load_certificate(pki.qualified.root.der)
    store = make_store(
        {"qualified": (root,), "seal": (root,)}, (load_certificate(pki.seal.issuing.der),), {root.sha256: NOW}
    )
    response = load_response(respond(pki, responder(pki)))
    lists = load_lists(pki.crls())
    return Evidence(
        store, lists, (response,), (load_certificate(pki.qualified.issuing.der),), frozenset({lists[0].sha256})
    )


def test_nothing_of_the_evidence_is_lost_on_its_way(pki: Pki) -> None:
    """A field that is added to evidence or to the trust store must be sent as well."""
    evidence = full(pki)
    for part in (evidence, evidence.trust):
        for field in dataclasses.fields(part):
            assert getattr(part, field.name), f"{field.name} says nothing here, and may be lost unnoticed"
    snapshot, parts = Sender().news(evidence)
    assert snapshot is not None
    arrived = Receiver().evidence(snapshot, iter(parts))
    # Parsed responses are equal to themselves only.
    assert [item.encoded for item in arrived.responses] == [item.encoded for item in evidence.responses]
    assert dataclasses.replace(arrived, responses=()) == dataclasses.replace(evidence, responses=())


def test_each_piece_is_sent_once_and_forgotten_with_the_evidence(pki: Pki, trust: TrustStore) -> None:
    sender, receiver = Sender(), Receiver()
    lists = load_lists(pki.crls())
    first = Evidence(trust, lists)
    snapshot, parts = sender.news(first)
    assert snapshot is not None
    kept = receiver.evidence(snapshot, iter(parts))
    assert sender.news(Evidence(trust, lists)) == (None, [])
    newer = load_list(pki.qualified.issuing.crl(NOW + timedelta(hours=1)))
    snapshot, parts = sender.news(Evidence(trust, (*lists[1:], newer)))
    assert snapshot is not None
    assert parts == [newer.encoded]
    after = receiver.evidence(snapshot, iter(parts))
    assert after.revocation_lists[0] is kept.revocation_lists[1], "parsed and indexed once"
    snapshot, parts = sender.news(first)
    assert snapshot is not None
    assert parts == [lists[0].encoded], "what the evidence no longer had was forgotten"
    assert receiver.evidence(snapshot, iter(parts)) == first


def test_other_anchors_count_at_once(pool: WorkerPool, evidence: Evidence, pki: Pki) -> None:
    job = Job(NOW, 300, VerificationRequest(), sign(pki.signer, CONTENT))
    none = make_store({})
    for trust, conclusion in ((evidence.trust, Conclusion.PASSED), (none, Conclusion.INDETERMINATE)) * 2:
        report = pool.ask(job, dataclasses.replace(evidence, trust=trust), SECONDS).report
        assert report is not None
        assert (report.conclusion, report.trust_store_sha256) == (conclusion, trust.sha256)


def test_what_is_wanted_comes_back_as_it_was(pki: Pki) -> None:
    signer, issuing, root = map(load_certificate, (pki.signer.der, pki.qualified.issuing.der, pki.qualified.root.der))
    wanted: tuple[Wanted, ...] = (
        WantedList(signer, issuing, (root,)), WantedList(signer, issuing, fresher=True), WantedResponse(signer, issuing), WantedIssuer(issuing),
    )  # fmt: skip
    assert understood(told(wanted)) == wanted


def test_a_missing_list_is_wanted(pool: WorkerPool) -> None:
    world = build_pki(crl_base="http://127.0.0.1")
    trust = make_store({"qualified": (load_certificate(world.qualified.root.der),)})
    job = Job(NOW, 300, VerificationRequest(), sign(world.signer, CONTENT))
    answer = pool.ask(job, Evidence(trust, load_lists([world.qualified.root.crl()])), SECONDS)
    assert answer.report is not None
    assert answer.report.conclusion is Conclusion.INDETERMINATE
    signer, issuing = load_certificate(world.signer.der), load_certificate(world.qualified.issuing.der)
    first = understood(answer.wanted)[0]
    assert isinstance(first, WantedList)
    assert (first.certificate, first.issuer) == (signer, issuing)


def test_large_content_stays_in_its_file(pki: Pki, evidence: Evidence, tmp_path: Path) -> None:
    content = tmp_path / "content"
    content.write_bytes(os.urandom(MEGABYTE) * 20)
    data = sign(pki.signer, content.read_bytes(), attached=False)
    workers = WorkerPool(WorkerLimits(workers=1))
    try:
        small = Job(NOW, 300, VerificationRequest(), sign(pki.signer, b"x", attached=False), b"x")
        for _ in range(5):
            workers.ask(small, evidence, SECONDS)
        before = peak(workers.pids()[0])
        with content.open("rb") as file:
            report = workers.ask(dataclasses.replace(small, file=data, content=file), evidence, SECONDS).report
        assert report is not None
        assert report.conclusion is Conclusion.PASSED
        assert peak(workers.pids()[0]) - before < 4 * MEGABYTE
    finally:
        workers.close()


def peak(pid: int) -> int:
    """Most memory it ever had, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def test_a_busy_worker_keeps_nobody_waiting_but_its_caller(pki: Pki, evidence: Evidence) -> None:
    """Two workers: one hashes an endless file, the other goes on."""
    workers = WorkerPool(WorkerLimits(workers=2))
    quick = Job(NOW, 300, VerificationRequest(), sign(pki.signer, CONTENT))
    with tempfile.TemporaryFile() as endless:
        os.truncate(endless.fileno(), 1 << 40)
        slow = dataclasses.replace(quick, file=sign(pki.signer, CONTENT, attached=False), content=endless)
        failures: list[Exception] = []

        def ask() -> None:
            try:
                workers.ask(slow, evidence, SECONDS)
            except Exception as error:  # noqa: BLE001 - looked at below
                failures.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            while not workers.pids():
                time.sleep(0.01)
            for _ in range(10):
                report = workers.ask(quick, evidence, SECONDS).report
                assert report is not None
                assert report.conclusion is Conclusion.PASSED
            assert thread.is_alive()
            assert len(workers.pids()) == 2
        finally:
            workers.close()
            thread.join(SECONDS)
    assert len(failures) == 1, "closing the pool ends those at work"


def test_a_worker_is_replaced_after_its_share_and_no_verification_is_lost(pki: Pki, evidence: Evidence) -> None:
    ends: list[Reason] = []
    workers = WorkerPool(WorkerLimits(workers=1, uses=3), on_end=ends.append)
    job = Job(NOW, 300, VerificationRequest(), sign(pki.signer, CONTENT))
    try:
        seen = []
        for _ in range(7):
            workers.ask(job, evidence, SECONDS)
            seen += [pid for pid in workers.pids() if pid not in seen]
        assert ends == [Reason.WORN] * 2
        assert len(seen) >= 2
    finally:
        workers.close()
    assert not any(Path(f"/proc/{pid}").exists() for pid in seen)
