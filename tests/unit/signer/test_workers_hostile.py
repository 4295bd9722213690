"""What a hostile file can do to a worker: it is killed and replaced, the verdict stays open, and nothing outlives signer."""

from __future__ import annotations

import dataclasses
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from services.signer.evidence import Evidence, load_lists
from services.signer.lists import RevocationLists
from services.signer.metrics import SignerMetrics
from services.signer.sources import EvidenceSources
from services.signer.trust import TrustDirectory, TrustStore
from services.signer.verifier import Verifier
from services.signer.workers.landlock import version
from services.signer.workers.pool import WorkerLimits, WorkerPool
from services.signer.workers.vocabulary import Reason, WorkerFailed, WorkersUnavailable
from services.signer.workers.worker import Job, Worker
from shared.clock import FixedClock
from shared.contracts.signatures import CertificatePurpose, VerificationRequest
from shared.domain.verdict import Conclusion, SubIndication
from shared.errors import DomainError, ErrorCode
from shared.telemetry.metrics import new_registry
from tests.support.pki import NOW, Pki
from tests.unit.signer.rogue_worker import MODES
from tests.unit.signer.signing import sign

CONTENT = b"a letter"
MEGABYTE = 1024 * 1024
SECONDS = 60.0
ROOT = Path(__file__).parents[3]


def rogue(mode: str) -> list[str]:
    return [sys.executable, "-m", "tests.unit.signer.rogue_worker", mode]


@pytest.fixture(scope="module")
def evidence(pki: Pki, trust: TrustStore) -> Evidence:
    return Evidence(trust, load_lists(pki.crls()))


@pytest.fixture(scope="module")
def ordinary(pki: Pki) -> Job:
    return Job(NOW, 300, VerificationRequest(), sign(pki.signer, CONTENT, attached=False), CONTENT)


@pytest.fixture
def endless() -> Iterator[BinaryIO]:
    """Content that takes a worker minutes to hash, and no room on the disk."""
    with tempfile.TemporaryFile() as file:
        os.truncate(file.fileno(), 1 << 40)
        yield file


@dataclasses.dataclass
class Watched:
    """A pool of one worker, and why workers ended."""

    pool: WorkerPool
    ends: list[Reason]

    def good(self, job: Job, evidence: Evidence) -> None:
        """The next verification is as if nothing had happened."""
        report = self.pool.ask(job, evidence, SECONDS).report
        assert report is not None
        assert report.conclusion is Conclusion.PASSED

    def failure(self, job: Job, evidence: Evidence, seconds: float = SECONDS) -> Reason:
        with pytest.raises(WorkerFailed) as caught:
            self.pool.ask(job, evidence, seconds)
        assert self.ends[-1] is caught.value.reason
        return caught.value.reason


@contextmanager
def watched(limits: WorkerLimits, program: list[str] | None = None) -> Iterator[Watched]:
    ends: list[Reason] = []
    pool = WorkerPool(dataclasses.replace(limits, workers=1), on_end=ends.append, program=program)
    try:
        yield Watched(pool, ends)
    finally:
        pool.close()


def test_processor_time_is_bounded_for_each_verification(ordinary: Job, evidence: Evidence, endless: BinaryIO) -> None:
    with watched(WorkerLimits(cpu_seconds=0.3)) as worker:
        assert worker.failure(dataclasses.replace(ordinary, content=endless), evidence) is Reason.CPU
        worker.good(ordinary, evidence)
        # A life may take more than one verification may.
        pid = worker.pool.pids()[0]
        while used(pid) < 0.3 * 2:
            worker.good(ordinary, evidence)
        assert worker.pool.pids() == [pid]
    assert worker.ends == [Reason.CPU]


