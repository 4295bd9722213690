"""Writing a 1.3 package, for recipients that read no other; step by step as ``writer`` does for 2.x.

    draft = OlderDraft.create(metadata, cover_letter=pdf, annex_files={annex_id: file})
    signed = draft.with_signature(sign(draft.digest_to_be_signed()))
    unsealed = signed.with_signatories(signatories, created=moment)
    package = unsealed.without_seal()  # or .with_seal(seal(unsealed.seal_to_be_signed()))

What differs (eyp.md 1.1, 2.2, 3.3): number and date stand in the metadata and are signed with it,
the recipients and the signers have a part of their own, each digest is taken once, the seal is
optional, nobody initials. Values only 2.x has an element for are refused, never left out in silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

from shared.errors import DomainError, ErrorCode
from shared.eyp.checks.content import check_party, check_signatories
from shared.eyp.digests import DigestAlgorithm
from shared.eyp.external import digested_externals
from shared.eyp.model import FinalMetadata, Generation, ManifestKind, Metadata, Party, Signatory
from shared.eyp.packaging import PartSource
from shared.eyp.rules import content as rules
from shared.eyp.wire.metadata_out import write_destinations, write_signatories
from shared.eyp.wire.names import Role
from shared.eyp.writing import (
    PRODUCER,
    FinishedPackage,
    PartialPackage,
    checked_document,
    content_parts,
    normalised,
    refuse,
    require_content,
    trimmed,
)

OLDER_VERSION = "1.3"
_CONTENT = (Role.DESTINATIONS, Role.COVER_LETTER, Role.METADATA, Role.ANNEX)
_WRITABLE = (DigestAlgorithm.SHA256, DigestAlgorithm.SHA512)
"""1.3 knows two more, which are retired."""


@dataclass(frozen=True)
class OlderDraft(PartialPackage):
    """Cover letter, annexes, metadata and destinations of 1.3; nothing signed yet."""

    @classmethod
    def create(
        cls,
        metadata: Metadata,
        *,
        cover_letter: PartSource,
        annex_files: Mapping[str, PartSource] | None = None,
        external_files: Mapping[str, PartSource] | None = None,
        destinations: Iterable[Party] | None = None,
        algorithm: DigestAlgorithm = DigestAlgorithm.SHA256,
    ) -> Self:
        """Fold names, check everything the rules say and digest the files.

        ``metadata`` carries number and date. ``destinations`` are the recipients this package is
        meant for, by default all of the distribution list. Files as for ``PackageDraft.create``.
        """
        if algorithm not in _WRITABLE:
            raise DomainError(ErrorCode.VALIDATION_FAILED, "1.3 packages are written with SHA-256 or SHA-512")
        algorithms = (algorithm,)
        metadata, external = digested_externals(normalised(metadata), external_files or {}, algorithms)
        parts = content_parts(metadata, Generation.V1, algorithms, cover_letter, annex_files or {})
        parties = _distinct(
            destinations
            if destinations is not None
            else (item.recipient for item in metadata.distributions if item.recipient is not None)
        )
        refuse(finding for party in parties for finding in check_party(party))
        document = checked_document(
            lambda: write_destinations(parties, Generation.V1), Role.DESTINATIONS, "Destinations", Generation.V1
        )
        draft = cls(Generation.V1, metadata, algorithms, parts)
        return cls(
            Generation.V1, metadata, algorithms, (*parts, draft._part(Role.DESTINATIONS, document)), external=external
        )

    def digest_to_be_signed(self) -> bytes:
        """The package digest: the exact bytes the letter's signature must carry as its content."""
        return self._manifest(ManifestKind.PACKAGE, _CONTENT)

    def with_signature(self, cms: bytes) -> OlderSigned:
        """Add the letter's signature: attached CMS (DER) over ``digest_to_be_signed``."""
        manifest = self.digest_to_be_signed()
        require_content(cms, manifest)
        added = (self._part(Role.PACKAGE_DIGEST, manifest), self._part(Role.SIGNATURE, cms))
        parts = self.parts + added
        return OlderSigned(self.generation, self.metadata, self.algorithms, parts, external=self.external)


@dataclass(frozen=True)
class OlderSigned(PartialPackage):
    """Signed; who signed is now known."""

    def with_further_signature(self, cms: bytes) -> Self:
        """Replace the signature file by the same file signed once more (serially, eyp.md 4.2).

        Raises SIGNATURE_INVALID if it carries other bytes or an earlier signature is missing in it.
        """
        return self._signed_again(Role.SIGNATURE, cms, self._manifest(ManifestKind.PACKAGE, _CONTENT))

    def with_signatories(
        self,
        signatories: Iterable[Signatory],
        *,
        created: datetime,
        producer: str = PRODUCER,
        core_id: UUID | None = None,
    ) -> OlderUnsealed:
        """Add the list of signers (at least one) and the core properties.

        ``created`` (aware) goes into the core properties and the ZIP's time fields. ``core_id``
        names the core properties part; by default the document id does.
        """
        listed = FinalMetadata(self.metadata.document_no, self.metadata.date, trimmed(tuple(signatories)))
        if not listed.signatories:
            refuse([rules.FINAL_INCOMPLETE.found(value="signatories")])
        refuse(check_signatories(listed))
        document = checked_document(
            lambda: write_signatories(listed.signatories), Role.SIGNATORIES, "Signatories", self.generation
        )
        added = (
            self._part(Role.SIGNATORIES, document),
            self._core(OLDER_VERSION, created, producer, core_id),
        )
        return OlderUnsealed(self.generation, self.metadata, self.algorithms, self.parts + added, created)


@dataclass(frozen=True)
class OlderUnsealed(PartialPackage):
    """Complete but for the institution's seal, which 1.3 does not insist on."""

    created: datetime

    def seal_to_be_signed(self) -> bytes:
        """The final digest: the exact bytes the seal must carry as its content."""
        return self._manifest(
            ManifestKind.FINAL, (*_CONTENT, Role.SIGNATORIES, Role.PACKAGE_DIGEST, Role.SIGNATURE, Role.CORE)
        )

    def without_seal(self) -> FinishedPackage:
        """The finished package with its final digest and no seal."""
        added = self._part(Role.FINAL_DIGEST, self.seal_to_be_signed())
        return FinishedPackage(self.generation, self.metadata, self.algorithms, (*self.parts, added), self.created)

    def with_seal(self, cms: bytes) -> FinishedPackage:
        """The finished package with a seal: attached CMS (DER) over ``seal_to_be_signed``."""
        require_content(cms, self.seal_to_be_signed())
        unsealed = self.without_seal()
        return FinishedPackage(
            self.generation,
            self.metadata,
            self.algorithms,
            (*unsealed.parts, self._part(Role.SEAL, cms)),
            self.created,
        )


def _distinct(parties: Iterable[Party]) -> tuple[Party, ...]:
    """Each party once, in order: a recipient may stand in the distribution list for action and for information."""
    return tuple(dict.fromkeys(map(trimmed, parties)))


__all__ = ["OLDER_VERSION", "OlderDraft", "OlderSigned", "OlderUnsealed"]
