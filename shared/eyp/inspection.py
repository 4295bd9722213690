"""What an inspection of a package finds out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from shared.eyp.findings import Finding, Profile, Severity, worst_first
from shared.eyp.model import (
    CoreProperties,
    FinalMetadata,
    Generation,
    ManifestKind,
    Metadata,
    PackageKind,
    PackageVersion,
    Part,
    Party,
    SecurityCode,
    SignatureComponent,
)
from shared.eyp.notes import EncryptionNote, UpdateNote


@dataclass(frozen=True)
class ManifestSummary:
    """One digest manifest: how many parts it names, and which of them differ from what it says."""

    kind: ManifestKind
    part: str
    references: int
    mismatches: tuple[str, ...]
    """Part names as the manifest writes them. A part that is not there at all is a finding, not a mismatch."""


@dataclass(frozen=True)
class Inspection:
    """What a package is, what it says and what is wrong with it.

    Of an encrypted or update package everything here speaks of the package outside; ``inner`` is the
    same about the package inside.
    """

    kind: PackageKind
    version: PackageVersion | None
    """As the core properties state it; None when missing or malformed."""
    generation: Generation
    """Whose schemas the package was read by."""
    metadata: Metadata | None
    """The letter's metadata; None when unreadable and for encrypted and update packages."""
    final_metadata: FinalMetadata | None
    """Number, date and signatories (1.x: put together from the metadata and its signer list)."""
    core: CoreProperties | None
    destinations: tuple[Party, ...]
    """Recipients named outside the metadata (1.x and encrypted packages)."""
    findings: tuple[Finding, ...]
    """Worst first, weighed by the profile."""
    findings_suppressed: int
    """How many more findings of the same kinds were only counted."""
    profile: str
    parts: tuple[Part, ...]
    cover_letter: str | None
    """Part name of the cover letter."""
    annex_parts: tuple[str, ...]
    """Part names of the annex files, signed ones first."""
    signature_components: tuple[SignatureComponent, ...]
    """The CMS files to be verified, in order of signing."""
    manifests: tuple[ManifestSummary, ...] = ()
    """The digest manifests over this package's own parts."""
    encrypted_content: str | None = None
    """Part name of what was encrypted, for whoever holds the key; only if it is there."""
    encryption_note: EncryptionNote | None = None
    update: UpdateNote | None = None
    original_package: str | None = None
    """Part name of the package that an update is about; only if it is there."""
    stray_degree: SecurityCode | None = None
    """What metadata that have no place in this kind of package say; it may only raise the degree in force."""
    inner: Inspection | None = None
    """The package inside: an update's original; an encrypted package's content once it was decrypted."""

    @property
    def acceptable(self) -> bool:
        """No fatal finding under the profile. Says nothing about the signatures' cryptography."""
        return all(finding.severity is not Severity.FATAL for finding in self.findings)

    @property
    def letter(self) -> Inspection:
        """The innermost package that could be read: what says everything but the degree of confidentiality."""
        found = self
        while found.inner is not None:
            found = found.inner
        return found

    @property
    def document_id(self) -> str | None:
        """This package's id, upper case: the letter's own from the metadata, or else that of the core properties."""
        identifier = (self.metadata and self.metadata.document_id) or (self.core and self.core.identifier)
        return identifier.upper() if identifier else None

    @property
    def document_no(self) -> str | None:
        """The letter's official number, from wherever its generation keeps it."""
        return self.final_metadata.document_no if self.final_metadata else None

    @property
    def subject(self) -> str | None:
        """The letter's subject, from the metadata or else the core properties."""
        return (self.metadata and self.metadata.subject) or (self.core and self.core.subject) or None

    @property
    def security_code(self) -> SecurityCode | None:
        """The degree of confidentiality in force: the outermost update's that gives one, else the letter's own.

        None if it cannot be known, as of an encrypted package that nobody decrypted. Metadata that have no place
        in their package are not believed, but a higher degree in them counts.
        """
        level: Inspection | None = self
        found, strays = None, []
        while level is not None:
            own = level.metadata.security_code if level.metadata else None
            found = found or (level.update.new_degree if level.update else own)
            strays.append(level.stray_degree)
            level = level.inner
        order = list(SecurityCode)
        return max(filter(None, (found, *strays)), key=order.index, default=None)

    def with_inner(self, inner: Inspection | None, findings: Iterable[Finding], profile: Profile) -> Inspection:
        """The same with the package inside, and with what is wrong between the two."""
        added = tuple(map(profile.weigh, findings))
        return replace(self, inner=inner, findings=worst_first(self.findings + added))
