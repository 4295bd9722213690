"""One official letter from institution A to institution B, end to end, over the public REST API only."""

from __future__ import annotations

import hashlib
import io
import json
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from services.cli.api import Api, ApiError
from services.cli.composing import Composition, compose

Tell = Callable[[str], None]
WANTED_EVIDENCE = (10, 20, 40, 60)
MEDIA_TYPE = "application/eyazisma"
_LONGEST_DELAY = 86400
"""Seconds; the API takes no more."""
_ENDED = frozenset({"rejected", "relay_failed", "undelivered", "failed", "expired", "cancelled"})


class JourneyError(Exception):
    """The letter did not arrive as it must; the text says where it stopped.

    ``refused``: the gateway works and has said why it does not take this one.
    """

    def __init__(self, text: str, *, refused: bool = False) -> None:
        super().__init__(text)
        self.refused = refused


@dataclass(frozen=True)
class Package:
    """A file, and the name it travels under."""

    path: Path
    filename: str

    def digest(self) -> tuple[str, int]:
        """SHA-256 and number of bytes; raise ``JourneyError`` if it cannot be read."""
        with self.opened() as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return digest, file.tell()

    @contextmanager
    def opened(self) -> Iterator[io.BufferedReader]:
        """The file, read from disk as it is sent; raise ``JourneyError`` if it cannot be read."""
        try:
            with self.path.open("rb") as file:
                yield file
        except OSError as error:
            raise JourneyError(f"cannot read {self.path}: {error.strerror}", refused=True) from error


@dataclass(frozen=True)
class Station:
    """One line of the journey's table."""

    what: str
    seconds: float
    detail: str


@dataclass
class Journey:
    """What happened, when, and what it came to."""

    stations: list[Station] = field(default_factory=list)
    sha256: str = ""
    state: str = ""
    evidence: tuple[int, ...] = ()


@dataclass(frozen=True)
class Correspondents:
    """Who writes to whom."""

    sender: Api
    sender_no: int
    recipient: Api
    recipient_no: int
    recipient_name: str
    sender_name: str = ""
    """As it stands in the head of a letter written here."""


def play(who: Correspondents, letter: Package | Composition, tell: Tell, *, seconds: float = 90) -> Journey:
    """Send a package, or write one and send that, and follow it until A sees that B has read it.

    Raises ``JourneyError`` when a step fails or takes longer than ``seconds`` in all, and when B finds anything
    wrong, by the strict rules, with a letter written here.
    """
    journey = Journey()
    if isinstance(letter, Package):
        journey.sha256, _ = letter.digest()
    started = time.monotonic()
    deadline = started + seconds

    def reached(what: str, detail: str) -> None:
        station = Station(what, time.monotonic() - started, detail)
        journey.stations.append(station)
        tell(f"{station.seconds:6.2f} s  {what}: {detail}")

    try:
        unit = _find(who)
        reached(
            "A searches the directory", f"{unit['name']} ({unit['detsis_no']}), {unit['kep_addresses'][0]['address']}"
        )
        package, package_id = letter, None
        if isinstance(package, Composition):
            composed = compose(
                who.sender, (who.sender_no, who.sender_name), (who.recipient_no, who.recipient_name), package, reached
            )
            package, package_id = Package(package.target, composed.filename), composed.package_id
        journey.sha256, size = package.digest()
        _show_inspection(who.sender, package, reached)
        sent = _send(who, package, journey.sha256, package_id)
        reached("A hands the package over (202)", f"{sent['message_id']}, {size:,} bytes")
        seen: list[str] = []
        _follow(who.sender, sent["message_id"], {"delivered", "read"}, deadline, reached, seen)
        taken, token = _lease(who.recipient, sent, deadline)
        reached("B leases the letter", f"verification {taken['conclusion']}, package {taken['package_filename']}")
        _receive(who, taken, journey.sha256, package_id is not None, reached)
        registry_no = f"2026-{uuid4().hex[:6]}"
        who.recipient.json(
            "POST",
            f"/inbound-messages/{taken['message_id']}/ack",
            json={"lease_token": token, "registry_no": registry_no},
        )
        reached("B acknowledges", f"registered as {registry_no}")
        message = _follow(who.sender, sent["message_id"], {"read"}, deadline, reached, seen)
        journey.state = message["state"]
        journey.evidence = _collect_evidence(who.sender, sent["message_id"], deadline, reached)
    except ApiError as error:
        raise JourneyError(str(error), refused=error.status is not None and error.status < 500) from error
    if journey.evidence != WANTED_EVIDENCE:
        raise JourneyError(f"evidence is {journey.evidence}, wanted {WANTED_EVIDENCE}")
    return journey


def _find(who: Correspondents) -> dict[str, Any]:
    words = who.recipient_name.split()
    query = " ".join(reversed(words[:3])).lower()
    found = who.sender.json("GET", "/directory/units", params={"q": query})["units"]
    for unit in found:
        if unit["detsis_no"] == who.recipient_no:
            return dict(unit)
    raise JourneyError(f"the directory does not find {who.recipient_name!r} by {query!r}")


def _show_inspection(api: Api, package: Package, reached: Callable[[str, str], None]) -> None:
    with package.opened() as file:
        answer = api.json("POST", "/package-inspections", files={"package": (package.filename, file, MEDIA_TYPE)})
    findings = answer["findings"]
    reached("A has it inspected", f"{answer['kind']} package, version {answer['version']}, {len(findings)} findings")
    for finding in findings:
        reached(f"  {finding['rule']} ({finding['severity']})", finding["message_en"])
    for signature in answer["signatures"]:
        if signature["verification"] is None:
            reached(f"  {signature['kind']}", f"not verified: {signature['unavailable']}")
            continue
        report = signature["verification"]["report"]
        reached(f"  {signature['kind']}", f"{report['conclusion']} {report['sub_indication'] or ''}".strip())


