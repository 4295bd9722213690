"""The managed store as verification has it: the last version, if enough officers signed it and nothing is older."""

from __future__ import annotations

from pathlib import Path

from services.signer.trust import TrustDirectory, TrustStore, TrustUnreadable
from services.signer.trust_changes.documents import StoreUnreadable
from services.signer.trust_changes.manifest import store_of
from services.signer.trust_changes.officers import Officers, read_officers
from services.signer.trust_changes.versions import Head, chain, read_certificates, read_last


def accepted_head(store: Path, officers: Officers, *, since: Head | None = None, at_least: int = 1) -> Head:
    """The last version of a store, signed by enough persons and continuing what was accepted before.

    Args:
        store: the directory.
        officers: whose signatures count.
        since: the version accepted before, if any.
        at_least: the lowest version number the operator accepts.

    Raises:
        StoreUnreadable: it is not signed by enough, it is older, or it does not continue ``since``.
    """
    head = read_last(store)
    if head is None:
        raise StoreUnreadable(f"{store}: holds no version yet; the first is made with kepgw trust")
    lowest = max(at_least, since.number if since is not None else 1)
    if head.number < lowest:
        raise StoreUnreadable(f"{store}: version {head.number} is older than version {lowest}, which was in use")
    signed_by = officers.signed_by(head.version)
    if not officers.enough(signed_by):
        raise StoreUnreadable(
            f"{store}: version {head.number} is signed by {len(signed_by)} of {officers.threshold} persons"
        )
    for link in chain(store, head, down_to=since.number if since is not None else 1):
        if since is not None and link.number == since.number and link.version.sha256 != since.version.sha256:
            raise StoreUnreadable(f"{store}: version {since.number} is another one than was in use")
    return head


class ManagedTrust(TrustDirectory):
    """A ``TrustDirectory`` whose set is the last accepted version; its officers' file is read anew each time."""

    def __init__(
        self, directory: Path, officers_file: Path, *, officers_sha256: str | None = None, at_least: int = 1
    ) -> None:
        if officers_file.resolve().is_relative_to(directory.resolve()):
            raise TrustUnreadable(f"{officers_file}: lies in the store whose officers it names")
        self._officers_file = officers_file
        self._officers_sha256 = officers_sha256
        self._at_least = at_least
        self._head: Head | None = None
        self._approved_by: tuple[str, ...] = ()
        super().__init__(directory)

    @property
    def version(self) -> int:
        """Of the version in use."""
        return self._head.number if self._head is not None else 0

    @property
    def approved_by(self) -> tuple[str, ...]:
        """The persons whose signatures brought the set in use."""
        return self._approved_by

    @property
    def comment(self) -> str:
        """What the set in use was made for, in its proposer's words."""
        return self._head.manifest.comment if self._head is not None else ""

    def _load(self) -> TrustStore:
        try:
            officers = read_officers(self._officers_file, self._officers_sha256)
            head = accepted_head(self._directory, officers, since=self._head, at_least=self._at_least)
            store = store_of(head.manifest, read_certificates(self._directory, head.manifest))
        except StoreUnreadable as error:
            raise TrustUnreadable(str(error)) from error
        self._head, self._approved_by = head, officers.signed_by(head.version)
        return store

    def _files(self) -> list[Path]:
        return [*super()._files(), self._officers_file]
