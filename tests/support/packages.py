"""Packages as other software writes them: other kinds, versions, names, addressees and faults."""

from __future__ import annotations

from shared.eyp import Distribution, Organisation, SecurityCode
from tests.unit.eyp import letters
from tests.unit.eyp.letters import replacing

_PLAIN = letters.package()


def _of_kind(category: str) -> bytes:
    """A plain package whose core properties name another kind."""
    parts = letters.parts_of(_PLAIN)
    core = next(name for name in parts if name.endswith(".psmdcp"))
    edit = replacing(">RESMIYAZISMA<", f">RESMIYAZISMA/{category}<")
    return letters.packed(parts | {core: edit(parts[core])})


def encrypted() -> bytes:
    """Of kind .eyps: what stands where the letter stood is a CMS envelope."""
    parts = letters.parts_of(_of_kind("SIFRELI"))
    envelope = letters.tlv(0x30, letters.OID_ENVELOPED_DATA, letters.tlv(0xA0, letters.tlv(0x30)))
    relationships = parts["_rels/.rels"].replace(b"iliskiler/ustyazi", b"iliskiler/sifreliicerik")
    return letters.packed(parts | {"_rels/.rels": relationships, "UstYazi/Ustyazi.pdf": envelope})


def degree(code: str, package: bytes = _PLAIN) -> bytes:
    """With this degree of confidentiality, digests left as they were."""
    ordinary = ">YOK<" if package is _PLAIN else ">TSD<"
    return letters.changed(package, Ustveri=replacing(ordinary, f">{code}<"))


FOREIGN: dict[str, bytes] = {
    'Ğüzel ŞEHİR yazısı (1) - "ek\'li" ;%41 ' + 150 * "x" + ".eyp": _PLAIN,
    "BÜYÜK HARF.EYP": _PLAIN,
    "uzantısız": _PLAIN,
    "1.1.eyp": letters.first_generation_package("1.1"),
    "1.3.eyp": letters.first_generation_package("1.3"),
    "başka kuruma.eyp": letters.package(distributions=(Distribution(Organisation("20000009", "Başka Kurum")),)),
    "başka kurumdan.eyp": letters.package(originator=Organisation("20000008", "Öteki Kurum")),
    "hizmete özel.eyp": letters.package(security_code=SecurityCode.RESTRICTED),
    "kişiye özel.eyp": degree("KSO", letters.first_generation_package()),
    "derecesi anlaşılmayan.eyp": degree("XYZ"),
    "özeti tutmayan.eyp": letters.changed(_PLAIN, Ustveri=replacing("deneme", "DENEME")),
    "şifreli.eyps": encrypted(),
    "güncelleme.eypg": _of_kind("GUNCELLEME"),
}
"""By the name of the file. The law lets all of these travel; what is wrong with them is for findings to say."""

FORBIDDEN: dict[str, bytes] = {
    "gizli.eyp": degree("GZL"),
    "çok gizli.eyp": degree("CGZ"),
    "gizli 1.3.eyp": degree("GZL", letters.first_generation_package()),
}
"""At most HİZMETE ÖZEL travels by KEP."""