def _receive(
    who: Correspondents, taken: dict[str, Any], sha256: str, strictly: bool, reached: Callable[[str, str], None]
) -> None:
    """B downloads what it has leased; a letter written here must be as the strict rules want it."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "received"
        digest, size = who.recipient.download(f"/inbound-messages/{taken['message_id']}/package", path)
        if digest != sha256:
            raise JourneyError(f"B received other bytes: sha256 {digest}")
        reached("B downloads the package", f"{size:,} bytes, sha256 as sent")
        if not strictly:
            return
        with path.open("rb") as file:
            files = {
                "package": (taken["package_filename"], file, MEDIA_TYPE),
                "profile": (None, "strict"),
                "recipient": (None, str(who.recipient_no)),
            }
            found = who.recipient.json("POST", "/package-inspections", files=files)
    if found["findings"] or found["conclusion"] != "passed":
        rules = ", ".join(item["rule"] for item in found["findings"]) or "none"
        raise JourneyError(f"B inspects in strict: findings {rules}, signatures {found['conclusion']}")
    reached("B inspects it in strict", f"no finding, signatures {found['conclusion']}")


def _send(who: Correspondents, package: Package, sha256: str, package_id: str | None) -> dict[str, Any]:
    """Hand over a finished package by its id, any other as a file."""
    message = {
        "institution_no": who.sender_no,
        "recipients": [{"detsis_no": who.recipient_no}],
        "package_sha256": sha256,
    }
    if package_id is not None:
        message["package_id"] = package_id
    with package.opened() as file:
        files: dict[str, Any] = {"message": (None, json.dumps(message), "application/json")}
        if package_id is None:
            files["package"] = (package.filename, file, MEDIA_TYPE)
        answer = who.sender.call("POST", "/outbound-messages", headers={"Idempotency-Key": str(uuid4())}, files=files)
    if answer.status_code != httpx.codes.ACCEPTED:
        raise JourneyError(f"expected 202, got {answer.status_code}")
    return dict(answer.json())


def _follow(
    api: Api, message_id: str, wanted: set[str], deadline: float, reached: Callable[[str, str], None], seen: list[str]
) -> dict[str, Any]:
    """Poll the letter, telling each state not yet ``seen``, until it is one of ``wanted``."""
    while True:
        message: dict[str, Any] = api.json("GET", f"/outbound-messages/{message_id}")
        recipient = message["recipients"][0]
        if message["state"] not in seen:
            seen.append(message["state"])
            reached(f"A's letter: {message['state']}", _explain(recipient))
        if message["state"] in wanted:
            return message
        if time.monotonic() > deadline or message["state"] in _ENDED:
            raise JourneyError(f"A's letter is {message['state']!r}: {recipient['reason'] or 'no reason given'}")
        time.sleep(0.1)


def _explain(recipient: dict[str, Any]) -> str:
    if recipient["reason"]:
        return str(recipient["reason"])
    if recipient["evidence_codes"]:
        return "evidence " + ", ".join(map(str, recipient["evidence_codes"]))
    return f"to {recipient['kep_address']} ({recipient['address_source']})" if recipient["kep_address"] else "stored"


def _lease(api: Api, sent: dict[str, Any], deadline: float) -> tuple[dict[str, Any], str]:
    """Lease letters until ours comes; others are given back untouched, and stay away as long as this may still take."""
    wanted = {recipient["message_id_header"].strip("<>") for recipient in sent["recipients"]}
    while time.monotonic() < deadline:
        leased = api.json("POST", "/inbound-messages/leases", json={"max": 1, "seconds": 60, "wait": 2})
        for letter in leased["messages"] if leased else []:
            if (letter["message_id_header"] or "").strip("<>") in wanted:
                return letter, leased["lease_token"]
            # Offered again sooner, they would come round before ours does whenever enough of them wait.
            rest = min(max(math.ceil(deadline - time.monotonic()), 0), _LONGEST_DELAY)
            api.json(
                "POST",
                f"/inbound-messages/{letter['message_id']}/nack",
                json={
                    "lease_token": leased["lease_token"],
                    "reason": "not the letter waited for",
                    "delay_seconds": rest,
                },
            )
    raise JourneyError("the letter did not become available to B")


def _collect_evidence(
    api: Api, message_id: str, deadline: float, reached: Callable[[str, str], None]
) -> tuple[int, ...]:
    """Download every piece of evidence; returns the codes in order of their numbers."""
    while True:
        records: list[dict[str, Any]] = api.json("GET", f"/outbound-messages/{message_id}/evidence")
        codes = tuple(sorted({record["code"] for record in records if record["code"] is not None}))
        if codes == WANTED_EVIDENCE or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    for record in sorted(records, key=lambda item: item["code"] or 0):
        path = f"/outbound-messages/{message_id}/evidence/{record['evidence_id']}/content"
        digest, size = api.download(path)
        if digest != record["sha256"]:
            raise JourneyError(f"evidence {record['code']} was downloaded with another digest")
        reached(
            f"evidence {record['code']}",
            f"{record['evidence_type']}, signature {record['signature_conclusion']}, {size:,} bytes",
        )
    return codes
