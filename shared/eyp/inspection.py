"""Reading and judging a package: the one function most callers need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from lxml import etree

from shared.errors import DomainError, ErrorCode
from shared.eyp.checks.annexes import check_annex_files, check_annex_list, withheld_annexes
from shared.eyp.checks.content import check_cover_name, check_final_metadata, check_metadata, check_signatories
from shared.eyp.checks.layout import check_core, check_file_name, check_layout
from shared.eyp.checks.manifests import COVERED, ManifestCheck, PartDigests, check_manifest, needed_algorithms
from shared.eyp.checks.signatures import check_signature, is_envelope
from shared.eyp.container import Container, part_key
from shared.eyp.digests import DigestAlgorithm, compute
from shared.eyp.findings import INTEROP, Finding, FindingList, Profile, Severity
from shared.eyp.layout import Layout, read_layout
from shared.eyp.limits import DEFAULT_LIMITS, Limits
from shared.eyp.markup import MarkupError, parse
from shared.eyp.model import (
    CoreProperties,
    FinalMetadata,
    Generation,
    Manifest,
    ManifestKind,
    Metadata,
    PackageKind,
    PackageVersion,
    Part,
    Party,
    SecurityCode,
    Signatory,
    SignatureComponent,
)
from shared.eyp.relationships import ContentTypes, is_family_member, read_content_types, read_relationships
from shared.eyp.rules import content as content_rules
from shared.eyp.rules import layout as layout_rules
from shared.eyp.rules import proof as proof_rules
from shared.eyp.structure import check_structure
from shared.eyp.wire.core import read_core
from shared.eyp.wire.manifests import ManifestShapeError, read_manifest
from shared.eyp.wire.metadata_in import read_destinations, read_final_metadata, read_metadata
from shared.eyp.wire.names import CATEGORIES, MANIFEST_ROLES, Role, folded_file_name, namespace


@dataclass(frozen=True)
class Inspection:
    """What a package is, what it says and what is wrong with it."""

    kind: PackageKind
    version: PackageVersion | None
    """As the core properties state it; None when missing or malformed."""
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

    @property
    def acceptable(self) -> bool:
        """No fatal finding under the profile. Says nothing about the signatures' cryptography."""
        return all(finding.severity is not Severity.FATAL for finding in self.findings)

    @property
    def document_id(self) -> str | None:
        """The letter's id, upper case, from the metadata or else the core properties."""
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
        """The letter's degree of confidentiality, if it can be known."""
        return self.metadata.security_code if self.metadata else None


def inspect(
    source: bytes | BinaryIO,
    *,
    profile: Profile = INTEROP,
    limits: Limits = DEFAULT_LIMITS,
    file_name: str | None = None,
    recipient: str | None = None,
) -> Inspection:
    """Read a package of any kind and judge it.

    ``source`` is the package or a seekable file, which stays open. ``file_name`` is judged if
    given. ``recipient`` (DETSİS, identity or register number) decides which annexes may be absent.

    Bad content becomes findings. Raises ``DomainError`` only when there is nothing to judge:
    NOT_A_PACKAGE (no ZIP, or a ZIP that is no e-Yazışma package), PACKAGE_INVALID (a damaged or
    hostile ZIP), TOO_LARGE (a limit). Blocking; bounded in time and memory by ``limits``.
    """
    container = Container.open(source, limits)
    return _Inspector(container, limits).run(profile, file_name, recipient)


