"""Every rule as a case: a faultless package, what is done to it, and what then must be found.

``CASES`` holds them by name: the rule's key and the package's name, with a number where one rule is broken in
several ways. ``test_rule_cases`` runs all of them, ``rule_table`` prints them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

from shared.eyp import DEFAULT_LIMITS, Inspection, Profile, inspect, inspect_decrypted
from tests.unit.eyp import letters, shapes, wrappers
from tests.unit.eyp.letters import DOCUMENT_ID
from tests.unit.eyp.rule_base import (
    CORE,
    COVER,
    FINAL_DIGEST,
    LETTERS,
    PACKAGE_DIGEST,
    RELS,
    Case,
    Edit,
    Judge,
    changed,
    damaged,
    edited,
    related,
    rewritten,
    without,
)
from tests.unit.eyp.rule_cases_letter import layout_cases, metadata_cases
from tests.unit.eyp.rule_cases_signers import signer_cases

_INITIALS = "ParafOzeti/ParafOzeti.xml"
_NO_REFERENCES = r"<Reference.*</Reference>"


def _manifests() -> Iterator[Case]:
    covers = {"R.60": 7, "R.61": 21, "R.62": 26}
    for rule, item, packages in (
        ("R.60", PACKAGE_DIGEST, LETTERS),
        ("R.61", FINAL_DIGEST, LETTERS),
        ("R.62", _INITIALS, ("2.x",)),
    ):
        for package in packages:
            algorithm = "xmlenc#sha512" if package == "2.x" else "xmlenc#sha256"
            yield from _of_manifest(rule, package, item, '"/UstYazi/Ustyazi.pdf"', DOCUMENT_ID, algorithm)
            yield Case(f"{rule}.missing", package, changed(item, "/UstYazi/Ustyazi.pdf", "/x"), code=covers[rule])
            yield Case(f"{rule}.mismatch", package, edited(COVER, lambda text: text + b"\n"), code=15)
            yield Case(f"{rule}.not-computed", package, damaged(b"%PDF-1.4 a", b"%PDF-1.4 b"), code=14)
            yield Case(f"{rule}.withheld", package, without("Ekler/"), "WW")
            if package == "2.x" and item != _INITIALS:
                yield Case(f"{rule}.initials-stripped", package, without("Paraflar/"), "WW", 32)
    yield Case("R.63.retired", "1.x", changed(PACKAGE_DIGEST, "2001/04/xmlenc#sha256", "2000/09/xmldsig#sha1"), "II")
    yield Case("R.63.same", "2.x", changed(PACKAGE_DIGEST, "xmldsig-more#sha384", "xmlenc#sha512"), code=30)
    yield Case("R.63.sha512", "2.x", changed(PACKAGE_DIGEST, "xmlenc#sha512", "xmlenc#sha256"), code=31)
    yield Case(
        "R.63.unsupported", "2.x", changed(PACKAGE_DIGEST, "2001/04/xmlenc#sha512", "2000/09/xmldsig#sha1"), code=12
    )
    yield Case("R.63.unsupported", "1.x", changed(PACKAGE_DIGEST, "xmlenc#sha256", "xmldsig-more#sha384"), code=12)
    for package in LETTERS:
        yield Case("R.64.foreign", package, changed(PACKAGE_DIGEST, "/Ekler/Cizim(1).txt", "/ImzasizEkler/liste"))
        yield Case("R.64.repeated", package, changed(PACKAGE_DIGEST, "/Ekler/Cizim(1).txt", "/UstYazi/Ustyazi.pdf"))


def _of_manifest(rule: str, package: str, item: str, uri: str, own_id: str, algorithm: str) -> Iterator[Case]:
    """What any manifest can do wrong."""
    yield Case(f"{rule}.schema", package, rewritten(item, "Reference", "Baska", 0))
    yield Case(f"{rule}.schema", package, rewritten(item, _NO_REFERENCES, ""), code=8)
    yield Case(f"{rule}.id", package, changed(item, f'Id="{own_id}"', 'Id="x"'))
    yield Case(f"{rule}.uri", package, changed(item, uri, '""'), code=9)
    yield Case(f"{rule}.method", package, changed(item, "DigestMethod", "Method"), code=10)
    yield Case(f"{rule}.algorithm", package, changed(item, f"http://www.w3.org/2001/04/{algorithm}", ""), code=11)
    yield Case(f"{rule}.absent", package, changed(item, uri, '"/x"'), code=13)
    yield Case(f"{rule}.external", package, changed(item, "#dahili", "#harici"))
    if package != "1.x":
        one = r"<DigestItem>.*?</DigestItem>"
        yield Case(f"{rule}.item", package, rewritten(item, one, ""), code=29)
        yield Case(f"{rule}.item", package, rewritten(item, f"{one}\\s*{one}", ""), code=28)


def _signatures() -> Iterator[Case]:
    seals = {"2.x": "Muhur/", "1.x": "Muhurler/"}
    for package in LETTERS:
        files = {"signature": "Imzalar/ImzaCades.imz", "seal": seals[package]}
        for kind, item in (files | ({"initials": "Paraflar/"} if package == "2.x" else {})).items():
            yield Case(f"R.70.{kind}", package, edited(item, lambda _: b"1234"))
            yield Case(f"R.71.{kind}", package, edited(item, lambda _: letters.unsigned_cms(b"other")))
        yield Case("R.74.signers", package, _resigned(seals[package], b"one", b"two"))
        yield Case("R.74.signers", package, _resigned(seals[package], b"one", countersigned=True))


def _resigned(item: str, *values: bytes, countersigned: bool = False) -> Edit:
    """The seal made again by these signers."""

    def edit(content: bytes) -> bytes:
        manifest = letters.parts_of(content)[FINAL_DIGEST]
        cms = shapes.signed_cms(manifest, *values, countersigned=countersigned)
        return wrappers.edited(content, item, lambda _: cms)

    return edit


def _encrypted() -> Iterator[Case]:
    note = "SifreliIcerikBilgisi/"
    for package, rule, copy in (("eyps 2.x", "R.80", "nihaiozet"), ("eyps 1.x", "R.81", "paketozeti")):
        yield Case(f"{rule}.count", package, changed(RELS, f"iliskiler/{copy}", "iliskiler/x"))
        yield Case(f"{rule}.count", package, related(RELS, "sifreliicerik"))
        yield Case(f"{rule}.clear", package, related(RELS, "ustyazi", "/BelgeHedef/BelgeHedef.xml"), "FI")
        yield Case("R.80.place", package, changed(RELS, "/BelgeHedef/BelgeHedef.xml", "/Baska/BelgeHedef.xml"), "WW")
        yield Case("R.82.missing", package, without("SifreliIcerik/"))
        yield Case("R.83.format", package, edited("SifreliIcerik/", lambda _: letters.package()))
        yield Case("R.21.unexpected", package, changed(note, "<URI>", "<Baska/><URI>"), "FI")
    yield Case("R.21.namespace", "eyps 2.x", changed(note, "xsd:Tipler-2", "xsd:SifreliIcerikBilgisi-1"), "FI")
    yield Case("R.21.namespace", "eyps 1.x", changed(note, "xsd:SifreliIcerikBilgisi-1", "xsd:Tipler-1"), "FI")
    inside: dict[str, bytes] = {
        "copy": letters.package(subject="Başka"),
        "unreadable": b"no ZIP",
        "kind": wrappers.encrypted(),
        "generation": wrappers.older(),
        "invalid": letters.changed(letters.package(), Ustyazi=lambda text: text + b"\n"),
    }
    for key, content in inside.items():
        yield Case(f"R.83.{key}", "eyps 2.x", bytes, judge=_around(content))
    other = shapes.older(subject="Başka").to_bytes()
    yield Case("R.83.copy", "eyps 1.x", bytes, judge=_around(other))


def _around(inside: bytes) -> Judge:
    return lambda content, profile: inspect_decrypted(content, inside, profile=profile)


def _updates() -> Iterator[Case]:
    note, package_id = "GuncellemeBilgisi/", str(wrappers.PACKAGE_ID).upper()
    base = "eypg"
    uri = '"/GuncellemeBilgisi/GuncellemeBilgisi.xml"'
    yield Case("R.85.count", base, changed(RELS, "iliskiler/guncellemebilgisi", "iliskiler/x"), code=33)
    yield Case("R.85.count", base, changed(RELS, "iliskiler/orijinalpaket", "iliskiler/x"), code=35)
    yield Case("R.85.count", base, changed(RELS, "metadata/core-properties", "metadata/x"), code=18)
    yield Case("R.85.count", base, related(RELS, "orijinalpaket"))
    yield Case("R.85.version", base, changed(CORE, ">2.1<", ">1.3<"))
    yield Case("R.85.category", base, changed(CORE, "/GUNCELLEME", "/X"))
    yield Case("R.85.place", base, changed(RELS, "/OrijinalPaket/", "/Baska/"), "WW")
    yield Case("R.86.empty", base, changed(note, "Guncellemeler>", "Baska>"))
    yield Case("R.86.kind", base, changed(note, ">GuvenlikKodu<", ">Konu<"))
    yield Case("R.86.contradicted", base, rewritten(note, r"(<Guncellemeler>.*</Guncellemeler>)", _two_degrees(r"\1")))
    for name in ("DegistirmeTarihi", "Aciklama", "KomisyonKarariBelgeNo", "KomisyonKarariBelgeId"):
        yield Case("R.86.incomplete", base, rewritten(note, f"<{name}>[^<]*", f"<{name}>"))
    yield Case("R.87.encrypted", base, edited("OrijinalPaket/", lambda _: wrappers.encrypted()))
    yield from _of_manifest("R.88", base, FINAL_DIGEST, uri, package_id, "xmlenc#sha512")
    for name, code in (("/GuncellemeBilgisi/", 34), ("/OrijinalPaket/", 36), ("/package/", 24)):
        yield Case("R.88.missing", base, changed(FINAL_DIGEST, name, "/x/"), code=code)
    yield Case("R.88.mismatch", base, changed(note, ">YOK<", ">HZO<"), code=15)
    yield Case("R.88.not-computed", base, damaged(b">GuvenlikKodu<", b">GuvenlikKodX<"), code=14)
    yield Case("R.88.identifier", base, changed(CORE, package_id, "x"))
    yield Case("R.89.count", base, changed("NihaiOzet/_rels", "muhurcades", "x"))
    yield Case("R.89.format", base, edited("Muhur/", lambda _: b"1234"))
    yield Case("R.89.content", base, edited("Muhur/", lambda _: letters.unsigned_cms(b"other")))
    yield Case("R.89.signers", base, _resigned("Muhur/", b"one", b"two"))
    yield Case("R.89.signers", base, _resigned("Muhur/", b"one", countersigned=True))
    yield Case("R.90.unreadable", base, edited("OrijinalPaket/", lambda _: b"no ZIP"))
    yield Case("R.90.invalid", base, edited("OrijinalPaket/", _forged))
    yield Case("R.90.depth", base, bytes, judge=_shallow)


def _two_degrees(change: str) -> str:
    other = "<YeniGizlilikDerecesi>GZL</YeniGizlilikDerecesi>"
    return (
        f"{change}<Guncellemeler><GuncellemeTuru>GuvenlikKodu</GuncellemeTuru><GuvenlikKoduDegisiklikBilgisi>{other}"
        "</GuvenlikKoduDegisiklikBilgisi></Guncellemeler>"
    )


def _forged(letter: bytes) -> bytes:
    return wrappers.edited(letter, COVER, lambda text: text + b"\n")


def _shallow(content: bytes, profile: Profile) -> Inspection:
    return inspect(content, profile=profile, limits=replace(DEFAULT_LIMITS, nesting=1))


def _by_name(*groups: Iterator[Case]) -> dict[str, Case]:
    found: dict[str, Case] = {}
    for case in chain(*groups):
        name = f"{case.key} {case.package}"
        number = 1 + sum(other.partition(" #")[0] == name for other in found)
        found[name if number == 1 else f"{name} #{number}"] = case
    return found


CASES = _by_name(
    layout_cases(), metadata_cases(), _manifests(), _signatures(), signer_cases(), _encrypted(), _updates()
)
ELSEWHERE: dict[str, str] = {
    "R.72": "cryptography, chain and revocation: signer judges them on every level (POST /v1/package-inspections)",
}
"""Rules that bytes alone cannot answer, and who answers them."""
