"""``python -m services.signer.verify_certificate``: judges one certificate by files alone, prints JSON.

The entry behind ``kepgw verify-certificate``: a process of its own, with a limit on its time and memory,
because what it reads may be anybody's. It fetches nothing and needs no settings.

Exit codes: 0 passed, 1 failed, 2 indeterminate, 3 a file cannot be read or the arguments make no sense.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from services.signer.certificate_files import (
    FileUnreadable,
    read_anchors,
    read_certificates,
    read_lists,
    read_responses,
)
from services.signer.certificate_paths import Material, judge_certificate_path, unfinished
from services.signer.certificates import Certificate
from services.signer.checks.chain import PathInputs
from shared.clock import SystemClock
from shared.domain.verdict import Conclusion

UNREADABLE = 3
_EXIT_CODES = {Conclusion.PASSED: 0, Conclusion.FAILED: 1, Conclusion.INDETERMINATE: 2}
_CPU_SECONDS = 120
_MEMORY_BYTES = 4 * 1024 * 1024 * 1024
_OID = re.compile(r"[0-2](\.\d{1,39}){1,32}")
_POLICIES = 64
_ANY_POLICY = "2.5.29.32.0"


class _Arguments(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise FileUnreadable(message)


def main(arguments: list[str], now: datetime) -> int:
    """Judge the certificate that ``arguments`` name, as of ``now`` unless they say when; return the exit code."""
    try:
        given = _parser().parse_args(arguments)
        certificate, material = _read(given)
    except FileUnreadable as error:
        sys.stderr.write(f"{error}\n")
        return UNREADABLE
    except OSError as error:
        sys.stderr.write(f"{error.filename}: {error.strerror or error}\n")
        return UNREADABLE
    moment = given.at or now
    inputs = PathInputs(
        given.policy_set, given.require_explicit_policy, given.inhibit_policy_mapping, given.inhibit_any_policy
    )
    try:
        verdict = judge_certificate_path(certificate, material, moment, now, given=given.at is not None, inputs=inputs)
    except Exception as error:  # noqa: BLE001 - whatever hostile files bring about, it is an open verdict
        sys.stderr.write(f"{type(error).__name__} while judging\n")
        verdict = unfinished(certificate, material, moment)
    sys.stdout.write(json.dumps(verdict.as_json(), ensure_ascii=False, indent=2) + "\n")
    return _EXIT_CODES[verdict.conclusion]


def _parser() -> argparse.ArgumentParser:
    parser = _Arguments(prog="services.signer.verify_certificate", allow_abbrev=False)
    parser.add_argument("file", type=Path)
    parser.add_argument("--anchors", type=Path, required=True)
    parser.add_argument("--intermediates", type=Path, action="append", default=[])
    parser.add_argument("--crl", type=Path, action="append", default=[])
    parser.add_argument("--ocsp", type=Path, action="append", default=[])
    parser.add_argument("--at", type=moment_of)
    parser.add_argument("--policy-set", type=_policies)
    parser.add_argument("--require-explicit-policy", action="store_true")
    parser.add_argument("--inhibit-policy-mapping", action="store_true")
    parser.add_argument("--inhibit-any-policy", action="store_true")
    # Nothing is ever fetched; the option is there for those who want it said.
    parser.add_argument("--offline", action="store_true")
    return parser


def _read(given: argparse.Namespace) -> tuple[Certificate, Material]:
    # A file may bring its chain along: the first is the one in question.
    subject, *chain = read_certificates([given.file])
    anchors, helpers = read_anchors(given.anchors)
    intermediates = read_certificates(given.intermediates)
    lists, unusable = read_lists(given.crl)
    responses, useless = read_responses(given.ocsp)
    pool = (*chain, *intermediates, *helpers)
    return subject, Material(anchors, pool, lists, responses, (*unusable, *useless))


def moment_of(text: str) -> datetime:
    """The moment that an argument names (UTC); raises ``argparse.ArgumentTypeError`` for one without a zone."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise argparse.ArgumentTypeError("a time with its zone is wanted, for example 2026-11-20T12:00:00Z")


def _policies(text: str) -> frozenset[str]:
    found = [item.strip() for item in text.split(",") if item.strip()]
    if not 0 < len(found) <= _POLICIES or not all(_OID.fullmatch(item) for item in found):
        raise argparse.ArgumentTypeError("object identifiers are wanted, separated by commas")
    return frozenset("any_policy" if item == _ANY_POLICY else item for item in found)


def limit_resources() -> None:
    """Bound the CPU time and the address space of this process: 120 s, 4 GiB, or less where that is the limit."""
    for what, wanted in ((resource.RLIMIT_CPU, _CPU_SECONDS), (resource.RLIMIT_AS, _MEMORY_BYTES)):
        _soft, hard = resource.getrlimit(what)
        resource.setrlimit(what, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


if __name__ == "__main__":
    limit_resources()
    raise SystemExit(main(sys.argv[1:], SystemClock().now()))
