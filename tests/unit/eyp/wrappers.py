"""Encrypted and update packages for the tests, made by our own writers."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from shared.eyp import DegreeChange, EncryptedPackage, PartSource, SecurityCode, UnsealedUpdate
from tests.unit.eyp import letters, shapes
from tests.unit.eyp.letters import MOMENT, tlv

PACKAGE_ID = UUID("5a5a5a5a-0000-4000-8000-00000000000a")
CHANGE = DegreeChange(
    new_degree=SecurityCode.UNCLASSIFIED,
    changed_at=MOMENT + timedelta(days=30),
    explanation="Gizliliği kaldırıldı & <işaret>",
    decision_document_no="E-10000001-000-77",
    decision_document_id="77777777-2222-4333-8444-000000000001",
)
ENVELOPE = tlv(0x30, letters.OID_ENVELOPED_DATA, tlv(0xA0, tlv(0x30, tlv(0x02, b"\x00"), tlv(0x31))))
"""Shaped like EnvelopedData; nothing is inside, the codec looks no further."""


def older() -> bytes:
    """A finished 1.3 package."""
    return shapes.older().to_bytes()


def encrypted(letter: bytes | None = None, **options: object) -> bytes:
    """An encrypted package around a letter, of 2.0 unless another letter is given."""
    given: dict[str, object] = {"envelope": ENVELOPE, "package_id": PACKAGE_ID, "packed_at": MOMENT}
    return EncryptedPackage.create(letter or letters.package(), **(given | options)).to_bytes()  # type: ignore[arg-type]


def unsealed(original: PartSource | None = None, change: DegreeChange = CHANGE, **options: object) -> UnsealedUpdate:
    """An update of a letter that is SECRET unless another original is given."""
    given: dict[str, object] = {
        "package_id": PACKAGE_ID,
        "created": MOMENT + timedelta(days=31),
        "originator": letters.SENDER,
        "subject": "Gizlilik derecesi değişikliği",
    }
    source = original if original is not None else letters.package(security_code=SecurityCode.SECRET)
    return UnsealedUpdate.create(source, change, **(given | options))  # type: ignore[arg-type]


def sealed(draft: UnsealedUpdate) -> bytes:
    """The draft with a seal that is none but carries the right bytes."""
    return draft.with_seal(letters.unsigned_cms(draft.seal_to_be_signed())).to_bytes()


def update(original: PartSource | None = None, change: DegreeChange = CHANGE, **options: object) -> bytes:
    """A finished update package."""
    return sealed(unsealed(original, change, **options))


def edited(content: bytes, name: str, edit: Callable[[bytes], bytes]) -> bytes:
    """The package with the one item whose name starts so edited."""
    parts = letters.parts_of(content)
    (found,) = (item for item in parts if item.startswith(name))
    return letters.packed(parts | {found: edit(parts[found])})


def without(content: bytes, name: str) -> bytes:
    """The package without the item whose name starts so; whatever points to it stays."""
    parts = letters.parts_of(content)
    (found,) = (item for item in parts if item.startswith(name))
    return letters.packed({item: bytes_ for item, bytes_ in parts.items() if item != found})


def resealed(content: bytes, **items: bytes) -> bytes:
    """An update package whose items (by folder) were replaced and its digests and seal made anew."""
    parts = letters.parts_of(content)
    for folder, replacement in items.items():
        (name,) = (item for item in parts if item.startswith(f"{folder}/"))
        old, new = parts[name], replacement
        manifest = parts["NihaiOzet/NihaiOzet.xml"]
        for algorithm in ("sha384", "sha512"):
            before = base64.b64encode(hashlib.new(algorithm, old).digest())
            after = base64.b64encode(hashlib.new(algorithm, new).digest())
            assert before in manifest, "the item is one of those the digest covers"
            manifest = manifest.replace(before, after)
        parts |= {
            name: new,
            "NihaiOzet/NihaiOzet.xml": manifest,
            "Muhur/MuhurCades.imz": letters.unsigned_cms(manifest),
        }
    return letters.packed(parts)