class _Inspector:
    """One inspection: the order of reading, and what earlier steps found for later ones."""

    def __init__(self, container: Container, limits: Limits) -> None:
        self._container = container
        self._limits = limits
        self._findings = FindingList()

    def run(self, profile: Profile, file_name: str | None, recipient: str | None) -> Inspection:
        content_types, fault = read_content_types(self._container, self._limits)
        root = read_relationships(self._container, None, self._limits)
        if not root.exists or (fault is None and root.fault is None and not is_family_member(root)):
            raise DomainError(ErrorCode.NOT_A_PACKAGE, "the file is not an e-Yazışma package")
        if fault is not None:
            self._findings.add(layout_rules.CONTENT_TYPES_UNREADABLE.found(value=fault))
        if root.fault is not None:
            self._findings.add(layout_rules.RELATIONSHIPS_UNREADABLE.found(value=root.fault))
        layout = read_layout(self._container, root, self._limits)

        core = self._core(layout)
        kind = _kind(core, layout)
        metadata_root = self._xml(layout.part(Role.METADATA))
        version, generation = self._version(core, metadata_root)
        self._findings.take(check_layout(layout, kind, generation))

        metadata = self._metadata(metadata_root, generation, layout)
        final = self._final_metadata(layout, generation, metadata)
        destinations = self._destinations(layout, generation)
        if core is not None:
            self._findings.take(check_core(core, kind, metadata, layout.part(Role.CORE)))
        if file_name is not None and kind is PackageKind.PLAIN:
            self._findings.take(check_file_name(file_name, kind, metadata))
        if metadata is not None:
            self._findings.take(check_annex_files(metadata, layout, recipient))

        digests = self._manifests(layout, kind, generation, core, metadata, recipient)
        components = layout.signature_components()
        for component in components:
            self._findings.take(self._signature(component))
        self._envelope(layout)
        return Inspection(
            kind=kind,
            version=version,
            metadata=metadata,
            final_metadata=final,
            core=core,
            destinations=destinations,
            findings=self._findings.weighed(profile),
            findings_suppressed=self._findings.suppressed,
            profile=profile.name,
            parts=self._parts(content_types, digests),
            cover_letter=layout.part(Role.COVER_LETTER),
            annex_parts=layout.annexes() + layout.annexes(Role.UNSIGNED_ANNEX),
            signature_components=components,
        )

    def _xml(self, name: str | None) -> etree._Element | None:
        if name is None:
            return None
        try:
            return parse(self._container.read_part(name, self._limits.xml_size), self._limits)
        except (MarkupError, DomainError) as error:
            reason = error.detail if isinstance(error, DomainError) else str(error)
            self._findings.add(content_rules.NOT_WELL_FORMED.found(name, reason))
            return None

    def _core(self, layout: Layout) -> CoreProperties | None:
        root = self._xml(layout.part(Role.CORE))
        return read_core(root) if root is not None else None

    def _version(
        self, core: CoreProperties | None, metadata_root: etree._Element | None
    ) -> tuple[PackageVersion | None, Generation]:
        """The stated version, and the generation whose schemas apply: the metadata's own namespace decides."""
        version = None
        if core is None or core.version is None:
            self._findings.add(layout_rules.VERSION_MISSING.found())
        else:
            try:
                version = PackageVersion.parse(core.version)
            except ValueError:
                self._findings.add(layout_rules.VERSION_UNSUPPORTED.found(value=core.version))
        stated = version.generation if version else None
        if version is not None and stated is None:
            self._findings.add(layout_rules.VERSION_UNSUPPORTED.found(value=version))
        actual = _generation_of(metadata_root)
        if actual is not None and stated is not None and actual is not stated:
            self._findings.add(layout_rules.VERSION_CONTRADICTED.found(value=version))
        return version, actual or stated or Generation.V2

    def _metadata(self, root: etree._Element | None, generation: Generation, layout: Layout) -> Metadata | None:
        part = layout.part(Role.METADATA)
        if root is None or part is None:
            return None
        self._findings.take(check_structure(root, "Metadata", generation, part))
        metadata = read_metadata(root, generation)
        self._findings.take(check_metadata(metadata, generation, part))
        self._findings.take(check_annex_list(metadata, part))
        cover_letter = layout.part(Role.COVER_LETTER)
        if cover_letter is not None:
            self._findings.take(check_cover_name(metadata, cover_letter, part))
        return metadata

    def _final_metadata(
        self, layout: Layout, generation: Generation, metadata: Metadata | None
    ) -> FinalMetadata | None:
        if generation is Generation.V2:
            part = layout.part(Role.FINAL_METADATA)
            root = self._xml(part)
            if root is None or part is None:
                return None
            self._findings.take(check_structure(root, "FinalMetadata", generation, part))
            final = read_final_metadata(root, generation)
            self._findings.take(check_final_metadata(final, part))
            return final
        part = layout.part(Role.SIGNATORIES)
        root = self._xml(part)
        signatories: tuple[Signatory, ...] = ()
        if root is not None and part is not None:
            self._findings.take(check_structure(root, "Signatories", generation, part))
            listed = read_final_metadata(root, generation)
            self._findings.take(check_signatories(listed, part))
            signatories = listed.signatories
        return FinalMetadata(metadata.document_no, metadata.date, signatories) if metadata else None

    def _destinations(self, layout: Layout, generation: Generation) -> tuple[Party, ...]:
        part = layout.part(Role.DESTINATIONS)
        root = self._xml(part)
        if root is None or part is None:
            return ()
        self._findings.take(check_structure(root, "Destinations", generation, part))
        return read_destinations(root, generation)

    def _manifests(
        self,
        layout: Layout,
        kind: PackageKind,
        generation: Generation,
        core: CoreProperties | None,
        metadata: Metadata | None,
        recipient: str | None,
    ) -> dict[str, PartDigests]:
        """Read the manifests, hash every part once, judge the manifests. Digests by part key."""
        manifests: dict[ManifestKind, Manifest] = {}
        for manifest_kind, role in MANIFEST_ROLES.items():
            part = layout.part(role)
            root = self._xml(part) if (kind, generation, manifest_kind) in COVERED else None
            if root is None:
                continue
            try:
                manifests[manifest_kind] = read_manifest(root, manifest_kind, generation)
            except ManifestShapeError as error:
                self._findings.add(proof_rules.SCHEMA[manifest_kind].found(part, error))
        digests = self._digests(needed_algorithms(list(manifests.values())))
        document_id = (metadata.document_id if metadata else None) or (core.identifier if core else None)
        for manifest_kind, manifest in manifests.items():
            check = ManifestCheck(
                kind=manifest_kind,
                part=layout.part(MANIFEST_ROLES[manifest_kind]) or "",
                generation=generation,
                layout=layout,
                covered=COVERED[kind, generation, manifest_kind],
                document_id=document_id,
                withheld_files=_withheld_files(metadata, recipient),
                digests=digests,
            )
            self._findings.take(check_manifest(manifest, check))
        return digests

    def _digests(self, needed: dict[str, set[DigestAlgorithm]]) -> dict[str, PartDigests]:
        digests: dict[str, PartDigests] = {}
        for entry in self._container.entries:
            key = part_key(entry.name)
            try:
                with self._container.open_part(entry.name) as stream:
                    values = compute(stream, {DigestAlgorithm.SHA256, *needed.get(key, ())})
            except DomainError as error:
                self._findings.add(layout_rules.PART_UNREADABLE.found(entry.name, error.detail))
                digests[key] = PartDigests(None, {})
            else:
                digests[key] = PartDigests(values[DigestAlgorithm.SHA256].hex(), values)
        return digests

    def _signature(self, component: SignatureComponent) -> Iterator[Finding]:
        try:
            cms = self._container.read_part(component.part_name, self._limits.signature_size)
            covered = self._container.read_part(component.covered_part_name, self._limits.xml_size)
        except DomainError:
            yield proof_rules.NOT_CMS[component.kind].found(component.part_name)
        else:
            yield from check_signature(component, cms, covered)

    def _envelope(self, layout: Layout) -> None:
        name = layout.part(Role.ENCRYPTED_CONTENT)
        if name is None:
            return
        try:
            content = self._container.read_part(name, self._limits.package_size)
        except DomainError:
            content = b""
        if not is_envelope(content):
            self._findings.add(layout_rules.NOT_AN_ENVELOPE.found(name))

    def _parts(self, content_types: ContentTypes, digests: dict[str, PartDigests]) -> tuple[Part, ...]:
        return tuple(
            Part(entry.name, content_types.of(entry.name), entry.size, digests[part_key(entry.name)].sha256)
            for entry in self._container.entries
        )


def _kind(core: CoreProperties | None, layout: Layout) -> PackageKind:
    category = core.category if core else None
    for kind, name in CATEGORIES.items():
        if category == name:
            return kind
    return layout.guessed_kind()


def _generation_of(metadata_root: etree._Element | None) -> Generation | None:
    if metadata_root is not None:
        for generation in Generation:
            if etree.QName(metadata_root).namespace == namespace("Ustveri", generation):
                return generation
    return None


def _withheld_files(metadata: Metadata | None, recipient: str | None) -> frozenset[str]:
    if metadata is None:
        return frozenset()
    withheld = withheld_annexes(metadata, recipient)
    return frozenset(
        part_key(folded_file_name(annex.file_name))
        for annex in metadata.annexes
        if annex.file_name and annex.id.upper() in withheld
    )
