"""Writing a 2.0 or 2.1 package, one immutable step per thing that must happen in order (eyp.md 3.3).

    draft = PackageDraft.create(metadata, cover_letter=pdf, annex_files={annex_id: file})
    signed = draft.with_signature(sign(draft.digest_to_be_signed()))
    unsealed = signed.with_final_metadata(final, created=moment)
    package = unsealed.with_seal(seal(unsealed.seal_to_be_signed()))
    package.write_to(file)

Signing happens elsewhere. Every step raises ``DomainError``: VALIDATION_FAILED for content the
rules forbid, SIGNATURE_INVALID for a CMS file made over other bytes. The same inputs give the same
package, byte for byte (with one version of zlib), so a step can be taken again from its inputs in
another process. ``writer_older`` writes 1.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self
from uuid import UUID

from shared.errors import DomainError, ErrorCode
from shared.eyp.checks.content import check_final_metadata, check_validity
from shared.eyp.digests import ALLOWED, DigestAlgorithm
from shared.eyp.external import digested_externals
from shared.eyp.model import FinalMetadata, Generation, ManifestKind, Metadata
from shared.eyp.packaging import PartSource
from shared.eyp.wire.metadata_out import write_final_metadata
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

VERSION = "2.0"
VERSIONS = (VERSION, "2.1")
"""What may be written; the official library writes 2.0 for letters to this day (eyp.md 1.4)."""
_SIGNED = (Role.METADATA, Role.COVER_LETTER, Role.INITIALS_DIGEST, Role.INITIALS, Role.ANNEX)
_DEFAULT_ALGORITHMS = (DigestAlgorithm.SHA384, DigestAlgorithm.SHA512)


@dataclass(frozen=True)
class PackageDraft(PartialPackage):
    """Cover letter, annexes and metadata; nothing signed yet, initials at most."""

    @classmethod
    def create(
        cls,
        metadata: Metadata,
        *,
        cover_letter: PartSource,
        annex_files: Mapping[str, PartSource] | None = None,
        external_files: Mapping[str, PartSource] | None = None,
        algorithms: tuple[DigestAlgorithm, DigestAlgorithm] = _DEFAULT_ALGORITHMS,
    ) -> Self:
        """Fold names, check everything the rules say and digest the files.

        ``annex_files`` maps annex ids to the files of annexes of kind FILE. A source is bytes or a
        callable that opens the file anew (it is read once here and once when writing). ``external_files`` maps those
        of kind EXTERNAL to what lies at their address, which is digested and stays outside.
        """
        if len(set(algorithms)) != 2 or DigestAlgorithm.SHA512 not in algorithms:
            raise DomainError(ErrorCode.VALIDATION_FAILED, "two digests are taken, one of them SHA-512")
        if not ALLOWED[Generation.V2].issuperset(algorithms):
            raise DomainError(ErrorCode.VALIDATION_FAILED, "a digest algorithm is not allowed in 2.x")
        metadata, external = digested_externals(normalised(metadata), external_files or {}, algorithms)
        parts = content_parts(metadata, Generation.V2, algorithms, cover_letter, annex_files or {})
        return cls(Generation.V2, metadata, algorithms, parts, external=external)

    def initials_to_be_signed(self) -> bytes:
        """The initials digest: what those who prepared the letter sign first, if they do."""
        return self._manifest(ManifestKind.INITIALS, (Role.METADATA, Role.COVER_LETTER, Role.ANNEX))

    def with_initials(self, cms: bytes) -> Self:
        """Add the initials: an attached CMS signature over ``initials_to_be_signed``.

        Whoever initials next signs the same file again: a second call takes the file with both and
        raises SIGNATURE_INVALID if the first is missing in it.
        """
        manifest = self.initials_to_be_signed()
        if any(part.role is Role.INITIALS for part in self.parts):
            return self._signed_again(Role.INITIALS, cms, manifest)
        require_content(cms, manifest)
        added = (self._part(Role.INITIALS_DIGEST, manifest), self._part(Role.INITIALS, cms))
        return replace(self, parts=self.parts + added)

    def digest_to_be_signed(self) -> bytes:
        """The package digest: the exact bytes the letter's signature must carry as its content."""
        return self._manifest(ManifestKind.PACKAGE, _SIGNED)

    def with_signature(self, cms: bytes) -> SignedPackage:
        """Add the letter's signature: attached CMS (DER) over ``digest_to_be_signed``."""
        manifest = self.digest_to_be_signed()
        require_content(cms, manifest)
        added = (self._part(Role.PACKAGE_DIGEST, manifest), self._part(Role.SIGNATURE, cms))
        parts = self.parts + added
        return SignedPackage(self.generation, self.metadata, self.algorithms, parts, external=self.external)


@dataclass(frozen=True)
class SignedPackage(PartialPackage):
    """Signed; number and date are now known."""

    def with_further_signature(self, cms: bytes) -> Self:
        """Replace the signature file by the same file signed once more (serially, eyp.md 4.2).

        Raises SIGNATURE_INVALID if it carries other bytes or an earlier signature is missing in it.
        """
        return self._signed_again(Role.SIGNATURE, cms, self._manifest(ManifestKind.PACKAGE, _SIGNED))

    def with_final_metadata(
        self,
        final: FinalMetadata,
        *,
        created: datetime,
        producer: str = PRODUCER,
        core_id: UUID | None = None,
        version: str = VERSION,
    ) -> UnsealedPackage:
        """Add final metadata and core properties.

        ``created`` (aware) goes into the core properties and the ZIP's time fields. ``core_id``
        names the core properties part; by default the document id does. ``version`` is one of
        ``VERSIONS``.
        """
        if version not in VERSIONS:
            raise DomainError(ErrorCode.VALIDATION_FAILED, "letters of this version cannot be written")
        final = trimmed(final)
        refuse([*check_final_metadata(final), *check_validity(self.metadata, final.date)])
        document = checked_document(
            lambda: write_final_metadata(final), Role.FINAL_METADATA, "FinalMetadata", self.generation
        )
        added = (
            self._part(Role.FINAL_METADATA, document),
            self._core(version, created, producer, core_id),
        )
        return UnsealedPackage(self.generation, self.metadata, self.algorithms, self.parts + added, created)


@dataclass(frozen=True)
class UnsealedPackage(PartialPackage):
    """Complete but for the institution's seal."""

    created: datetime

    def seal_to_be_signed(self) -> bytes:
        """The final digest: the exact bytes the seal must carry as its content."""
        return self._manifest(
            ManifestKind.FINAL,
            (
                Role.METADATA,
                Role.COVER_LETTER,
                Role.INITIALS_DIGEST,
                Role.INITIALS,
                Role.PACKAGE_DIGEST,
                Role.SIGNATURE,
                Role.FINAL_METADATA,
                Role.ANNEX,
                Role.CORE,
            ),
        )

    def with_seal(self, cms: bytes) -> FinishedPackage:
        """Add the seal: attached CMS (DER) over ``seal_to_be_signed``."""
        manifest = self.seal_to_be_signed()
        require_content(cms, manifest)
        added = (self._part(Role.FINAL_DIGEST, manifest), self._part(Role.SEAL, cms))
        return FinishedPackage(self.generation, self.metadata, self.algorithms, self.parts + added, self.created)


__all__ = ["VERSION", "VERSIONS", "FinishedPackage", "PackageDraft", "PartSource", "SignedPackage", "UnsealedPackage"]
