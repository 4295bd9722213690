"""What kind of package it is, and of which version."""

from __future__ import annotations

from lxml import etree

from shared.eyp.findings import Finding
from shared.eyp.layout import Layout
from shared.eyp.model import CoreProperties, Generation, ManifestKind, PackageKind, PackageVersion
from shared.eyp.rules import layout as rules
from shared.eyp.wire.names import CATEGORIES, MANIFEST_ROLES, generation_of

COPIES = {Generation.V1: ManifestKind.PACKAGE, Generation.V2: ManifestKind.FINAL}
"""The manifest of the package inside that an encrypted package shows outside."""


def kind_of(core: CoreProperties | None, layout: Layout) -> PackageKind:
    """The kind the category says, or else the one the parts suggest."""
    category = core.category if core else None
    for kind, name in CATEGORIES.items():
        if category == name:
            return kind
    return layout.guessed_kind()


def version_of(
    core: CoreProperties | None, identifying: etree._Element | None, kind: PackageKind, layout: Layout
) -> tuple[PackageVersion | None, Generation, list[Finding]]:
    """The stated version, the generation whose schemas apply, and what is wrong about the two (R.3).

    The namespace of the ``identifying`` document decides; around encrypted content, where that document
    only informs, the copied manifest does.
    """
    findings = []
    version = None
    if core is None or core.version is None:
        findings.append(rules.VERSION_MISSING.found())
    else:
        try:
            version = PackageVersion.parse(core.version)
        except ValueError:
            findings.append(rules.VERSION_UNSUPPORTED.found(value=core.version))
    stated = version.generation if version else None
    if version is not None and stated is None:
        findings.append(rules.VERSION_UNSUPPORTED.found(value=version))
    actual = generation_of(etree.QName(identifying).namespace or "") if identifying is not None else None
    if kind is PackageKind.ENCRYPTED:
        actual = _copied_generation(layout) or actual
    if actual is not None and stated is not None and actual is not stated:
        findings.append(rules.VERSION_CONTRADICTED.found(value=version))
    return version, actual or stated or Generation.V2, findings


def _copied_generation(layout: Layout) -> Generation | None:
    """The generation whose manifest is shown outside, if one only is."""
    shown = [generation for generation, kind in COPIES.items() if layout.of(MANIFEST_ROLES[kind])]
    return shown[0] if len(shown) == 1 else None
