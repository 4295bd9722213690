"""Reading one package: the order of the steps, and what earlier ones found for later ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lxml import etree

from shared.errors import DomainError, ErrorCode
from shared.eyp.checks.annexes import check_annex_files, check_annex_list, withheld_files
from shared.eyp.checks.content import (
    check_cover_name,
    check_final_metadata,
    check_metadata,
    check_signatories,
    check_validity,
)
from shared.eyp.checks.cover_letter import check_cover_letter
from shared.eyp.checks.layout import check_core, check_file_name, check_layout
from shared.eyp.checks.manifests import (
    COVERED,
    ManifestCheck,
    PartDigests,
    check_listing,
    check_manifest,
    differing_parts,
    needed_algorithms,
)
from shared.eyp.checks.signatures import ENVELOPE_HEAD, check_signature, check_update_seal, is_envelope
from shared.eyp.checks.wrapping import check_update_note
from shared.eyp.container import Container
from shared.eyp.findings import Finding, FindingList, Profile
from shared.eyp.hashing import described_parts, hash_parts
from shared.eyp.inspection import Inspection, ManifestSummary
from shared.eyp.layout import Layout, read_layout
from shared.eyp.limits import Limits
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
    Party,
    SecurityCode,
    Signatory,
    SignatureComponent,
)
from shared.eyp.notes import EncryptionNote, UpdateNote
from shared.eyp.recognition import COPIES, kind_of, version_of
from shared.eyp.relationships import (
    CONTENT_TYPES_NAME,
    is_family_member,
    read_content_types,
    read_relationships,
    relationships_part_name,
)
from shared.eyp.rules import content as content_rules
from shared.eyp.rules import layout as layout_rules
from shared.eyp.rules import proof as proof_rules
from shared.eyp.rules import wrapping as wrapping_rules
from shared.eyp.structure import check_structure
from shared.eyp.wire.core import read_core
from shared.eyp.wire.manifests import ManifestShapeError, read_manifest
from shared.eyp.wire.metadata_in import read_destinations, read_final_metadata, read_metadata
from shared.eyp.wire.names import (
    MANIFEST_ROLES,
    Role,
    generation_of,
)
from shared.eyp.wire.notes import read_encryption_note, read_update_note

_IDENTIFYING = {
    PackageKind.PLAIN: Role.METADATA,
    PackageKind.ENCRYPTED: Role.ENCRYPTION_NOTE,
    PackageKind.UPDATE: Role.UPDATE_NOTE,
}
"""The part whose namespace tells the generation."""
_NOTE_MARKS = 5_000
"""The notes of encrypted and update packages are short; a letter's metadata need not be."""


