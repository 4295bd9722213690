"""What ``kepgw trust`` asks of a store; each command returns what is shown, and changes the disk only as it says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import zip_longest
from pathlib import Path
from typing import Any

from services.signer.certificates import Certificate
from services.signer.trust_changes.activation import activate
from services.signer.trust_changes.differences import Difference, differences, from_groups
from services.signer.trust_changes.documents import ChangeRefused, StoreUnreadable, write_new
from services.signer.trust_changes.manifest import Manifest, Version, store_of
from services.signer.trust_changes.officers import Officers, load_key, new_key, sign
from services.signer.trust_changes.proposals import Change, Proposal, Queue, is_stale, make_proposal
from services.signer.trust_changes.versions import (
    Head,
    chain,
    read_certificates,
    read_last,
)

_CLOCKS_APART = timedelta(minutes=5)


@dataclass(frozen=True)
class Store:
    """A store's directory and who may change it."""

    directory: Path
    officers: Officers
    now: datetime

    def propose(self, change: Change, by: str) -> dict[str, Any]:
        """Put a change into the queue and show it; raises as ``make_proposal``."""
        last = read_last(self.directory)
        approved_by = () if last is None else self.officers.signed_by(last.version)
        proposal = make_proposal(last, approved_by, change, by, self.now)
        shown = self._shown(proposal)
        Queue(self.directory).put(proposal)
        return shown

    def pending(self) -> dict[str, Any]:
        """What waits, in short."""
        queue, last = Queue(self.directory), read_last(self.directory)
        return {"pending": [self._short(queue, proposal_id, last) for proposal_id in queue.ids()]}

    def _short(self, queue: Queue, proposal_id: str, last: Head | None) -> dict[str, Any]:
        try:
            proposal = queue.get(proposal_id)
            manifest = proposal.parsed()
        except StoreUnreadable as error:
            return {"proposal": proposal_id, "fault": str(error)}
        return {
            "proposal": proposal_id,
            "version": manifest.version,
            "proposed_by": proposal.proposed_by,
            "comment": manifest.comment,
            "approved_by": list(self._approved_by(proposal)),
            "stale": is_stale(proposal, last),
        }

    def show(self, proposal_id: str) -> dict[str, Any]:
        """A proposal with every difference it makes to the set in use."""
        return self._shown(Queue(self.directory).get(proposal_id))

    def approve(
        self,
        proposal_id: str,
        key_file: Path,
        passphrase: str,
        fingerprints: Iterable[str],
        manifest_sha256: str | None,
    ) -> dict[str, Any]:
        """Sign a proposal with an officer's key.

        Args:
            proposal_id: which.
            key_file: the officer's key.
            passphrase: opens it.
            fingerprints: as taken from the issuers' own publications: every certificate that would gain trust must
                be among them.
            manifest_sha256: what the officer was shown, if he was shown something.

        Raises:
            ChangeRefused: a fingerprint is missing, the key is no officer's, or the proposal is stale or another one.
            StoreUnreadable: the key, the proposal or the store cannot be read.
        """
        queue = Queue(self.directory)
        proposal = queue.get(proposal_id)
        if manifest_sha256 is not None and proposal.sha256 != manifest_sha256:
            raise ChangeRefused("the proposal is another one than was shown")
        if is_stale(proposal, read_last(self.directory)):
            raise ChangeRefused("another version came in between: propose it again")
        if proposal.parsed().created > self.now + _CLOCKS_APART:
            raise ChangeRefused("the proposal says that it was made in the future: nothing could follow it until then")
        compared = {from_groups(text) for text in fingerprints}
        for difference in self._differences(proposal):
            if difference.gains_trust and difference.certificate.sha256 not in compared:
                certificate = difference.certificate
                raise ChangeRefused(
                    f"nobody compared the fingerprint of {certificate.subject_name} ({certificate.sha256[:16]})"
                )
        signature = sign(load_key(key_file, passphrase), proposal.manifest)
        officer = self.officers.who(signature.key_sha256)
        if officer is None or officer.retired is not None:
            raise ChangeRefused(f"{key_file}: not the key of an officer")
        queue.approve(proposal_id, signature)
        persons = self._approved_by(proposal)
        return {
            "proposal": proposal_id,
            "officer": officer.name,
            "approved_by": list(persons),
            "threshold": self.officers.threshold,
            "may_be_activated": self.officers.enough(persons),
        }

    def reject(self, proposal_id: str, by: str, reason: str) -> dict[str, Any]:
        """Take a proposal out of the queue; it is kept in ``rejected/``."""
        Queue(self.directory).reject(proposal_id, by, reason, self.now)
        return {"proposal": proposal_id, "rejected_by": by}

    def activate(self, proposal_id: str) -> dict[str, Any]:
        """Make a proposal the version in use; raises as ``activation.activate``."""
        head = activate(self.directory, proposal_id, self.officers)
        return self._described(head)

    def history(self) -> dict[str, Any]:
        """All versions, the last first, with who approved them and what they changed."""
        heads = self._heads()
        lines = []
        for head, before in zip_longest(heads, heads[1:]):
            old = {} if before is None else before.manifest.by_sha256()
            new = head.manifest.by_sha256()
            lines.append(
                self._line(head)
                | {
                    "comment": head.manifest.comment,
                    "anchors": len(new),
                    "added": [f"{new[sha].subject} ({sha[:16]})" for sha in sorted(new.keys() - old.keys())],
                    "removed": [f"{old[sha].subject} ({sha[:16]})" for sha in sorted(old.keys() - new.keys())],
                }
            )
        return {"versions": lines}

    def export(self, number: int | None, target: Path) -> dict[str, Any]:
        """Write a version's certificates as a plain trust directory, for programs that read one.

        Args:
            number: of the version; None for the last.
            target: a directory that does not exist yet.

        Raises:
            ChangeRefused: ``target`` exists, or there is no such version, or it is not signed by enough persons.
            StoreUnreadable: the store is not in order.
        """
        heads = self._heads()
        head = next((item for item in heads if number in (None, item.number)), None)
        if head is None or not self._line(head)["enough"]:
            raise ChangeRefused("no such version, or too few persons signed it")
        certificates = read_certificates(self.directory, head.manifest)
        try:
            target.mkdir(parents=True)
        except FileExistsError as error:
            raise ChangeRefused(f"{target}: is there already") from error
        for entry in head.manifest.anchors:
            for purpose in entry.purposes:
                write_new(target / purpose / f"{entry.sha256}.der", certificates[entry.sha256].der)
        ended = [entry.sha256 for entry in head.manifest.anchors if entry.valid_for_signatures_until is not None]
        # A plain directory knows no ends: what it is used for must not pass for a verdict of this store.
        return self._line(head) | {"directory": str(target), "ends_not_exported": ended}

    def verify(self) -> dict[str, Any]:
        """Check the whole chain of versions, every signature and every certificate.

        ``good`` is whether the last version may be used; an older version that fewer persons signed, by the
        officers known today, is told and spoils nothing: what counts is that the last one continues it.
        """
        heads = self._heads()
        if not heads:
            raise StoreUnreadable(f"{self.directory}: holds no version yet")
        return self._described(heads[0]) | {
            "good": self.officers.enough(self.officers.signed_by(heads[0].version)),
            "versions": [self._line(head) for head in heads],
        }

    def _heads(self) -> list[Head]:
        last = read_last(self.directory)
        return [] if last is None else list(chain(self.directory, last))

    def _line(self, head: Head) -> dict[str, Any]:
        persons = self.officers.signed_by(head.version, created=head.manifest.created)
        return {
            "version": head.number,
            "created": head.manifest.created.isoformat(),
            "sha256": head.version.sha256,
            "trust_store_sha256": self._name(head),
            "approved_by": list(persons),
            "enough": self.officers.enough(persons),
        }

    def _name(self, head: Head) -> str:
        return store_of(head.manifest, read_certificates(self.directory, head.manifest)).sha256

    def _described(self, head: Head) -> dict[str, Any]:
        return {
            "version": head.number,
            "trust_store_sha256": self._name(head),
            "approved_by": list(self.officers.signed_by(head.version)),
            "anchors": len(head.manifest.anchors),
        }

    def _approved_by(self, proposal: Proposal) -> tuple[str, ...]:
        signatures = Queue(self.directory).signatures(proposal.proposal_id, self.officers)
        return self.officers.signed_by(Version(manifest=proposal.manifest, signatures=signatures))

    def _shown(self, proposal: Proposal) -> dict[str, Any]:
        manifest = proposal.parsed()
        last = read_last(self.directory)
        persons = self._approved_by(proposal)
        return {
            "proposal": proposal.proposal_id,
            "manifest_sha256": proposal.sha256,
            "version": manifest.version,
            "proposed_by": proposal.proposed_by,
            "created": manifest.created.isoformat(),
            "comment": manifest.comment,
            "stale": is_stale(proposal, last),
            "set_in_use": self._in_use_text(last),
            "changes": [difference.as_json() for difference in self._differences(proposal)],
            "approved_by": list(persons),
            "threshold": self.officers.threshold,
            "may_be_activated": self.officers.enough(persons) and not is_stale(proposal, last),
        }

    def _differences(self, proposal: Proposal) -> tuple[Difference, ...]:
        manifest, in_use = proposal.parsed(), self._in_use(read_last(self.directory))
        certificates: dict[str, Certificate] = proposal.new_certificates()
        kept = [entry for entry in manifest.anchors if entry.sha256 not in certificates]
        for entries in (kept, () if in_use is None else in_use.anchors):
            certificates |= read_certificates(self.directory, manifest.model_copy(update={"anchors": tuple(entries)}))
        return differences(in_use, manifest, certificates, self.now, notes=proposal.notes)

    def _in_use(self, last: Head | None) -> Manifest | None:
        """The last version, if the officers of today signed it: else nothing in it is taken for granted."""
        if last is None or not self.officers.enough(self.officers.signed_by(last.version)):
            return None
        return last.manifest

    def _in_use_text(self, last: Head | None) -> str:
        if last is None:
            return "none: this would be the first version"
        if self._in_use(last) is None:
            return (
                f"version {last.number} is not signed by enough of today's officers: everything in it is shown as new"
            )
        return f"version {last.number}"


def make_officer(name: str, key_file: Path, passphrase: str) -> dict[str, Any]:
    """Make an officer's key; return the entry for the officers' file."""
    officer = new_key(name, key_file, passphrase)
    return {"name": officer.name, "public_key": officer.public_key, "key_sha256": officer.key_sha256}
