"""A provider's evidence desk: issues evidence, decides when and how often it is sent, composes the mail."""

from __future__ import annotations

import base64
import uuid
from datetime import timedelta
from email.utils import make_msgid
from hashlib import sha256

from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from services.sandbox.faults import FaultBoard
from services.sandbox.kephs import wire
from services.sandbox.kephs.cms import CmsRejectedError, sign_detached, verify_detached
from services.sandbox.kephs.envelope import EnvelopeStamp, OpenedEnvelope, compose_evidence_mail
from services.sandbox.kephs.evidence import DS, REM, LetterFacts, Reason, compose_evidence, spoil
from services.sandbox.kephs.plan import IssuedEvidence, KepProviderPlan, RecipientScript, Timeline, Timing
from services.sandbox.kephs.smime import MailRejectedError, parse_entity
from services.sandbox.kephs.standing import Standings
from services.sandbox.kephs.store import INBOX, MailStore
from services.sandbox.kephs.tasks import SendEvidence, pack
from services.sandbox.world import Behaviour
from shared.domain.evidence import EvidenceCode

_DEFAULT_DELAY_SECONDS = 5.0
_HELD_BACK: dict[int, int] = {EvidenceCode.ACCEPTED: 2, EvidenceCode.REJECTED: 2, EvidenceCode.RELAYED: 1}
"""Disordered evidence: the earlier a step, the longer its evidence is held back (in spreads)."""


class EvidenceDesk:
    """Everything about evidence that one provider signs."""

    def __init__(
        self,
        plan: KepProviderPlan,
        store: MailStore,
        script: RecipientScript,
        clock: Timeline,
        faults: FaultBoard,
        timing: Timing,
        standings: Standings,
    ) -> None:
        self.name = f"{plan.name} KEPHS (sandbox)"
        self.address = f"kephs@{plan.domain}"
        self._plan = plan
        self._store = store
        self._script = script
        self._clock = clock
        self._faults = faults
        self._timing = timing
        self._standings = standings

    def issue(self, code: int, letter: LetterFacts, reason: Reason | None = None) -> str:
        """Sign evidence, keep it and note its sending; return its identifier. Call it inside a transaction."""
        now = self._clock.now()
        identifier = f"{self._plan.name.upper()}-{uuid.uuid4()}"
        document = compose_evidence(
            code, letter, identifier=identifier, issuer=self.name, issuer_address=self.address,
            identity=self._plan.identity, event_time=now, reason=reason,
        )  # fmt: skip
        if self._faults.take("evidence.bad_signature", provider=self._plan.name, code=str(int(code))):
            document = spoil(document)
        self._store.add_evidence(
            IssuedEvidence(
                identifier, int(code), wire.EVIDENCE_KINDS[code].evidence_type, self._plan.name, letter.message_id,
                letter.dispatch_id, letter.sender, letter.recipients, now, document,
            )
        )  # fmt: skip
        self._note_sending(code, identifier, letter)
        if code == EvidenceCode.DELIVERED and self._faults.take("evidence.unknown_code", provider=self._plan.name):
            self.issue(wire.UNKNOWN_CODE, letter)
        return identifier

    def has_issued(self, code: int, letter: LetterFacts) -> bool:
        """Whether evidence of this code exists for this dispatch and these recipients."""
        return any(
            (evidence.code, evidence.dispatch_id, evidence.recipients) == (code, letter.dispatch_id, letter.recipients)
            for evidence in self._store.evidence_about(letter.message_id)
        )

    def compose_mail(self, evidence: IssuedEvidence) -> bytes:
        """The signed mail that carries ``evidence`` to the letter's sender; another Message-ID at each call."""
        now = self._clock.now()
        stamp = EnvelopeStamp(make_msgid(domain=self._plan.domain), self.address, self.name, evidence.sender, now)

        def sign(entity: bytes) -> bytes:
            return sign_detached(entity, self._plan.identity, now)

        return compose_evidence_mail(evidence.code, evidence.identifier, evidence.xml, _facts_of(evidence), stamp, sign)

    def place(self, account: str, mail: bytes, document: bytes) -> None:
        """List evidence for the letter's sender, and put its mail into the INBOX. Call it inside a transaction."""
        headers = parse_entity(mail)
        self._store.tell(account.lower(), headers.text(wire.EVIDENCE_IDENTIFIER), headers.text("In-Reply-To"), document)
        if not self._standings.evidence_by_mail(account):
            return
        self._store.add_mail(
            account.lower(), INBOX, mail, kind="evidence", message_id=headers.text("Message-ID"),
            received_at=self._clock.now(), original_message_id=headers.text("In-Reply-To"),
        )  # fmt: skip

    @staticmethod
    def signer_of(envelope: OpenedEnvelope) -> bytes:
        """SHA-256 of the certificate that signed an envelope. Raises ``MailRejectedError``."""
        try:
            certificate = verify_detached(envelope.signed.content, envelope.signed.signature)
        except CmsRejectedError as exc:
            raise MailRejectedError(str(exc)) from exc
        return sha256(certificate.public_bytes(Encoding.DER)).digest()

    def _note_sending(self, code: int, identifier: str, letter: LetterFacts) -> None:
        behaviours = frozenset[Behaviour]().union(*map(self._script.behaviours, letter.recipients))
        delay = timedelta(0)
        if Behaviour.DISORDERED in behaviours:
            delay += self._timing.disorder_spread * _HELD_BACK.get(code, 0)
        late = self._faults.draw("evidence.delay", provider=self._plan.name, code=str(int(code)))
        if late is not None:
            delay += timedelta(seconds=_DEFAULT_DELAY_SECONDS if late.value is None else late.value)
        twice = self._faults.take("evidence.duplicate", provider=self._plan.name, code=str(int(code)))
        for _ in range(2 if twice or Behaviour.REPEATED in behaviours else 1):
            self._store.add_task(*pack(SendEvidence(identifier)), due_at=self._clock.now() + delay)


def _facts_of(evidence: IssuedEvidence) -> LetterFacts:
    root = etree.fromstring(evidence.xml, etree.XMLParser(resolve_entities=False, no_network=True))
    return LetterFacts(
        message_id=evidence.original_message_id,
        dispatch_id=evidence.dispatch_id,
        subject=root.findtext(f"{{{REM}}}SenderMessageDetails/{{{REM}}}MessageSubject") or "",
        sender=evidence.sender,
        recipients=evidence.recipients,
        digest=base64.b64decode(root.findtext(f"{{{REM}}}SenderMessageDetails/{{{DS}}}DigestValue") or ""),
    )