class Inspector:
    """One inspection: the order of reading, and what earlier steps found for later ones."""

    def __init__(self, container: Container, limits: Limits) -> None:
        self._container = container
        self._limits = limits
        self._findings = FindingList()
        self._documents: set[str] = set()

    @property
    def marks(self) -> int:
        """How much XML the inspection had to read, in the measure of ``Limits.xml_marks``."""
        total = 0
        for name in self._documents:
            try:
                content = self._container.read_part(name, self._limits.xml_size)
            except DomainError:
                continue
            total += content.count(b"<") + content.count(b"=")
        return total

    def run(self, profile: Profile, file_name: str | None = None, recipient: str | None = None) -> Inspection:
        """Read and judge. Raises NOT_A_PACKAGE; everything else becomes findings."""
        content_types, fault = read_content_types(self._container, self._limits)
        root = read_relationships(self._container, None, self._limits)
        if not root.exists or (fault is None and root.fault is None and not is_family_member(root)):
            raise DomainError(ErrorCode.NOT_A_PACKAGE, "the file is not an e-Yazışma package")
        if fault is not None:
            self._findings.add(layout_rules.CONTENT_TYPES_UNREADABLE.found(value=fault))
        if root.fault is not None:
            self._findings.add(layout_rules.RELATIONSHIPS_UNREADABLE.found(value=root.fault))
        layout = read_layout(self._container, root, self._limits)
        sources = [layout.existing(item) for role in set(MANIFEST_ROLES.values()) for item in layout.of(role)]
        self._documents.update([CONTENT_TYPES_NAME, *map(relationships_part_name, [None, *filter(None, sources)])])

        core = self._core(layout)
        kind = kind_of(core, layout)
        identifying = self._xml(layout.part(_IDENTIFYING[kind]), None if kind is PackageKind.PLAIN else _NOTE_MARKS)
        version, generation, faults = version_of(core, identifying, kind, layout)
        self._findings.take(faults)
        self._findings.take(check_layout(layout, kind, generation))
        plain = kind is PackageKind.PLAIN
        metadata = self._metadata(identifying, generation, layout) if plain else None
        final = self._final_metadata(layout, generation, metadata) if plain else None
        destinations = self._destinations(layout, generation) if kind is not PackageKind.UPDATE else ()
        if core is not None:
            self._findings.take(check_core(core, kind, metadata, layout.part(Role.CORE)))
        if file_name is not None and plain:
            self._findings.take(check_file_name(file_name, kind, metadata))
        if metadata is not None:
            self._findings.take(check_annex_files(metadata, layout, recipient))
        cover_letter = layout.part(Role.COVER_LETTER) if plain else None
        if cover_letter is not None:
            self._findings.take(check_cover_letter(self._container, cover_letter))
        update = self._update_note(layout, version, identifying) if kind is PackageKind.UPDATE else None
        encrypted = kind is PackageKind.ENCRYPTED
        encryption_note = self._encryption_note(layout, generation, identifying) if encrypted else None
        if encrypted:
            self._copied_manifest(layout, generation)
        self._envelope(layout)

        stray = None if plain else self._stray_degree(layout)
        digests, manifests = self._manifests(layout, kind, generation, core, metadata, recipient)
        components = layout.signature_components(kind, generation)
        for component in components:
            self._findings.take(self._signature(component, kind))
        return Inspection(
            kind=kind,
            version=version,
            generation=generation,
            metadata=metadata,
            final_metadata=final,
            core=core,
            destinations=destinations,
            findings=self._findings.weighed(profile),
            findings_suppressed=self._findings.suppressed,
            profile=profile.name,
            parts=described_parts(self._container, content_types, digests),
            cover_letter=cover_letter,
            annex_parts=layout.annexes() + layout.annexes(Role.UNSIGNED_ANNEX) if plain else (),
            signature_components=components,
            manifests=manifests,
            encrypted_content=layout.part(Role.ENCRYPTED_CONTENT) if encrypted else None,
            encryption_note=encryption_note,
            update=update,
            original_package=layout.part(Role.ORIGINAL_PACKAGE) if kind is PackageKind.UPDATE else None,
            stray_degree=stray,
        )

    def _xml(self, name: str | None, marks: int | None = None) -> etree._Element | None:
        if name is None:
            return None
        self._documents.add(name)
        try:
            content = self._container.read_part(name, self._limits.xml_size)
            most = self._limits.xml_marks if marks is None else min(marks, self._limits.xml_marks)
            return parse(content, replace(self._limits, xml_marks=most))
        except (MarkupError, DomainError) as error:
            reason = error.detail if isinstance(error, DomainError) else str(error)
            self._findings.add(content_rules.NOT_WELL_FORMED.found(name, reason))
            return None

    def _core(self, layout: Layout) -> CoreProperties | None:
        root = self._xml(layout.part(Role.CORE))
        return read_core(root) if root is not None else None

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

    def _stray_degree(self, layout: Layout) -> SecurityCode | None:
        """Of the metadata in a package that should have none: whoever decides what may travel must not miss it."""
        for item in layout.of(Role.METADATA):
            root = self._xml(layout.existing(item))
            generation = generation_of(etree.QName(root).namespace or "") if root is not None else None
            if root is not None and generation is not None:
                return read_metadata(root, generation).security_code
        return None

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
            if metadata is not None:
                self._findings.take(check_validity(metadata, final.date, layout.part(Role.METADATA)))
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

    def _update_note(
        self, layout: Layout, version: PackageVersion | None, root: etree._Element | None
    ) -> UpdateNote | None:
        if version is not None and version.generation is Generation.V1:
            self._findings.add(wrapping_rules.UPDATE_VERSION.found(value=version))
        part = layout.part(Role.UPDATE_NOTE)
        if root is None or part is None:
            return None
        self._findings.take(check_structure(root, "UpdateNote", Generation.V2, part))
        note = read_update_note(root)
        self._findings.take(check_update_note(note, part))
        return note

    def _encryption_note(
        self, layout: Layout, generation: Generation, root: etree._Element | None
    ) -> EncryptionNote | None:
        part = layout.part(Role.ENCRYPTION_NOTE)
        if root is None or part is None:
            return None
        self._findings.take(check_structure(root, "EncryptionNote", generation, part))
        return read_encryption_note(root)

    def _copied_manifest(self, layout: Layout, generation: Generation) -> None:
        """The copy speaks of parts that are not here: only its form is judged."""
        kind = COPIES[generation]
        part = layout.part(MANIFEST_ROLES[kind])
        root = self._xml(part)
        if root is None:
            return
        try:
            self._findings.take(check_listing(read_manifest(root, kind, generation), kind, part))
        except ManifestShapeError as error:
            self._findings.add(proof_rules.SCHEMA[kind].found(part, error))

    def _manifests(
        self,
        layout: Layout,
        kind: PackageKind,
        generation: Generation,
        core: CoreProperties | None,
        metadata: Metadata | None,
        recipient: str | None,
    ) -> tuple[dict[str, PartDigests], tuple[ManifestSummary, ...]]:
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
        digests = hash_parts(self._container, needed_algorithms(list(manifests.values())), self._findings)
        document_id = (metadata.document_id if metadata else None) or (core.identifier if core else None)
        summaries = []
        for manifest_kind, manifest in manifests.items():
            part = layout.part(MANIFEST_ROLES[manifest_kind]) or ""
            check = ManifestCheck(
                kind=manifest_kind,
                part=part,
                generation=generation,
                layout=layout,
                covered=COVERED[kind, generation, manifest_kind],
                document_id=document_id,
                withheld_files=withheld_files(metadata, recipient),
                digests=digests,
            )
            self._findings.take(check_manifest(manifest, check))
            differing = differing_parts(manifest, digests)
            summaries.append(ManifestSummary(manifest_kind, part, len(manifest.entries), differing))
        return digests, tuple(summaries)

    def _signature(self, component: SignatureComponent, kind: PackageKind) -> Iterator[Finding]:
        update = kind is PackageKind.UPDATE
        try:
            cms = self._container.read_part(component.part_name, self._limits.signature_size)
            covered = self._container.read_part(component.covered_part_name, self._limits.xml_size)
        except DomainError:
            rule = wrapping_rules.UPDATE_SEAL_FORMAT if update else proof_rules.NOT_CMS[component.kind]
            yield rule.found(component.part_name)
        else:
            yield from (check_update_seal if update else check_signature)(component, cms, covered)

    def _envelope(self, layout: Layout) -> None:
        name = layout.part(Role.ENCRYPTED_CONTENT)
        entry = self._container.entry(name) if name else None
        if entry is None:
            return
        try:
            with self._container.open_part(entry.name) as stream:
                head = stream.read(ENVELOPE_HEAD)
        except DomainError:
            head = b""
        if not is_envelope(head, entry.size):
            self._findings.add(wrapping_rules.NOT_AN_ENVELOPE.found(name))
