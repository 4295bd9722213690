"""Institution A with one of everything, to see what others can get at."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import text

from services.kep_relay.events import VerdictNews, tell
from services.kep_relay.tables import (
    ClassifiedIncidentRow,
    EvidenceRow,
    InboundMessageRow,
    InboundPartRow,
    InboundVerificationRow,
    RawMailRow,
    VerificationMailRow,
)
from shared.contracts.events import EventType
from shared.contracts.inbound import InboundVerification
from shared.contracts.signatures import Maturity
from shared.db.session import Database
from shared.domain.identifiers import new_id
from shared.domain.verdict import Conclusion
from tests.support.relay import START, Relay

OWNER, STRANGER = 10000001, 10000006
_MAIL, _PACKAGE, _EVIDENCE = b"mail-content-of-A", b"package-content-of-A", b"<evidence-content-of-A/>"


@dataclass
class Belongings:
    """What belongs to ``OWNER``, by the names that routes give it, and what may never be seen by others."""

    relay: Relay
    identifiers: dict[str, str] = field(default_factory=dict)
    """Values for path parameters; of a letter, by direction: ``outbound``, ``inbound``."""
    lease_token: str = ""
    """Of the letter received, once A's document system has taken it."""

    @property
    def marks(self) -> tuple[str, ...]:
        """Pieces of A's data; an answer to somebody else that has one of them reveals it."""
        return tuple(mark for mark in self._marks if mark)

    @property
    def _marks(self) -> tuple[str, ...]:
        return (
            "of-A", self.identifiers["outbound"], self.identifiers["inbound"], self.identifiers["evidence_id"],
            self.identifiers["incident_id"], self.lease_token, "Yıllık faaliyet raporu", self.identifiers.get("registration_id", ""),
        )  # fmt: skip

    async def acquire(self) -> Belongings:
        """A letter sent, with evidence, and a letter received; both in the one mailbox."""
        outbound = await self.relay.hand_over(10000002, client_ref="reference-of-A", package_filename="file-of-A.eyp")
        self.identifiers = {"outbound": str(outbound), "mailbox_id": "a-1", "number": "1"}
        await self._put_evidence(outbound)
        await self._put_incoming()
        await self._put_sealed()
        await self._put_event()
        return self

    async def _put_event(self) -> None:
        async with self.relay.deps.database.unit_of_work() as work:
            news = VerdictNews(Conclusion.PASSED, Maturity.FINAL)
            letter = UUID(self.identifiers["inbound"])
            await tell(work, EventType.INBOUND_AVAILABLE, news, institution_no=OWNER, message_id=letter, at=START)

    async def _put_evidence(self, outbound: UUID) -> None:
        letter = await self.relay.letter(outbound)
        raw_id, digest = await self._put_raw(b"evidence-" + _MAIL)
        stored = await self.relay.deps.blobs.put(_EVIDENCE, limit=1000)
        evidence_id = new_id()
        self.identifiers["evidence_id"] = str(evidence_id)
        async with self.relay.deps.database.unit_of_work() as work:
            work.session.add(
                EvidenceRow(
                    evidence_id=evidence_id, institution_no=OWNER, mailbox_id="a-1", raw_mail_id=raw_id,
                    raw_sha256=digest, sha256=stored.sha256, size=stored.size, media_type="application/xml",
                    received_at=START, code=10, evidence_type="SubmissionAcceptanceRejection", event="Acceptance",
                    identifier="identifier-of-A", issuer="issuer-of-A", dedupe_key="dedupe-of-A",
                    message_id=outbound, recipient_id=letter.recipients[0].recipient_id,
                )
            )  # fmt: skip

    async def _put_incoming(self) -> None:
        raw_id, digest = await self._put_raw(_MAIL)
        package = await self.relay.deps.blobs.put(_PACKAGE, limit=1000)
        message_id = new_id()
        self.identifiers["inbound"] = str(message_id)
        verdict = InboundVerification(
            message_id=message_id, conclusion=Conclusion.PASSED, components=[], findings=[], verified_at=START
        )
        async with self.relay.deps.database.unit_of_work() as work:
            work.session.add(
                InboundMessageRow(
                    message_id=message_id, institution_no=OWNER, mailbox_id="a-1",
                    mailbox_address="kurum.a@hs98.kep.tr", raw_mail_id=raw_id, raw_sha256=digest, raw_size=len(_MAIL),
                    kind="letter", state="available", message_key=str(message_id), original_sha256=digest,
                    original_size=len(_MAIL), package_sha256=package.sha256, package_size=package.size,
                    package_filename="incoming-of-A.eyp", subject="subject-of-A", conclusion="passed",
                    received_at=START, available_at=START, visible_at=START, updated_at=START,
                )
            )  # fmt: skip
            await work.session.flush()
            work.session.add_all(
                [
                    InboundPartRow(
                        message_id=message_id, number=1, filename="part-of-A.eyp", media_type="application/eyazisma",
                        size=package.size, sha256=package.sha256, is_package=True,
                    ),
                    InboundVerificationRow(
                        message_id=message_id, sequence=1, conclusion="passed",
                        verdict=verdict.model_dump(mode="json"), verified_at=START,
                    ),
                    VerificationMailRow(
                        message_id=message_id, institution_no=OWNER, mailbox_id="a-1", recognised_by="hint",
                        links=[{"url": "https://detsis.gov.tr/link-of-A", "host": "detsis.gov.tr"}],
                        received_at=START,
                    ),
                ]
            )  # fmt: skip

    async def _put_sealed(self) -> None:
        raw_id, digest = await self._put_raw(b"sealed-" + _MAIL)
        message_id, incident_id = new_id(), new_id()
        self.identifiers["incident_id"] = str(incident_id)
        async with self.relay.deps.database.unit_of_work() as work:
            work.session.add(
                InboundMessageRow(
                    message_id=message_id, institution_no=OWNER, mailbox_id="a-1",
                    mailbox_address="kurum.a@hs98.kep.tr", raw_mail_id=raw_id, raw_sha256=digest, raw_size=len(_MAIL),
                    kind="letter", state="sealed", reason_code="classified", message_key=str(message_id),
                    original_sha256=digest, original_size=len(_MAIL), security_code="secret", received_at=START,
                    updated_at=START,
                )
            )  # fmt: skip
            await work.session.flush()
            work.session.add(
                ClassifiedIncidentRow(
                    incident_id=incident_id, message_id=message_id, institution_no=OWNER,
                    mailbox_address="kurum.a@hs98.kep.tr", sender_address="sender-of-A@hs98.kep.tr", degree="secret",
                    found_in="package", raw_sha256=digest, raw_size=len(b"sealed-" + _MAIL), state_before="parsed",
                    rule="L.27", rules_of=date(2022, 4, 26), measure="sealed", received_at=START, detected_at=START,
                )
            )  # fmt: skip

    async def _put_raw(self, content: bytes) -> tuple[UUID, str]:
        await self.relay.deps.blobs.put(content, limit=1000)
        raw_id, digest = new_id(), hashlib.sha256(content).hexdigest()
        async with self.relay.deps.database.unit_of_work() as work:
            work.session.add(
                RawMailRow(
                    raw_mail_id=raw_id, mailbox_id="a-1", institution_no=OWNER, folder="INBOX", uidvalidity=1,
                    uid=raw_id.int % 2**31, sha256=digest, size=len(content), received_at=START, state="ingested",
                )
            )  # fmt: skip
        return raw_id, digest

    def path(self, template: str) -> str:
        """A route's path with A's identifiers in it; KeyError for a parameter A has nothing for."""
        direction = "outbound" if "/outbound-messages" in template else "inbound"
        written = "finished" if template == "/v1/packages/{package_id}/content" else "draft"
        values = self.identifiers | {"message_id": self.identifiers[direction], "detsis_no": str(OWNER)}
        values |= {"package_id": self.identifiers[written]}
        return template.format_map(values | {"institution_no": str(OWNER), "key_id": self.identifiers["key_id"]})


async def rows_of_owner(database: Database) -> dict[str, list[str]]:
    """Everything the three services with a database keep, except what notes every call (keys' last use, audit)."""
    kept: dict[str, list[str]] = {}
    async with database.reading() as session:
        for schema, table in await _tables(session):
            rows = await session.execute(text(f'SELECT to_jsonb(t) - \'last_used_at\' FROM "{schema}"."{table}" t'))
            kept[f"{schema}.{table}"] = sorted(str(row[0]) for row in rows)
    return kept


async def _tables(session: Any) -> list[tuple[str, str]]:
    found = await session.execute(
        text(
            "SELECT table_schema, table_name FROM information_schema.tables"
            " WHERE table_schema IN ('gateway', 'kep_relay', 'detsis_sync') AND table_type = 'BASE TABLE'"
        )
    )
    return sorted((row[0], row[1]) for row in found if row[1] not in {"audit_log", "idempotency_keys", "instances"})


def differences(before: dict[str, list[str]], after: dict[str, list[str]]) -> Iterator[str]:
    """Tables whose rows changed, were added or went away."""
    for table in sorted(before.keys() | after.keys()):
        if before.get(table) != after.get(table):
            yield table
