"""A proposal becomes the version in use: one step on disk, which one of several at the same time can take."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from services.signer.trust_changes.documents import ChangeRefused
from services.signer.trust_changes.officers import Officers
from services.signer.trust_changes.proposals import Queue, is_stale, version_of
from services.signer.trust_changes.versions import (
    Head,
    append,
    chain,
    read_certificates,
    read_last,
    write_certificates,
)


def activate(store: Path, proposal_id: str, officers: Officers) -> Head:
    """Make a proposal the last version and return that; a second call for the same one changes nothing.

    The certificates are written first, then the version by a link that fails if its name is taken, then the
    proposal is taken out of the queue. Ended in between, the store is as before or as after.

    Raises:
        ChangeRefused: too few approvals, or another version came in between.
        StoreUnreadable: the store, the proposal or a certificate is missing or altered.
    """
    queue = Queue(store)
    proposal = queue.get(proposal_id)
    manifest = proposal.parsed()
    last = read_last(store)
    if last is not None and last.version.sha256 == proposal.sha256:
        queue.drop(proposal_id)
        return last
    if is_stale(proposal, last):
        raise ChangeRefused("another version came in between: propose it again")
    if last is not None:
        # A store that is not in order gets no further version: the new one would vouch for it.
        deque(chain(store, last), maxlen=0)
        if manifest.created < last.manifest.created:
            raise ChangeRefused("the proposal says that it was made before the last version")
    version = version_of(proposal, queue.signatures(proposal_id, officers), officers)
    write_certificates(store, proposal.new_certificates().values())
    read_certificates(store, manifest)
    append(store, version)
    queue.drop(proposal_id)
    activated = read_last(store)
    assert activated is not None
    return activated
