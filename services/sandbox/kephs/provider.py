"""One KEP provider's part in a letter's life (kep.md 1.2): accept, relay, deliver, and prove each step."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256

import structlog

from services.sandbox.faults import FaultBoard
from services.sandbox.kephs.cms import sign_detached
from services.sandbox.kephs.envelope import (
    EnvelopeStamp,
    OpenedEnvelope,
    compose_dispatch,
    letter_facts,
    open_envelope,
)
from services.sandbox.kephs.evidence import LetterFacts, Reason
from services.sandbox.kephs.issue import EvidenceDesk
from services.sandbox.kephs.plan import KepProviderPlan, RecipientScript, Timeline, Timing
from services.sandbox.kephs.relay import PeerLink, PeerRefusedError, PeerUnreachableError
from services.sandbox.kephs.smime import MailRejectedError, parse_signed, signature_fault
from services.sandbox.kephs.standing import Standings
from services.sandbox.kephs.store import INBOX, SENT, TRANSIT, MailStore
from services.sandbox.kephs.tasks import Examine, ProveRetrieval, Relay, SendEvidence, TakeIn, Task, pack
from services.sandbox.world import Behaviour
from shared.domain.evidence import EvidenceCode
from shared.domain.identifiers import KepAddress, ascii_lower

_log = structlog.get_logger()
REJECTION_WORD = "[reject]"
"""A subject that contains it is rejected by the sender's provider (11)."""