def used(pid: int) -> float:
    """Seconds of processor time since it was started; its start is a good part of that."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_time_is_bounded(ordinary: Job, evidence: Evidence, endless: BinaryIO) -> None:
    with watched(WorkerLimits()) as worker:
        worker.good(ordinary, evidence)
        pid = worker.pool.pids()[0]
        assert worker.failure(dataclasses.replace(ordinary, content=endless), evidence, 0.3) is Reason.TIMEOUT
        assert not Path(f"/proc/{pid}").exists()
        worker.good(ordinary, evidence)


def test_memory_is_bounded_and_a_good_file_does_not_fail_for_it(pki: Pki, ordinary: Job, evidence: Evidence) -> None:
    """120 MB attached do not fit into 256 MB, and that is nothing against the signature."""
    large = sign(pki.signer, b"x" * (60 * MEGABYTE))
    with watched(WorkerLimits(memory_bytes=224 * MEGABYTE)) as worker:
        assert worker.failure(dataclasses.replace(ordinary, file=large, content=None), evidence) is Reason.MEMORY
        worker.good(ordinary, evidence)
    with watched(WorkerLimits()) as worker:
        worker.good(dataclasses.replace(ordinary, file=large, content=None), evidence)


def test_killed_in_the_middle(ordinary: Job, evidence: Evidence, endless: BinaryIO) -> None:
    with watched(WorkerLimits()) as worker:
        worker.good(ordinary, evidence)
        pid = worker.pool.pids()[0]
        before = used(pid)

        def kill() -> None:
            while used(pid) < before + 0.05:
                time.sleep(0.01)
            os.kill(pid, signal.SIGKILL)

        killing = threading.Thread(target=kill)
        killing.start()
        assert worker.failure(dataclasses.replace(ordinary, content=endless), evidence) is Reason.DIED
        killing.join()
        worker.good(ordinary, evidence)


def test_killed_while_idle_costs_no_verification(ordinary: Job, evidence: Evidence) -> None:
    with watched(WorkerLimits()) as worker:
        worker.good(ordinary, evidence)
        pid = worker.pool.pids()[0]
        os.kill(pid, signal.SIGKILL)
        while worker.pool.alive and worker.pool.pids() == [pid]:
            time.sleep(0.01)
        worker.good(ordinary, evidence)
        assert worker.ends == [Reason.DIED]


@pytest.mark.parametrize("mode", MODES)
def test_what_is_no_answer_ends_the_worker(ordinary: Job, evidence: Evidence, mode: str) -> None:
    with watched(WorkerLimits(), rogue(mode)) as worker:
        worker.pool.look()
        pid = worker.pool.pids()[0]
        if mode == "wanted":
            # Only who asks for what is wanted finds out that there is no such certificate.
            assert worker.pool.ask(ordinary, evidence, SECONDS).wanted
            return
        assert worker.failure(ordinary, evidence) is Reason.DIED
        assert not Path(f"/proc/{pid}").exists()


def test_the_rogue_can_be_honest(ordinary: Job, evidence: Evidence) -> None:
    """What the other modes are refused for is what they alter."""
    with watched(WorkerLimits(), rogue("honest")) as worker:
        worker.good(ordinary, evidence)


@pytest.mark.parametrize(("mode", "reason"), [("half", Reason.TIMEOUT), ("silent", Reason.TIMEOUT)])
def test_half_an_answer_is_none(ordinary: Job, evidence: Evidence, mode: str, reason: Reason) -> None:
    with watched(WorkerLimits(), rogue(mode)) as worker:
        assert worker.failure(ordinary, evidence, 0.5) is reason


def test_a_fault_of_ours_is_told_with_its_traceback(evidence: Evidence, ordinary: Job) -> None:
    worker = Worker.start(WorkerLimits().memory_bytes)
    with pytest.raises(WorkerFailed) as caught:
        # The file is a pipe, which cannot be read by position.
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb") as pipe, os.fdopen(writing, "wb"):
            worker.ask(dataclasses.replace(ordinary, file=pipe), evidence, seconds=SECONDS, cpu_seconds=10)
    assert caught.value.reason is Reason.FAULT
    assert "Traceback" in str(caught.value)


def test_a_worker_holds_nothing_of_signer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPGW_SIGNER_SERVICE_TOKENS", "secret")
    worker = Worker.start(512 * MEGABYTE)
    try:
        process = Path(f"/proc/{worker.pid}")
        assert b"KEPGW" not in (process / "environ").read_bytes()
        assert sorted(item.name for item in (process / "fd").iterdir()) == ["0", "1", "2"]
        limits = (process / "limits").read_text()
        for what, bound in (
            ("Max address space", 512 * MEGABYTE),
            ("Max file size", 0),
            ("Max core file size", 0),
            ("Max processes", 0),
            ("Max open files", 32),
        ):
            assert re.search(rf"{what} +{bound} +{bound}\b", limits), what
    finally:
        worker.end()
    assert not process.exists()


def test_workers_end_with_signer(tmp_path: Path) -> None:
    """Killed without a word: the idle ones end at once, the busy one when its processor time is over."""
    program = (
        "import os, sys, threading, time\n"
        "from services.signer.evidence import Evidence\n"
        "from services.signer.trust import make_store\n"
        "from services.signer.workers.pool import WorkerLimits, WorkerPool\n"
        "from services.signer.workers.worker import Job\n"
        "from shared.contracts.signatures import VerificationRequest\n"
        "from tests.support.pki import NOW, build_pki\n"
        "from tests.unit.signer.signing import sign\n"
        "pool = WorkerPool(WorkerLimits(workers=2, cpu_seconds=1))\n"
        "pool.look()\n"
        f"content = open({str(tmp_path / 'content')!r}, 'w+b')\n"
        "os.truncate(content.fileno(), 1 << 40)\n"
        "job = Job(NOW, 300, VerificationRequest(), sign(build_pki().signer, b'x', attached=False), content)\n"
        "threading.Thread(target=pool.ask, args=(job, Evidence(make_store({})), 60), daemon=True).start()\n"
        "time.sleep(0.2)\n"
        "print(*pool.pids(), flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        parent.kill()
    assert len(pids) == 2
    deadline = time.monotonic() + SECONDS
    while any(map(running, pids)):
        assert time.monotonic() < deadline, "a worker outlives signer"
        time.sleep(0.05)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


VerifierWith = Callable[..., tuple[Verifier, SignerMetrics]]


@pytest.fixture
def verifier_with(trust_directory: Path, pki: Pki, tmp_path: Path) -> Iterator[VerifierWith]:
    pools: list[WorkerPool] = []

    def make(
        limits: WorkerLimits, program: list[str] | None = None, seconds: float = SECONDS
    ) -> tuple[Verifier, SignerMetrics]:
        clock = FixedClock(NOW)
        metrics = SignerMetrics(new_registry())
        pool = WorkerPool(limits, on_end=metrics.worker_ended, program=program)
        pools.append(pool)
        lists = RevocationLists(None, clock)
        (tmp_path / "lists").mkdir(exist_ok=True)
        for number, encoded in enumerate(pki.crls()):
            (tmp_path / "lists" / f"{number}.crl").write_bytes(encoded)
        lists.supply(tmp_path / "lists")
        sources = EvidenceSources(TrustDirectory(trust_directory), lists)
        return Verifier(sources, clock, metrics, pool, timeout_seconds=seconds, retry_after_seconds=300), metrics

    yield make
    for pool in pools:
        pool.close()


def ended(metrics: SignerMetrics, reason: Reason) -> float:
    sample = metrics.workers_ended.labels(reason.value)
    return float(sample._value.get())


async def test_what_ends_a_worker_leaves_the_verdict_open(
    verifier_with: VerifierWith, pki: Pki, endless: BinaryIO
) -> None:
    cases: list[tuple[Reason, WorkerLimits, list[str] | None, bytes, BinaryIO | None]] = [
        (Reason.CPU, WorkerLimits(cpu_seconds=0.2), None, sign(pki.signer, CONTENT, attached=False), endless),
        (
            Reason.MEMORY,
            WorkerLimits(memory_bytes=224 * MEGABYTE),
            None,
            sign(pki.signer, b"x" * (60 * MEGABYTE)),
            None,
        ),
        (Reason.DIED, WorkerLimits(), rogue("noise"), sign(pki.signer, CONTENT), None),
    ]
    for reason, limits, program, data, content in cases:
        verifier, metrics = verifier_with(limits, program)
        report = await verifier.verify(VerificationRequest(), data, content)
        assert (report.conclusion, report.sub_indication) == (
            Conclusion.INDETERMINATE, SubIndication.POLICY_PROCESSING_ERROR,
        ), reason  # fmt: skip
        assert ended(metrics, reason) == 1
        verifier.close()


async def test_certificates_whose_worker_ends_stay_open(verifier_with: VerifierWith, pki: Pki) -> None:
    verifier, metrics = verifier_with(WorkerLimits(), rogue("memory"))
    report = await verifier.verify_certificates(CertificatePurpose.ENCRYPTION, [pki.sealer.der])
    assert [item.sub_indication for item in report.verdicts] == [SubIndication.POLICY_PROCESSING_ERROR]
    assert ended(metrics, Reason.FAULT) + ended(metrics, Reason.MEMORY) + ended(metrics, Reason.DIED) == 1
    verifier.close()


async def test_wanting_what_is_no_certificate_leaves_the_verdict_open(verifier_with: VerifierWith, pki: Pki) -> None:
    verifier, _metrics = verifier_with(WorkerLimits(), rogue("wanted"))
    report = await verifier.verify(VerificationRequest(), sign(pki.signer, CONTENT), None)
    assert report.sub_indication is SubIndication.POLICY_PROCESSING_ERROR
    verifier.close()


async def test_no_worker_to_be_had_is_no_verdict(verifier_with: VerifierWith, pki: Pki, tmp_path: Path) -> None:
    verifier, _metrics = verifier_with(WorkerLimits(), [str(tmp_path / "absent")])
    with pytest.raises(DomainError) as caught:
        await verifier.verify(VerificationRequest(), sign(pki.signer, CONTENT), None)
    assert (caught.value.code, caught.value.retryable) == (ErrorCode.SERVICE_UNAVAILABLE, True)
    verifier.close()
    with pytest.raises(WorkersUnavailable):
        Worker.start(MEGABYTE * 512, ["/bin/false"])


async def test_a_file_that_cannot_be_had_takes_no_place_from_others(
    verifier_with: VerifierWith, pki: Pki, tmp_path: Path
) -> None:
    """A full disk or no descriptor left, as often as there are threads that ask the workers."""
    verifier, _metrics = verifier_with(WorkerLimits(workers=1))
    good = sign(pki.signer, CONTENT, attached=False)
    kept = (tmp_path / "kept").open("w+b")
    gone = (tmp_path / "gone").open("w+b")
    gone.close()
    with kept:
        before = len(list(Path("/proc/self/fd").iterdir()))
        report = await verifier.verify(VerificationRequest(), kept, gone)
        assert report.sub_indication is SubIndication.POLICY_PROCESSING_ERROR
        assert len(list(Path("/proc/self/fd").iterdir())) == before
    verifier._patience_seconds = 5
    assert (await verifier.verify(VerificationRequest(), good, CONTENT)).conclusion is Conclusion.PASSED
    verifier.close()


TRIES = """
import os, socket, sys
from services.signer.workers.confinement import confine
port, secret, parent = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
def attempt(what):
    try:
        what()
    except OSError as error:
        return type(error).__name__
    return "done"
