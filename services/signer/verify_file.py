"""``python -m services.signer.verify_file``: judges one signed file by files alone, prints JSON.

The entry behind ``kepgw verify``: a process of its own with a limit on its time and memory, as for certificates
(record 0027). It fetches nothing: addresses stand in certificates that anybody may have made, and the guard for
them is signer's.

Exit codes: 0 passed, 1 failed, 2 indeterminate, 3 a file cannot be read or the arguments make no sense.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from services.signer.certificate_files import (
    FileUnreadable,
    open_regular,
    read_certificates,
    read_lists,
    read_responses,
    read_store,
)
from services.signer.evidence import Evidence
from services.signer.facts import Content, FileContent
from services.signer.file_answers import PACKAGE, ComponentReport, file_answer, package_answer
from services.signer.limits import DEFAULT_LIMITS
from services.signer.pipeline import incomplete, judge, read_facts, sniff
from services.signer.trust import make_store
from services.signer.verify_certificate import UNREADABLE, limit_resources, moment_of
from shared.clock import SystemClock
from shared.contracts.signatures import Profile, SignatureFormat, VerificationReport, VerificationRequest
from shared.errors import DomainError
from shared.eyp import DEFAULT_LIMITS as PACKAGE_LIMITS
from shared.eyp import Inspection, SignatureKind, inspect, opened

_EXIT_CODES = {"passed": 0, "failed": 1, "indeterminate": 2}
_CONTENT_BYTES = 2 * 1024 * 1024 * 1024
_FILE_BYTES = DEFAULT_LIMITS.asn1_bytes * 2
"""Room for a signed mail, whose base64 is larger than what it holds."""
_ZIP = b"PK"
_CHUNK = 256 * 1024
_PROFILES = {
    SignatureKind.SIGNATURE: Profile.QUALIFIED_SIGNATURE,
    SignatureKind.INITIALS: Profile.QUALIFIED_SIGNATURE,
    SignatureKind.SEAL: Profile.INSTITUTION_SEAL,
}


class _Arguments(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise FileUnreadable(message)


@dataclass(frozen=True)
class _Case:
    """What is judged by: the evidence at hand and two moments."""

    evidence: Evidence
    profile: Profile | None
    """None: the one that belongs to the kind of file."""
    moment: datetime | None
    now: datetime

    def judged(
        self, data: bytes, content: Content | None, wanted: SignatureFormat, otherwise: Profile
    ) -> VerificationReport:
        """The report on one file; what hostile files bring about leaves it open."""
        request = VerificationRequest(
            format=wanted, profile=self.profile or otherwise, moment=self.moment, offline=True
        )
        try:
            facts = read_facts(data, content, wanted, known=self.evidence.trust.intermediates)
            return judge(facts, request, self.evidence, self.now).report
        except Exception as error:  # noqa: BLE001 - whatever hostile files bring about, it is an open verdict
            sys.stderr.write(f"{type(error).__name__} while judging\n")
            return incomplete(request, self.evidence, self.now)


def main(arguments: list[str], now: datetime) -> int:
    """Judge the file that ``arguments`` name, as of ``now`` unless they say when; return the exit code."""
    try:
        given = _parser().parse_args(arguments)
        case = _Case(_evidence(given), given.profile, given.at, now)
        with open_regular(given.file, max(_FILE_BYTES, PACKAGE_LIMITS.package_size)) as file:
            answer = _answer(given, file, case)
    except (FileUnreadable, DomainError) as error:
        named = f"{given.file}: {error.detail}" if isinstance(error, DomainError) else str(error)
        sys.stderr.write(f"{named}\n")
        return UNREADABLE
    except OSError as error:
        sys.stderr.write(f"{error.filename}: {error.strerror or error}\n")
        return UNREADABLE
    sys.stdout.write(json.dumps(answer, ensure_ascii=False, indent=2) + "\n")
    return _EXIT_CODES[answer["verdict"]]


def _parser() -> argparse.ArgumentParser:
    parser = _Arguments(prog="services.signer.verify_file", allow_abbrev=False)
    parser.add_argument("file", type=Path)
    parser.add_argument("--content", type=Path)
    parser.add_argument("--profile", type=Profile)
    parser.add_argument("--format", default="auto", choices=[*(item.value for item in SignatureFormat), PACKAGE])
    parser.add_argument("--at", type=moment_of)
    parser.add_argument("--anchors", type=Path)
    parser.add_argument("--intermediates", type=Path, action="append", default=[])
    parser.add_argument("--crl", type=Path, action="append", default=[])
    parser.add_argument("--ocsp", type=Path, action="append", default=[])
    # Nothing is ever fetched; the option is there for those who want it said.
    parser.add_argument("--offline", action="store_true")
    return parser


def _evidence(given: argparse.Namespace) -> Evidence:
    anchors, helpers = ({}, ()) if given.anchors is None else read_store(given.anchors)
    trust = make_store(anchors, tuple(dict.fromkeys((*helpers, *read_certificates(given.intermediates)))))
    lists, unusable = read_lists(given.crl)
    responses, useless = read_responses(given.ocsp)
    for item in (*unusable, *useless):
        sys.stderr.write(f"{item.file}: {item.why.en}\n")
    supplied = frozenset((*(item.sha256 for item in lists), *(item.sha256 for item in responses)))
    return Evidence(trust, lists, responses, supplied=supplied)


def _answer(given: argparse.Namespace, file: BinaryIO, case: _Case) -> dict[str, Any]:
    head = file.read(len(_ZIP))
    file.seek(0)
    if given.format == PACKAGE or (given.format == "auto" and head == _ZIP):
        if given.content is not None:
            raise FileUnreadable(f"{given.content}: a package holds what its signatures cover")
        return _package(file, case)
    data = file.read(_FILE_BYTES + 1)
    if len(data) > _FILE_BYTES:
        raise FileUnreadable(f"{given.file}: larger than {_FILE_BYTES} bytes")
    wanted = SignatureFormat(given.format)
    stamp = SignatureFormat.TIMESTAMP in (wanted, sniff(data))
    otherwise = Profile.TIMESTAMP if stamp else Profile.QUALIFIED_SIGNATURE
    if given.content is None:
        return file_answer(case.judged(data, None, wanted, otherwise))
    with open_regular(given.content, _CONTENT_BYTES) as content:
        return file_answer(case.judged(data, _content(content), wanted, otherwise))


def _package(file: BinaryIO, case: _Case) -> dict[str, Any]:
    inspection = inspect(file)
    file.seek(0)
    reports = list(_components(file, inspection, case))
    levels = [inspection]
    while levels[-1].inner is not None:
        levels.append(levels[-1].inner)
    profile = None if case.profile is None else case.profile.value
    return package_answer(levels, reports, case.evidence.trust.sha256, profile)


def _components(file: BinaryIO, inspection: Inspection, case: _Case) -> Iterator[ComponentReport]:
    """Every signature, initials and seal on every level, each against the part it covers."""
    for depth, (level, container) in enumerate(opened(file, inspection)):
        for component in level.signature_components:
            signature = container.read_part(component.part_name, PACKAGE_LIMITS.signature_size)
            with tempfile.TemporaryFile() as covered:
                with container.open_part(component.covered_part_name) as part:
                    shutil.copyfileobj(part, covered, _CHUNK)
                covered.flush()
                report = case.judged(signature, _content(covered), SignatureFormat.CADES, _PROFILES[component.kind])
            yield ComponentReport(component.part_name, component.covered_part_name, depth, report)


def _content(file: BinaryIO) -> FileContent:
    return FileContent(file.fileno(), file.seek(0, 2))


if __name__ == "__main__":
    limit_resources()
    raise SystemExit(main(sys.argv[1:], SystemClock().now()))