class KepProvider:
    """Decides what becomes of letters. Sockets stand before it, the store behind it."""

    def __init__(
        self,
        plan: KepProviderPlan,
        *,
        store: MailStore,
        script: RecipientScript,
        clock: Timeline,
        faults: FaultBoard,
        timing: Timing,
        standings: Standings,
        peers: Callable[[str], PeerLink | None],
        trusted_peers: frozenset[bytes],
    ) -> None:
        self.plan = plan
        self.store = store
        self._script = script
        self._clock = clock
        self._faults = faults
        self._timing = timing
        self._peers = peers
        self._trusted_peers = trusted_peers
        self._standings = standings
        self._desk = EvidenceDesk(plan, store, script, clock, faults, timing, standings)

    # What the servers call

    def submit(self, account: KepAddress, recipients: Sequence[KepAddress], content: bytes, message_id: str) -> None:
        """Put a message that may be sent into ``Sent`` and note the work; durable when it returns.

        A Message-ID that was sent before is sent again: providers do not promise to notice.
        """
        now = self._clock.now()
        with self.store.transaction():
            sent = self.store.add_mail(
                account, SENT, content, kind="letter", message_id=message_id, received_at=now,
                original_message_id=message_id, original_sha256=sha256(content).hexdigest(), flags=frozenset({"\\Seen"}),
            )  # fmt: skip
            self._note(Examine(account, sent.uid, tuple(recipients)))

    def receive(self, content: bytes) -> None:
        """Take an envelope from another provider; durable when it returns. Raises ``MailRejectedError``."""
        envelope = open_envelope(content)
        if not self.plan.serves(envelope.recipient):
            raise MailRejectedError("the recipient is not served here")
        with self.store.transaction():
            if not self.store.first_relay_of(envelope.message_id):
                return
            if envelope.original is not None:
                self._put_in_transit(content, envelope.message_id, envelope.recipient, relayed=True)
            else:
                self._require_peer(envelope)
                self._desk.place(envelope.recipient, content, envelope.evidence[0] if envelope.evidence else b"")

    def retrieved(self, account: str, folder: str, uid: int) -> None:
        """A recipient has marked a mail as read."""
        with self.store.transaction():
            self._note(ProveRetrieval(account, folder, uid))

    # What the task runner calls

    async def perform(self, task_id: int, task: Task) -> None:
        """Do one task to its end, or put it off."""
        match task:
            case Examine():
                self._examine(task_id, task)
            case Relay():
                await self._relay(task_id, task)
            case TakeIn():
                self._take_in(task_id, task)
            case SendEvidence():
                await self._send_evidence(task_id, task)
            case ProveRetrieval():
                self._prove_retrieval(task_id, task)

    def _examine(self, task_id: int, task: Examine) -> None:
        content = self._sent(task_id, task)
        if content is None:
            return
        dispatch_id = f"<REM.{uuid.uuid4()}@{self.plan.domain}>"
        letter = letter_facts(content, dispatch_id=dispatch_id, recipients=task.recipients)
        reason = self._reason_to_reject(content, letter)
        with self.store.transaction():
            if reason is not None:
                self._desk.issue(EvidenceCode.REJECTED, letter, reason)
            else:
                acceptance_id = self._desk.issue(EvidenceCode.ACCEPTED, letter)
                for recipient in task.recipients:
                    if Behaviour.LOST not in self._script.behaviours(recipient):
                        self._note(Relay(task.account, task.uid, recipient, dispatch_id, acceptance_id))
            self.store.finish(task_id)

    def _reason_to_reject(self, content: bytes, letter: LetterFacts) -> Reason | None:
        fault = signature_fault(parse_signed(content))
        if fault is not None:
            return Reason("InvalidSenderSignature", fault)
        scope = {"provider": self.plan.name, "account": ascii_lower(letter.sender)}
        if self._faults.take("submission.agent_removed", **scope):
            return Reason("InvalidSenderSignature", "the signer is not an authorised agent of the account")
        if REJECTION_WORD in letter.subject:
            return Reason("PolicyViolation", f"the subject contains {REJECTION_WORD}")
        if any(Behaviour.REFUSE in self._script.behaviours(recipient) for recipient in letter.recipients):
            return Reason("PolicyViolation", "scripted refusal")
        return None

    async def _relay(self, task_id: int, task: Relay) -> None:
        content = self._sent(task_id, task)
        if content is None:
            return
        letter = letter_facts(content, dispatch_id=task.dispatch_id, recipients=(task.recipient,))
        behaviours = self._script.behaviours(task.recipient)
        if Behaviour.LATE40 in behaviours and not task.late:
            with self.store.transaction():
                self._desk.issue(EvidenceCode.RELAY_UNREACHABLE, letter, Reason("R_REMMD_Unreachable", "scripted"))
                self._put_off(task_id, replace(task, late=True), self._timing.late_delivery)
            return
        local = self.plan.serves(task.recipient)
        link = None if local else self._peers(task.recipient)
        if link is None and not local:
            with self.store.transaction():
                self._desk.issue(
                    EvidenceCode.RELAY_UNREACHABLE,
                    letter,
                    Reason("R_REMMD_NotIdentified", "no provider has this domain"),
                )
                self.store.finish(task_id)
            return
        if Behaviour.DOWN in behaviours or (link is not None and self._faults.take("relay.down", provider=link.name)):
            self._unreachable(task_id, task, letter)
            return
        dispatch = self._compose_dispatch(content, letter, task)
        try:
            if link is not None:
                await link.send(self.plan.domain, task.recipient, dispatch)
        except PeerUnreachableError:
            self._unreachable(task_id, task, letter)
            return
        except PeerRefusedError as exc:
            with self.store.transaction():
                self._desk.issue(EvidenceCode.RELAY_UNREACHABLE, letter, Reason("R-REMMD_Malfunction", str(exc)))
                self.store.finish(task_id)
            return
        with self.store.transaction():
            if link is None:
                self._put_in_transit(dispatch, task.dispatch_id, task.recipient, relayed=False)
            self.store.finish(task_id)

    def _compose_dispatch(self, content: bytes, letter: LetterFacts, task: Relay) -> bytes:
        acceptance = self.store.evidence_called(task.acceptance_id)
        now = self._clock.now()
        stamp = EnvelopeStamp(
            f"<{uuid.uuid5(uuid.NAMESPACE_URL, task.dispatch_id + task.recipient)}@{self.plan.domain}>",
            self._desk.address, self._desk.name, task.recipient, now,
        )  # fmt: skip

        def sign(entity: bytes) -> bytes:
            return sign_detached(entity, self.plan.identity, now)

        return compose_dispatch(content, letter, acceptance.xml, acceptance.identifier, stamp, sign)

    def _unreachable(self, task_id: int, task: Relay, letter: LetterFacts) -> None:
        now = self._clock.now()
        gives_up_at = (
            datetime.fromisoformat(task.gives_up_at) if task.gives_up_at else now + self._timing.unreachable_after
        )
        with self.store.transaction():
            if now >= gives_up_at:
                self._desk.issue(
                    EvidenceCode.RELAY_UNREACHABLE, letter, Reason("R_REMMD_Unreachable", "no contact in time")
                )
                self.store.finish(task_id)
            else:
                pause = min(self._timing.relay_retry, gives_up_at - now)
                self._put_off(task_id, replace(task, gives_up_at=gives_up_at.isoformat()), pause)

    def _take_in(self, task_id: int, task: TakeIn) -> None:
        content = self.store.content("", TRANSIT, task.uid)
        envelope = open_envelope(content)
        letter = envelope.letter()
        behaviours = self._script.behaviours(task.recipient)
        reason = None if task.accepted or not task.relayed else self._reason_to_refuse(envelope, behaviours)
        with self.store.transaction():
            if reason is not None:
                self._desk.issue(EvidenceCode.RELAY_REJECTED, letter, reason)
            else:
                if task.relayed and not task.accepted and Behaviour.LATE40 not in behaviours:
                    self._desk.issue(EvidenceCode.RELAYED, letter)
                if Behaviour.SLOW in behaviours and not task.accepted:
                    self._put_off(task_id, replace(task, accepted=True), self._timing.slow_delivery)
                    return
                self._deliver(content, envelope, letter, behaviours)
            self.store.delete_mail("", TRANSIT, task.uid)
            self.store.finish(task_id)

    def _reason_to_refuse(self, envelope: OpenedEnvelope, behaviours: frozenset[Behaviour]) -> Reason | None:
        if Behaviour.REJECT in behaviours:
            return Reason("PolicyViolation", "scripted refusal")
        try:
            self._require_peer(envelope)
        except MailRejectedError as exc:
            return Reason("InvalidMessageFormat", str(exc))
        return None

    def _deliver(
        self, content: bytes, envelope: OpenedEnvelope, letter: LetterFacts, behaviours: frozenset[Behaviour]
    ) -> None:
        if Behaviour.UNKNOWN in behaviours:
            self._desk.issue(EvidenceCode.NOT_DELIVERED, letter, Reason("UnknownRecipient", "no such account"))
            return
        if Behaviour.FULL in behaviours or self._standings.is_full(envelope.recipient, len(content)):
            self._desk.issue(EvidenceCode.NOT_DELIVERED, letter, Reason("MailboxFull", "the mailbox is full"))
            return
        self.store.add_mail(
            envelope.recipient.lower(), INBOX, content, kind="letter", message_id=envelope.message_id,
            received_at=self._clock.now(), original_message_id=letter.message_id, original_sha256=letter.digest.hex(),
        )  # fmt: skip
        self._desk.issue(EvidenceCode.DELIVERED, letter)

    async def _send_evidence(self, task_id: int, task: SendEvidence) -> None:
        evidence = self.store.evidence_called(task.identifier)
        mail = self._desk.compose_mail(evidence)
        local = self.plan.serves(evidence.sender)
        link = None if local else self._peers(evidence.sender)
        if link is not None:
            try:
                await link.send(self.plan.domain, evidence.sender, mail)
            except PeerUnreachableError:
                self._put_off(task_id, task, self._timing.relay_retry)
                return
            except PeerRefusedError:
                _log.exception("kep_evidence_refused", provider=self.plan.name, code=evidence.code)
        with self.store.transaction():
            if local:
                self._desk.place(evidence.sender, mail, evidence.xml)
            self.store.finish(task_id)

    def _prove_retrieval(self, task_id: int, task: ProveRetrieval) -> None:
        letter = None
        # Deleted meanwhile, or put there by the account's owner: nothing to prove.
        with contextlib.suppress(KeyError, MailRejectedError):
            letter = open_envelope(self.store.content(task.account, task.folder, task.uid)).letter()
        with self.store.transaction():
            if letter is not None and not self._desk.has_issued(EvidenceCode.READ, letter):
                self._desk.issue(EvidenceCode.READ, letter)
            self.store.finish(task_id)

    # Small parts

    def _sent(self, task_id: int, task: Examine | Relay) -> bytes | None:
        """The letter out of ``Sent``. None, and the task is over, if its owner has emptied the folder meanwhile."""
        try:
            return self.store.content(task.account, SENT, task.uid)
        except KeyError:
            _log.error("kep_letter_deleted_before_relay", account=task.account, uid=task.uid)
            self.store.finish(task_id)
            return None

    def _require_peer(self, envelope: OpenedEnvelope) -> None:
        signer = self._desk.signer_of(envelope)
        if signer not in self._trusted_peers:
            raise MailRejectedError("not signed by a known provider")

    def _put_in_transit(self, content: bytes, message_id: str, recipient: str, *, relayed: bool) -> None:
        waiting = self.store.add_mail(
            "", TRANSIT, content, kind="letter", message_id=message_id, received_at=self._clock.now()
        )
        self._note(TakeIn(waiting.uid, recipient, relayed))

    def _note(self, task: Task) -> None:
        self.store.add_task(*pack(task), due_at=self._clock.now())

    def _put_off(self, task_id: int, task: Task, pause: timedelta) -> None:
        self.store.postpone(task_id, self._clock.now() + pause, pack(task)[1])