tries = {
    "connect": lambda: socket.create_connection(("127.0.0.1", port)).close(),
    "read": lambda: open(secret).close(),
    "list": lambda: os.listdir(os.path.dirname(secret)),
    "write": lambda: open(secret + "2", "w").close(),
    "memory": lambda: open(f"/proc/{parent}/mem", "rb").close(),
    "environment": lambda: open(f"/proc/{parent}/environ", "rb").close(),
    "signal": lambda: os.kill(parent, 0),
    "execute": lambda: os.execv("/bin/true", ["true"]),
}
confine(1 << 30)
import email.mime.audio, xml.sax.expatreader
for name, what in tries.items():
    print(name, attempt(what))
"""


@pytest.mark.skipif(version() < 6, reason="this kernel's Landlock does not know all that is tried")
def test_a_worker_taken_over_reaches_nothing(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("PIN")
    with socket.create_server(("127.0.0.1", 0)) as server:
        arguments = [str(server.getsockname()[1]), str(tmp_path / "secret"), str(os.getpid())]
        done = subprocess.run(
            [sys.executable, "-c", TRIES, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
        )
    assert dict(line.split() for line in done.stdout.splitlines()) == dict.fromkeys(
        ("connect", "read", "list", "write", "memory", "environment", "signal", "execute"), "PermissionError"
    )


def test_closing_ends_a_worker_that_is_being_started() -> None:
    """Signer stops at once, also when it has only just begun."""
    never_ready = [sys.executable, "-c", "import time; time.sleep(600)"]
    pool = WorkerPool(WorkerLimits(workers=1), program=never_ready)
    failures: list[Exception] = []

    def look() -> None:
        try:
            pool.look()
        except WorkersUnavailable as error:
            failures.append(error)

    looking = threading.Thread(target=look)
    looking.start()
    while not pool.pids():
        time.sleep(0.01)
    pid = pool.pids()[0]
    assert pool.alive == 0, "it is there and not ready"
    pool.close()
    looking.join(SECONDS)
    assert not looking.is_alive()
    assert len(failures) == 1
    assert not Path(f"/proc/{pid}").exists()
