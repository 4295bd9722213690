"""The packages of a letter, read from the store; an encrypted one is opened through signer, and leaves nothing behind.

What was decrypted lies in a file without a name while it is judged. It is never stored: whoever may have it gets
it opened anew.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from typing import BinaryIO, cast

from services.kep_relay.inbound.budget import ByteBudget
from services.kep_relay.inbound.mapped import open_stored
from services.kep_relay.inbound.package import OpenedPackage, open_package
from shared.blobs import BlobStore
from shared.clients.opening import Decrypted, open_envelope, opening_outcome
from shared.clients.signer import SignerClient
from shared.contracts.envelopes import PackageOpening
from shared.contracts.inbound import PackageFinding
from shared.domain.verdict import Conclusion
from shared.errors import DomainError
from shared.eyp import Severity

MOST_PACKAGES = 20
"""Of one letter; more of them are not looked into, so that a mail of hundreds cannot keep everybody waiting."""
KEY_MAY_COME = frozenset({PackageOpening.NO_KEY, PackageOpening.NOT_A_RECIPIENT})
"""A key that is added later may open these."""
NOT_OPENED = PackageFinding(
    rule="R.83.closed", severity=Severity.IMPORTANT.value, part=None, message_tr="Şifreli paket açılamadı.",
    message_en="The encrypted package cannot be opened.",
)  # fmt: skip
"""The one text for every envelope that stays closed (record 0019): whatever goes back to a sender says no more."""
_UNREAD = OpenedPackage(
    acceptable=False, encrypted=False, document_id=None, document_no=None, components=(), findings=()
)


class LetterPackages:
    """Reads packages. At most so much of them as the mail budget allows is in memory at the same time."""

    def __init__(self, blobs: BlobStore, signer: SignerClient, budget: ByteBudget, *, max_bytes: int) -> None:
        self._blobs = blobs
        self._signer = signer
        self._budget = budget
        self._max_bytes = max_bytes

    async def look(self, sha256s: Sequence[str]) -> list[tuple[str, OpenedPackage]]:
        """Each package by its digest, encrypted ones as far as they can be seen. Raises as the store does.

        Beyond ``MOST_PACKAGES`` there is one more, of which nothing is known. Of several packages only the degrees
        count: they come without ``components``, which together would fill the memory.
        """
        alone = len(sha256s) == 1
        found = [(sha256, await self._read(sha256, alone=alone)) for sha256 in sha256s[:MOST_PACKAGES]]
        return found + [(sha256, _UNREAD) for sha256 in sha256s[MOST_PACKAGES : MOST_PACKAGES + 1]]

    async def open(self, sha256: str, package: OpenedPackage, institution_no: int, *, alone: bool) -> OpenedPackage:
        """The same with what is in its envelope, or with the reason why that stayed closed.

        Unless it is ``alone`` in its letter it has no ``components``, as from ``look``. Raises ``DomainError`` as
        the store does, and when signer cannot be asked now.
        """
        if not package.encrypted:
            return package
        if package.envelope is None:
            return _closed(package, PackageOpening.MALFORMED)
        async with open_stored(self._blobs, sha256, limit=self._max_bytes) as stored:
            file = cast("BinaryIO", stored.file)
            with tempfile.TemporaryFile() as envelope, tempfile.TemporaryFile() as content:
                try:
                    decrypted = await open_envelope(
                        self._signer, file, package.envelope, institution_no=institution_no, envelope=envelope,
                        content=content, limit=self._max_bytes,
                    )  # fmt: skip
                except DomainError as error:
                    outcome = opening_outcome(error)
                    if outcome is None:
                        raise
                    return _closed(package, outcome)
                opened = await self._judged(file, decrypted, package)
        return opened if alone else replace(opened, components=())

    async def _read(self, sha256: str, *, alone: bool) -> OpenedPackage:
        async with (
            open_stored(self._blobs, sha256, limit=self._max_bytes) as stored,
            self._budget.hold(len(stored.content)),
        ):
            found = await asyncio.to_thread(open_package, cast("BinaryIO", stored.file))
        return found if alone else replace(found, components=())

    async def _judged(self, outside: BinaryIO, decrypted: Decrypted, package: OpenedPackage) -> OpenedPackage:
        async with self._budget.hold(decrypted.size):
            found = await asyncio.to_thread(open_package, outside, decrypted.file)
        if found.opening is not PackageOpening.OPENED:
            return _closed(package, PackageOpening.CANNOT_BE_OPENED)
        return replace(found, opened_sha256=decrypted.sha256, opened_size=decrypted.size)


def closed_conclusion(opening: PackageOpening | None) -> Conclusion:
    """What an envelope adds to the letter's conclusion: nothing is known of what nobody here can open."""
    if opening in KEY_MAY_COME:
        return Conclusion.INDETERMINATE
    return Conclusion.PASSED if opening in {None, PackageOpening.OPENED} else Conclusion.FAILED


def _closed(package: OpenedPackage, outcome: PackageOpening) -> OpenedPackage:
    return replace(package, opening=outcome, findings=(NOT_OPENED, *package.findings))
