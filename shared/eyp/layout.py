"""Which part of a package plays which role."""

from __future__ import annotations

from dataclasses import dataclass

from shared.eyp.container import Container
from shared.eyp.limits import Limits
from shared.eyp.model import Generation, PackageKind, SignatureComponent, SignatureKind
from shared.eyp.relationships import Relationship, Relationships, read_relationships
from shared.eyp.wire.names import PLACES, SIGNATURE_ROLES, Role

_SOURCES = (Role.PACKAGE_DIGEST, Role.INITIALS_DIGEST, Role.FINAL_DIGEST)


@dataclass(frozen=True)
class Layout:
    """The relationships of a package, sorted by role.

    ``relationships`` holds those that start where their role says; ``misplaced`` the others;
    ``faults`` the relationship lists (besides the root's) that could not be read.
    """

    container: Container
    relationships: tuple[Relationship, ...]
    misplaced: tuple[Relationship, ...]
    faults: tuple[str, ...]

    def of(self, role: Role) -> tuple[Relationship, ...]:
        """All relationships of a role."""
        return tuple(item for item in self.relationships if item.role is role)

    def part(self, role: Role) -> str | None:
        """The name of the one part of a role; None if there is none, more than one, or only a dangling pointer."""
        items = self.of(role)
        return self.existing(items[0]) if len(items) == 1 else None

    def existing(self, relationship: Relationship) -> str | None:
        """The name of the part a relationship points to, as the container spells it; None if it is not there."""
        entry = self.container.entry(relationship.target) if relationship.target else None
        return entry.name if entry else None

    def annexes(self, role: Role = Role.ANNEX) -> tuple[str, ...]:
        """The annex files that are there, signed or (``Role.UNSIGNED_ANNEX``) unsigned ones."""
        return tuple(name for item in self.of(role) if (name := self.existing(item)) is not None)

    def signature_components(self, kind: PackageKind, generation: Generation) -> tuple[SignatureComponent, ...]:
        """The CMS files that are there, with what each must cover, in order of signing.

        Around another package only those that belong there: nothing else would say what they are for.
        """
        expected = EXPECTED.get((kind, generation), {})
        components = []
        for signature in (SignatureKind.INITIALS, SignatureKind.SIGNATURE, SignatureKind.SEAL):
            role = SIGNATURE_ROLES[signature]
            if kind is not PackageKind.PLAIN and role not in expected:
                continue
            source = PLACES[role].source
            covered = self.part(source) if source else None
            name = self.part(role)
            if name is not None and covered is not None:
                components.append(SignatureComponent(signature, name, covered))
        return tuple(components)

    def guessed_kind(self) -> PackageKind:
        """The kind as the parts suggest it, for packages whose category does not say."""
        if self.of(Role.ENCRYPTED_CONTENT) or self.of(Role.ENCRYPTION_NOTE):
            return PackageKind.ENCRYPTED
        if self.of(Role.UPDATE_NOTE) or self.of(Role.ORIGINAL_PACKAGE):
            return PackageKind.UPDATE
        return PackageKind.PLAIN


def read_layout(container: Container, root: Relationships, limits: Limits) -> Layout:
    """Sort the root's relationships and those of the three digest manifests."""
    found: list[Relationship] = list(root.items)
    faults: list[str] = []
    for source in _SOURCES:
        targets = {item.target for item in root.items if item.role is source and item.target}
        # More than one manifest of a kind is a fault already; its relationships would only add noise.
        entry = container.entry(targets.pop()) if len(targets) == 1 else None
        if entry is not None:
            below = read_relationships(container, entry.name, limits)
            found.extend(below.items)
            if below.fault:
                faults.append(below.fault)
    sources: dict[Role | None, set[str | None]] = {None: {None}}
    for role in _SOURCES:
        names = {container.entry(item.target) for item in root.items if item.role is role and item.target}
        sources[role] = {entry.name for entry in names if entry is not None}
    placed = [item for item in found if item.source in sources[PLACES[item.role].source]]
    misplaced = [item for item in found if item.source not in sources[PLACES[item.role].source]]
    return Layout(container, tuple(placed), tuple(misplaced), tuple(faults))


_ONE, OPTIONAL, _ANY = (1, 1), (0, 1), (0, None)
EXPECTED: dict[tuple[PackageKind, Generation], dict[Role, tuple[int, int | None]]] = {
    (PackageKind.PLAIN, Generation.V1): {
        Role.CORE: _ONE,
        Role.COVER_LETTER: _ONE,
        Role.METADATA: _ONE,
        Role.DESTINATIONS: _ONE,
        Role.SIGNATORIES: OPTIONAL,
        Role.PACKAGE_DIGEST: _ONE,
        Role.SIGNATURE: _ONE,
        Role.FINAL_DIGEST: OPTIONAL,
        Role.SEAL: OPTIONAL,
        Role.ANNEX: _ANY,
        Role.UNSIGNED_ANNEX: _ANY,
        Role.ARCHIVE: OPTIONAL,
    },
    (PackageKind.PLAIN, Generation.V2): {
        Role.CORE: _ONE,
        Role.COVER_LETTER: _ONE,
        Role.METADATA: _ONE,
        Role.FINAL_METADATA: _ONE,
        Role.PACKAGE_DIGEST: _ONE,
        Role.SIGNATURE: _ONE,
        Role.INITIALS_DIGEST: OPTIONAL,
        Role.INITIALS: OPTIONAL,
        Role.FINAL_DIGEST: _ONE,
        Role.SEAL: _ONE,
        Role.ANNEX: _ANY,
        Role.UNSIGNED_ANNEX: _ANY,
        Role.ARCHIVE: OPTIONAL,
    },
    (PackageKind.ENCRYPTED, Generation.V1): {
        Role.CORE: _ONE,
        Role.DESTINATIONS: _ONE,
        Role.PACKAGE_DIGEST: _ONE,
        Role.ENCRYPTION_NOTE: _ONE,
        Role.ENCRYPTED_CONTENT: _ONE,
    },
    (PackageKind.ENCRYPTED, Generation.V2): {
        Role.CORE: _ONE,
        Role.DESTINATIONS: OPTIONAL,
        Role.FINAL_DIGEST: _ONE,
        Role.ENCRYPTION_NOTE: _ONE,
        Role.ENCRYPTED_CONTENT: _ONE,
    },
    (PackageKind.UPDATE, Generation.V2): {
        Role.CORE: _ONE,
        Role.UPDATE_NOTE: _ONE,
        Role.ORIGINAL_PACKAGE: _ONE,
        Role.FINAL_DIGEST: _ONE,
        Role.SEAL: _ONE,
    },
}
"""How many of each part a kind of package has in each generation: least and most."""
