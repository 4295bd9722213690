"""Packages as other software writes them: other kinds, versions, names, addressees and faults."""

from __future__ import annotations

from shared.eyp import Distribution, Organisation
from tests.unit.eyp import letters, wrappers
from tests.unit.eyp.letters import replacing

_PLAIN = letters.package()


def _of_kind(category: str) -> bytes:
    """A plain package whose core properties name another kind."""
    parts = letters.parts_of(_PLAIN)
    core = next(name for name in parts if name.endswith(".psmdcp"))
    edit = replacing(">RESMIYAZISMA<", f">RESMIYAZISMA/{category}<")
    return letters.packed(parts | {core: edit(parts[core])})


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
    "kişiye özel.eyp": degree("KSO", letters.first_generation_package()),
    "özeti tutmayan.eyp": letters.changed(_PLAIN, Ustveri=replacing("deneme", "DENEME")),
    "güncelleme.eypg": wrappers.update(_PLAIN),
}
"""By the name of the file. The law lets all of these travel; what is wrong with them is for findings to say."""

FORBIDDEN: dict[str, bytes] = {
    "gizli.eyp": degree("GZL"),
    "çok gizli.eyp": degree("CGZ"),
    "gizli 1.3.eyp": degree("GZL", letters.first_generation_package()),
    "derecesi anlaşılmayan.eyp": degree("XYZ"),
    "derecesi görünmeyen.eypg": _of_kind("GUNCELLEME"),
}
"""At most HİZMETE ÖZEL travels by KEP, and nothing whose degree is not known."""
