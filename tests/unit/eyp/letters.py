"""Packages for the tests: made by our own writer (2.x) or by hand (1.x), and taken apart again."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from shared.eyp import (
    Annex,
    AnnexKind,
    Distribution,
    FinalMetadata,
    FinishedPackage,
    Metadata,
    Organisation,
    PackageDraft,
    Person,
    PersonName,
    SecurityCode,
    Signatory,
)
from shared.eyp.sample_letter import sample_cover_letter_pdf

DOCUMENT_ID = "0D1E2F30-4152-4637-8899-AABBCCDDEEFF"
ANNEX_ID = "11111111-2222-4333-8444-555555555555"
UNSIGNED_ANNEX_ID = "11111111-2222-4333-8444-666666666666"
MOMENT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
SENDER = Organisation("10000001", "Örnek Belediyesi")
RECIPIENT = Organisation("10000002", "Deneme Müdürlüğü")
FINAL = FinalMetadata(
    "E-10000001-000-1", MOMENT, (Signatory(Person(PersonName("Deneme", "İMZACI")), office="Başkan", signed_at=MOMENT),)
)


def tlv(identifier: int, *contents: bytes) -> bytes:
    """One DER element."""
    content = b"".join(contents)
    if len(content) < 0x80:
        return bytes([identifier, len(content)]) + content
    length = len(content).to_bytes(4, "big")
    return bytes([identifier, 0x84]) + length + content


OID_DATA = tlv(0x06, bytes.fromhex("2a864886f70d010701"))
OID_SIGNED_DATA = tlv(0x06, bytes.fromhex("2a864886f70d010702"))
OID_ENVELOPED_DATA = tlv(0x06, bytes.fromhex("2a864886f70d010703"))


def unsigned_cms(content: bytes) -> bytes:
    """CMS SignedData that carries ``content`` and has no signer: enough for the codec, which does no cryptography."""
    encapsulated = tlv(0x30, OID_DATA, tlv(0xA0, tlv(0x04, content)))
    signed_data = tlv(0x30, tlv(0x02, b"\x01"), tlv(0x31), encapsulated, tlv(0x31))
    return tlv(0x30, OID_SIGNED_DATA, tlv(0xA0, signed_data))


def letter(**changes: object) -> Metadata:
    """Valid metadata with one signed and one unsigned annex."""
    fields: dict[str, object] = {
        "document_id": DOCUMENT_ID,
        "subject": "Ğüzel bir deneme & <işaret>",
        "security_code": SecurityCode.UNCLASSIFIED,
        "originator": SENDER,
        "distributions": (Distribution(RECIPIENT),),
        "cover_letter_file_name": "Üst yazı.pdf",
        "media_type": "application/pdf",
        "verification_address": "https://dogrulama.example.org/belge",
        "language": "tur",
        "annexes": (
            Annex(ANNEX_ID, AnnexKind.FILE, 1, "Çizim (1).txt", "text/plain", "Çizim"),
            Annex(UNSIGNED_ANNEX_ID, AnnexKind.FILE, 2, "liste.csv", "text/csv", "Liste", signed=False),
        ),
    }
    return Metadata(**(fields | changes))  # type: ignore[arg-type]


def draft(**changes: object) -> PackageDraft:
    """A draft of ``letter`` with its files."""
    return PackageDraft.create(
        letter(**changes),
        cover_letter=sample_cover_letter_pdf(["Konu: deneme"]),
        annex_files={ANNEX_ID: b"annex one", UNSIGNED_ANNEX_ID: b"a;b\n1;2\n"},
    )


def finish(started: PackageDraft) -> FinishedPackage:
    """Take a draft through signature, final metadata and seal."""
    signed = started.with_signature(unsigned_cms(started.digest_to_be_signed()))
    unsealed = signed.with_final_metadata(FINAL, created=MOMENT)
    return unsealed.with_seal(unsigned_cms(unsealed.seal_to_be_signed()))


def package(**changes: object) -> bytes:
    """A finished 2.0 package."""
    return finish(draft(**changes)).to_bytes()


def parts_of(content: bytes) -> dict[str, bytes]:
    """ZIP item name to bytes."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(parts: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP of these items."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def changed(content: bytes, **edits: Callable[[bytes], bytes]) -> bytes:
    """The package with some items edited, named by the last piece of their path without extension."""
    parts = parts_of(content)
    for name in parts:
        key = name.rpartition("/")[2].partition(".")[0]
        if key in edits and not name.endswith(".rels"):
            parts[name] = edits[key](parts[name])
    return packed(parts)


def replacing(old: str, new: str) -> Callable[[bytes], bytes]:
    """An edit for ``changed``; the old text must be there."""

    def edit(content: bytes) -> bytes:
        assert old.encode() in content, old
        return content.replace(old.encode(), new.encode())

    return edit


