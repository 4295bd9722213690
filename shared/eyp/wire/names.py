"""Official names as data: part names, relationship types and ids, namespaces, tokens, algorithms."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from shared.eyp.model import (
    AnnexKind,
    Generation,
    ManifestKind,
    PackageKind,
    Purpose,
    SecurityCode,
    SignatureKind,
    Urgency,
)

T = TypeVar("T", bound=StrEnum)

RELATIONSHIP_BASE = "http://eyazisma.dpt/iliskiler/"
CORE_RELATIONSHIP = "http://schemas.openxmlformats.org/package/2006/relationships/metadata/core-properties"
RELATIONSHIPS_NAMESPACE = "http://schemas.openxmlformats.org/package/2006/relationships"
CONTENT_TYPES_NAMESPACE = "http://schemas.openxmlformats.org/package/2006/content-types"
CORE_NAMESPACE = "http://schemas.openxmlformats.org/package/2006/metadata/core-properties"
DC_NAMESPACE = "http://purl.org/dc/elements/1.1/"
DCTERMS_NAMESPACE = "http://purl.org/dc/terms/"
XSI_NAMESPACE = "http://www.w3.org/2001/XMLSchema-instance"

INTERNAL_COMPONENT = "http://eyazisma.dpt/bilesen#dahili"
EXTERNAL_COMPONENT = "http://eyazisma.dpt/bilesen#harici"

PACKAGE_CONTENT_TYPE = "application/eyazisma"
CATEGORIES: dict[PackageKind, str] = {
    PackageKind.PLAIN: "RESMIYAZISMA",
    PackageKind.ENCRYPTED: "RESMIYAZISMA/SIFRELI",
    PackageKind.UPDATE: "RESMIYAZISMA/GUNCELLEME",
}
FILE_EXTENSIONS: dict[PackageKind, str] = {
    PackageKind.PLAIN: "eyp",
    PackageKind.ENCRYPTED: "eyps",
    PackageKind.UPDATE: "eypg",
}

XML = "application/xml"
BINARY = "application/octet-stream"
RELATIONSHIPS_CONTENT_TYPE = "application/vnd.openxmlformats-package.relationships+xml"
CORE_CONTENT_TYPE = "application/vnd.openxmlformats-package.core-properties+xml"


def namespace(schema: str, generation: Generation) -> str:
    """The namespace of one schema, for example ``Tipler`` or ``Ustveri``."""
    return f"urn:dpt:eyazisma:schema:xsd:{schema}-{generation.value}"


_FAMILY = re.compile(r"urn:dpt:eyazisma:schema:xsd:[A-Za-z]+-[12]")


def is_family_namespace(namespace_uri: str) -> bool:
    """Whether a namespace is that of any schema of either generation."""
    return _FAMILY.fullmatch(namespace_uri) is not None


_IDENTIFYING_SCHEMAS = ("Ustveri", "SifreliIcerikBilgisi", "Tipler")


def generation_of(namespace_uri: str) -> Generation | None:
    """The generation whose documents that identify a package are in this namespace."""
    for generation in Generation:
        if any(namespace_uri == namespace(schema, generation) for schema in _IDENTIFYING_SCHEMAS):
            return generation
    return None


class Role(StrEnum):
    """What a part is for; found by the type of the relationship that points to it."""

    COVER_LETTER = "ustyazi"
    METADATA = "ustveri"
    DESTINATIONS = "belgehedef"
    SIGNATORIES = "belgeimza"
    FINAL_METADATA = "nihaiustveri"
    PACKAGE_DIGEST = "paketozeti"
    INITIALS_DIGEST = "parafozeti"
    FINAL_DIGEST = "nihaiozet"
    SIGNATURE = "imzacades"
    INITIALS = "parafimzacades"
    SEAL = "muhurcades"
    ANNEX = "ek"
    UNSIGNED_ANNEX = "imzasizEk"
    CORE = "core-properties"
    ARCHIVE = "arsivozellikleri"
    ENCRYPTED_CONTENT = "sifreliicerik"
    ENCRYPTION_NOTE = "sifreliicerikbilgisi"
    UPDATE_NOTE = "guncellemebilgisi"
    ORIGINAL_PACKAGE = "orijinalpaket"

    @property
    def relationship_type(self) -> str:
        """The full relationship type, spelled as the official library does."""
        return CORE_RELATIONSHIP if self is Role.CORE else RELATIONSHIP_BASE + self.value


_ROLE_BY_LOWER = {role.relationship_type.lower(): role for role in Role}


def role_of(relationship_type: str) -> Role | None:
    """The role a relationship type names, whatever its case."""
    return _ROLE_BY_LOWER.get(relationship_type.lower())


@dataclass(frozen=True)
class Place:
    """Where a part belongs: the relationship's source and id, and the part's name.

    A name ending in ``/`` is a folder.
    """

    relationship_id: str
    name: str
    content_type: str | None = XML
    source: Role | None = None


PLACES: dict[Role, Place] = {
    Role.COVER_LETTER: Place("IdUstYazi", "/UstYazi/", None),
    Role.METADATA: Place("IdUstveri", "/Ustveri/Ustveri.xml"),
    Role.DESTINATIONS: Place("IdBelgeHedef", "/BelgeHedef/BelgeHedef.xml"),
    Role.SIGNATORIES: Place("IdBelgeImza", "/Imzalar/BelgeImza.xml"),
    Role.FINAL_METADATA: Place("IdNihaiUstveri", "/NihaiUstveri/NihaiUstveri.xml"),
    Role.PACKAGE_DIGEST: Place("IdPaketOzeti", "/PaketOzeti/PaketOzeti.xml"),
    Role.INITIALS_DIGEST: Place("IdParafOzeti", "/ParafOzeti/ParafOzeti.xml"),
    Role.FINAL_DIGEST: Place("IdNihaiOzet", "/NihaiOzet/NihaiOzet.xml"),
    Role.SIGNATURE: Place("IdImzaCades", "/Imzalar/ImzaCades.imz", BINARY, Role.PACKAGE_DIGEST),
    Role.INITIALS: Place("IdParafImzaCades", "/Paraflar/ParafImzaCades.imz", BINARY, Role.INITIALS_DIGEST),
    Role.SEAL: Place("IdMuhurCades", "/Muhur/MuhurCades.imz", BINARY, Role.FINAL_DIGEST),
    Role.ANNEX: Place("IdEk_", "/Ekler/", None),
    Role.UNSIGNED_ANNEX: Place("IdImzasizEk_", "/ImzasizEkler/", None),
    Role.CORE: Place("R", "/package/services/metadata/core-properties/", CORE_CONTENT_TYPE),
    Role.ARCHIVE: Place("IdArsivOzellikleri", "/Arsiv/ArsivOzellikleri.xml"),
    Role.ENCRYPTED_CONTENT: Place("IdSifreliIcerik", "/SifreliIcerik/", "application/pkcs7-mime"),
    Role.ENCRYPTION_NOTE: Place("IdSifreliIcerikBilgisi", "/SifreliIcerikBilgisi/SifreliIcerikBilgisi.xml"),
    Role.UPDATE_NOTE: Place("IdGuncellemeBilgisi", "/GuncellemeBilgisi/GuncellemeBilgisi.xml"),
    Role.ORIGINAL_PACKAGE: Place("IdOrijinalPaket", "/OrijinalPaket/", "application/x-zip-compressed"),
}
V1_SEAL_NAME = "/Muhurler/MuhurCades.imz"


def place_name(role: Role, generation: Generation) -> str:
    """The part name (or folder) of a role in one generation."""
    if role is Role.SEAL and generation is Generation.V1:
        return V1_SEAL_NAME
    return PLACES[role].name


MANIFEST_ROLES: dict[ManifestKind, Role] = {
    ManifestKind.PACKAGE: Role.PACKAGE_DIGEST,
    ManifestKind.INITIALS: Role.INITIALS_DIGEST,
    ManifestKind.FINAL: Role.FINAL_DIGEST,
    ManifestKind.UPDATE: Role.FINAL_DIGEST,
}
MANIFEST_SCHEMAS: dict[ManifestKind, str] = {
    ManifestKind.PACKAGE: "PaketOzeti",
    ManifestKind.INITIALS: "ParafOzeti",
    ManifestKind.FINAL: "NihaiOzet",
    ManifestKind.UPDATE: "NihaiOzet",
}
SIGNATURE_ROLES: dict[SignatureKind, Role] = {
    SignatureKind.SIGNATURE: Role.SIGNATURE,
    SignatureKind.INITIALS: Role.INITIALS,
    SignatureKind.SEAL: Role.SEAL,
}

SECURITY_CODES: dict[Generation, dict[str, SecurityCode]] = {
    Generation.V1: {
        "TSD": SecurityCode.UNCLASSIFIED,
        "HZO": SecurityCode.RESTRICTED,
        "OZL": SecurityCode.CONFIDENTIAL,
        "GZL": SecurityCode.SECRET,
        "CGZ": SecurityCode.TOP_SECRET,
        "KSO": SecurityCode.PERSONAL,
    },
    Generation.V2: {
        "YOK": SecurityCode.UNCLASSIFIED,
        "HZO": SecurityCode.RESTRICTED,
        "OZL": SecurityCode.CONFIDENTIAL,
        "GZL": SecurityCode.SECRET,
        "CGZ": SecurityCode.TOP_SECRET,
    },
}
URGENCIES: dict[Generation, dict[str, Urgency]] = {
    Generation.V1: {
        "NRM": Urgency.NORMAL,
        "IVD": Urgency.URGENT,
        "CIV": Urgency.VERY_URGENT,
        "GNL": Urgency.TIMED,
    },
    Generation.V2: {"NRM": Urgency.NORMAL, "ACL": Urgency.URGENT, "GNL": Urgency.TIMED},
}
RETIRED_URGENCIES = frozenset({"CIV"})
LEGACY_UNIT_ELEMENT = "BYK"
LEGACY_SIGNATORY_ELEMENT = "TCYK"
PURPOSES: dict[str, Purpose] = {"GRG": Purpose.ACTION, "BLG": Purpose.INFORMATION}
ANNEX_KINDS: dict[str, AnnexKind] = {
    "DED": AnnexKind.FILE,
    "HRF": AnnexKind.EXTERNAL,
    "FZK": AnnexKind.PHYSICAL,
}
LEGAL_ENTITY_SCHEMES = frozenset({"MERSIS", "VBYS", "DERBIS", "PARBIS", "SENBIS"})


def token_of(value: T, tokens: dict[str, T]) -> str:
    """The wire token of a value; raise ``KeyError`` if this generation has none."""
    for token, candidate in tokens.items():
        if candidate is value:
            return token
    raise KeyError(value)


_FOLDING = str.maketrans("şŞöÖçÇıİğĞüÜ", "sSoOcCiIgGuU")
_AWKWARD = re.compile(r'["#%&*/:;<>?\[\\\]^`{|}]')


def folded_file_name(name: str) -> str:
    """A file's name as it may stand in a part name: ASCII, no white space; may come out empty.

    Characters that are awkward in URIs or file systems become ``_``; dots at the ends go (an OPC
    segment may not end in one).
    """
    plain = "".join(character for character in name.translate(_FOLDING) if "\x20" < character <= "\x7e")
    return _AWKWARD.sub("_", plain).strip(".")
