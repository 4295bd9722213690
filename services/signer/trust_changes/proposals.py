"""The queue of a store: what somebody proposes, what officers have signed of it, and how it becomes a version.

A proposal holds the complete next manifest, so that officers sign exactly what will be in use. It was made for one
base version: once another version follows that one, it is stale and has to be made again.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from services.signer.certificates import Certificate
from services.signer.trust_changes.documents import (
    ChangeRefused,
    StoreUnreadable,
    as_json,
    canonical,
    digest_of,
    parse,
    read_document,
    write_new,
    write_over,
)
from services.signer.trust_changes.manifest import (
    ANCHORS,
    Entry,
    Manifest,
    Moment,
    Name,
    OfficerSignature,
    Sha256,
    Version,
    Words,
)
from services.signer.trust_changes.officers import Officers
from services.signer.trust_changes.versions import Head, decode_certificate

_ID = re.compile(r"\d{8}-[0-9a-f]{12}")
_WAITING = 200
"""Proposals in the queue."""
_APPROVAL_LIMIT = 16 * 1024


class Proposal(BaseModel):
    """One change of the store, not yet approved."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    proposed_by: Name
    """As he called himself; nothing rests on it."""
    manifest: dict[str, Any]
    """The next version as it will be signed."""
    certificates: dict[Sha256, str] = Field(max_length=ANCHORS)
    """Base64 of those that are not in the store yet."""
    notes: dict[Sha256, tuple[Words, ...]] = {}
    """What was seen where they came from."""

    @property
    def proposal_id(self) -> str:
        """Day and digest: two different proposals never share it."""
        return f"{str(self.manifest.get('created', ''))[:10].replace('-', '')}-{self.sha256[:12]}"

    @property
    def sha256(self) -> str:
        """Of the manifest that officers sign."""
        return digest_of(self.manifest)

    def parsed(self) -> Manifest:
        """The manifest; raises ``StoreUnreadable``."""
        return parse(self.manifest, Manifest, "the proposal")

    def new_certificates(self) -> dict[str, Certificate]:
        """Those that came with it, by fingerprint; raises ``StoreUnreadable``."""
        found = {}
        for sha256, text in self.certificates.items():
            try:
                encoded = base64.b64decode(text, validate=True)
            except (binascii.Error, ValueError) as error:
                raise StoreUnreadable(f"certificate {sha256} of the proposal: not base64") from error
            found[sha256] = decode_certificate(encoded, sha256, f"certificate {sha256} of the proposal")
        return found