_V1_TYPES = 'xmlns:t="urn:dpt:eyazisma:schema:xsd:Tipler-1"'
_V1_RELATIONSHIPS = {
    "IdUstYazi": ("ustyazi", "/UstYazi/ustyazi.pdf"),
    "IdUstveri": ("ustveri", "/Ustveri/Ustveri.xml"),
    "IdBelgeHedef": ("belgehedef", "/BelgeHedef/BelgeHedef.xml"),
    "IdPaketOzeti": ("paketozeti", "/PaketOzeti/PaketOzeti.xml"),
}


def first_generation_package(version: str = "1.3") -> bytes:
    """A minimal 1.x package: no final digest, no seal, relative targets as some Java writers make them."""
    party = "<t:KurumKurulus><t:KKK>{}</t:KKK><t:Adi>Kurum</t:Adi></t:KurumKurulus>"
    parts = {
        "UstYazi/ustyazi.pdf": sample_cover_letter_pdf(["Konu: 1.x"]),
        "Ustveri/Ustveri.xml": (
            f'<Ustveri xmlns="urn:dpt:eyazisma:schema:xsd:Ustveri-1" {_V1_TYPES}>'
            f"<t:BelgeId>{DOCUMENT_ID}</t:BelgeId><t:Konu>1.x deneme</t:Konu><t:Tarih>2015-06-01T10:00:00</t:Tarih>"
            "<t:BelgeNo>123-4</t:BelgeNo><t:GuvenlikKodu>TSD</t:GuvenlikKodu><t:MimeTuru>application/pdf</t:MimeTuru>"
            f"<t:DagitimListesi><t:Dagitim>{party.format(10000002)}<t:Ivedilik>IVD</t:Ivedilik>"
            "<t:DagitimTuru>GRG</t:DagitimTuru></t:Dagitim></t:DagitimListesi>"
            f"<t:Olusturan>{party.format(10000001)}</t:Olusturan><t:DosyaAdi>ustyazi.pdf</t:DosyaAdi></Ustveri>"
        ).encode(),
        "BelgeHedef/BelgeHedef.xml": (
            f'<BelgeHedef xmlns="urn:dpt:eyazisma:schema:xsd:BelgeHedef-1" {_V1_TYPES}><t:HedefListesi><t:Hedef>'
            f"{party.format(10000002)}</t:Hedef></t:HedefListesi></BelgeHedef>"
        ).encode(),
        "docProps/core.xml": (
            '<coreProperties xmlns="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" '
            'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dcterms="http://purl.org/dc/terms/">'
            f"<dc:identifier>{DOCUMENT_ID}</dc:identifier><dcterms:created>2015-06-01T07:00:00Z</dcterms:created>"
            "<dc:creator>Kurum/10000001</dc:creator><dc:subject>1.x deneme</dc:subject>"
            "<category>RESMIYAZISMA</category><contentType>application/eyazisma</contentType>"
            f"<version>{version}</version></coreProperties>"
        ).encode(),
    }
    references = "".join(
        f'<Reference URI="/{name}" Type="http://eyazisma.dpt/bilesen#dahili">'
        '<DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
        f"<DigestValue>{base64.b64encode(hashlib.sha256(content).digest()).decode()}</DigestValue></Reference>"
        for name, content in parts.items()
        if name != "docProps/core.xml"
    )
    manifest = (
        f'<PaketOzeti xmlns="urn:dpt:eyazisma:schema:xsd:PaketOzeti-1" Id="{DOCUMENT_ID}">{references}</PaketOzeti>'
    ).encode()
    parts["PaketOzeti/PaketOzeti.xml"] = manifest
    parts["Imzalar/ImzaCades.imz"] = unsigned_cms(manifest)
    base = "http://eyazisma.dpt/iliskiler/"
    core_type = "http://schemas.openxmlformats.org/package/2006/relationships/metadata/core-properties"
    root = {
        relationship_id: (base + suffix, target.removeprefix("/"))
        for relationship_id, (suffix, target) in _V1_RELATIONSHIPS.items()
    }
    parts["_rels/.rels"] = _relationships(root | {"rId1": (core_type, "docProps/core.xml")})
    parts["PaketOzeti/_rels/PaketOzeti.xml.rels"] = _relationships(
        {"IdImzaCades": (f"{base}imzacades", "../Imzalar/ImzaCades.imz")}
    )
    parts["[Content_Types].xml"] = (
        b'<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        b'<Default Extension="xml" ContentType="application/xml"/>'
        b'<Override PartName="/UstYazi/ustyazi.pdf" ContentType="application/pdf"/></Types>'
    )
    return packed(parts)


def _relationships(items: Mapping[str, tuple[str, str]]) -> bytes:
    inner = "".join(
        f'<Relationship Type="{type_uri}" Target="{target}" Id="{relationship_id}"/>'
        for relationship_id, (type_uri, target) in items.items()
    )
    namespace = "http://schemas.openxmlformats.org/package/2006/relationships"
    return f'<Relationships xmlns="{namespace}">{inner}</Relationships>'.encode()