class Rejection(BaseModel):
    """A proposal that was turned down."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    rejected_by: Name
    rejected_at: Moment
    reason: Words
    proposal: Proposal


@dataclass(frozen=True)
class Addition:
    """A certificate to trust, and for what."""

    certificate: Certificate
    purposes: tuple[str, ...]
    source: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Change:
    """What is asked for."""

    additions: tuple[Addition, ...] = ()
    removals: frozenset[str] = frozenset()
    ends: Mapping[str, datetime | None] = field(default_factory=dict)
    """Fingerprint to the new end; None takes the end away."""
    comment: str = ""
    renewal: bool = False
    """Only to have the same set signed again, when officers change."""


def make_proposal(
    base: Head | None, base_approved_by: tuple[str, ...], change: Change, by: str, now: datetime
) -> Proposal:
    """The proposal for ``change`` against the last version; pure.

    Args:
        base: the last version, None in a new store.
        base_approved_by: whose signatures that version has.
        change: what is asked for; an addition of a certificate that is removed as well replaces its entry.
        by: who proposes.
        now: the time of the proposal (aware).

    Raises:
        ChangeRefused: nothing would change, or a fingerprint is not in the store.
        StoreUnreadable: more certificates or longer texts than a manifest holds.
    """
    version = 1 if base is None else base.number + 1
    if base is not None and base.manifest.created > now:
        raise ChangeRefused("the last version was made later than now: a clock is wrong, here or where that was made")
    before = {} if base is None else base.manifest.by_sha256()
    entries = {sha256: _carried(entry, version - 1, base_approved_by) for sha256, entry in before.items()}
    for sha256 in change.removals:
        if entries.pop(sha256, None) is None:
            raise ChangeRefused(f"{sha256} is not in the store")
    fresh: dict[str, Certificate] = {}
    for addition in change.additions:
        certificate, known = addition.certificate, entries.get(addition.certificate.sha256)
        if known is not None:
            purposes = tuple(sorted({*known.purposes, *addition.purposes}))
            entries[known.sha256] = _changed(known, purposes=purposes)
            continue
        told = {"purposes": addition.purposes, "source": addition.source, "comment": change.comment}
        origin = {"added_by": by, "since_version": version}
        place = f"certificate {certificate.sha256}"
        entries[certificate.sha256] = parse(Entry.told_by(certificate) | told | origin, Entry, place)
        fresh[certificate.sha256] = certificate
    for sha256, end in change.ends.items():
        if sha256 not in entries:
            raise ChangeRefused(f"{sha256} is not in the store")
        entries[sha256] = _changed(entries[sha256], valid_for_signatures_until=end)
    if not change.renewal and all(
        _asked_of(entries.get(sha256)) == _asked_of(before.get(sha256)) for sha256 in {*entries, *before}
    ):
        raise ChangeRefused("nothing would change")
    value = {
        "version": version,
        "previous_sha256": None if base is None else base.version.sha256,
        "created": now,
        "comment": change.comment,
        "anchors": [entries[sha256] for sha256 in sorted(entries)],
    }
    return Proposal(
        proposed_by=by,
        manifest=as_json(parse(value, Manifest, "the proposal")),
        certificates={sha: base64.b64encode(item.der).decode() for sha, item in fresh.items() if sha not in before},
        notes={item.certificate.sha256: item.notes for item in change.additions if item.notes},
    )


def _asked_of(entry: Entry | None) -> object:
    return None if entry is None else (entry.purposes, entry.valid_for_signatures_until)


def _carried(entry: Entry, version: int, approved_by: tuple[str, ...]) -> Entry:
    return _changed(entry, approved_by=approved_by) if entry.since_version == version else entry


def _changed(entry: Entry, **fields: Any) -> Entry:
    return parse(entry.model_dump() | fields, Entry, f"certificate {entry.sha256}")


class Queue:
    """The proposals of one store on disk."""

    def __init__(self, store: Path) -> None:
        self._pending = store / "pending"
        self._rejected = store / "rejected"

    def put(self, proposal: Proposal) -> str:
        """Keep a proposal; return its id. Raises ``ChangeRefused`` when the queue is full."""
        if len(self.ids()) >= _WAITING:
            raise ChangeRefused(f"{_WAITING} proposals wait already")
        write_new(self._path(proposal.proposal_id), canonical(as_json(proposal)))
        return proposal.proposal_id

    def ids(self) -> tuple[str, ...]:
        """What waits, oldest day first."""
        if not self._pending.is_dir():
            return ()
        files = (path for path in self._pending.iterdir() if path.suffix == ".json")
        return tuple(sorted(path.stem for path in files if _ID.fullmatch(path.stem)))

    def get(self, proposal_id: str) -> Proposal:
        """One of them; raises ``StoreUnreadable``, also for a file that is not the one its name says."""
        proposal = read_document(self._path(proposal_id), Proposal)
        # Before anything is computed over it: what is no manifest may have no canonical form.
        proposal.parsed()
        if proposal.proposal_id != proposal_id:
            raise StoreUnreadable(f"{self._path(proposal_id)}: altered since it was proposed")
        return proposal

    def approve(self, proposal_id: str, signature: OfficerSignature) -> None:
        """Keep an officer's signature; one key has one."""
        path = self._path(proposal_id).with_suffix("") / f"{signature.key_sha256}.json"
        write_over(path, canonical(as_json(signature)))

    def signatures(self, proposal_id: str, officers: Officers) -> tuple[OfficerSignature, ...]:
        """What the officers' keys signed of it; files of other keys are not looked at."""
        directory = self._path(proposal_id).with_suffix("")
        paths = [directory / f"{officer.key_sha256}.json" for officer in officers.officers]
        return tuple(read_document(path, OfficerSignature, _APPROVAL_LIMIT) for path in paths if path.exists())

    def reject(self, proposal_id: str, by: str, reason: str, now: datetime) -> None:
        """Take a proposal out of the queue and keep it with who turned it down; raises ``StoreUnreadable``."""
        value = {"rejected_by": by, "rejected_at": now, "reason": reason, "proposal": self.get(proposal_id)}
        rejection = parse(value, Rejection, "the rejection")
        write_over(self._rejected / f"{proposal_id}.json", canonical(as_json(rejection)))
        self.drop(proposal_id)

    def drop(self, proposal_id: str) -> None:
        """Take a proposal and its approvals out of the queue."""
        path = self._path(proposal_id)
        directory = path.with_suffix("")
        for approval in directory.iterdir() if directory.is_dir() else ():
            approval.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            directory.rmdir()
        path.unlink(missing_ok=True)

    def _path(self, proposal_id: str) -> Path:
        if not _ID.fullmatch(proposal_id):
            raise StoreUnreadable(f"{proposal_id[:40]}: no id of a proposal")
        return self._pending / f"{proposal_id}.json"


def is_stale(proposal: Proposal, last: Head | None) -> bool:
    """Whether the proposal was made for another version than the last one; raises ``StoreUnreadable``."""
    manifest = proposal.parsed()
    expected = (1, None) if last is None else (last.number + 1, last.version.sha256)
    return (manifest.version, manifest.previous_sha256) != expected


def version_of(proposal: Proposal, signatures: Iterable[OfficerSignature], officers: Officers) -> Version:
    """The version that these signatures make of a proposal; those that do not hold are left out.

    Raises ``ChangeRefused`` when they are not of enough different persons.
    """
    counted = []
    for signature in signatures:
        alone = Version(manifest=proposal.manifest, signatures=(signature,))
        if officers.signed_by(alone):
            counted.append(signature)
    version = Version(manifest=proposal.manifest, signatures=tuple(counted))
    persons = officers.signed_by(version)
    if not officers.enough(persons):
        raise ChangeRefused(f"approved by {len(persons)} of {officers.threshold} persons")
    return version
