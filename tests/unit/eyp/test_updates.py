"""Update packages: written, read back, judged, and updated again."""

from __future__ import annotations

import io
import random
import tracemalloc
import zipfile
from dataclasses import replace
from uuid import UUID

import pytest

from shared.errors import DomainError, ErrorCode
from shared.eyp import (
    INTEROP,
    STRICT,
    Inspection,
    Limits,
    ManifestKind,
    PackageDraft,
    PackageKind,
    SecurityCode,
    SignatureKind,
    inspect,
)
from tests.unit.eyp import letters, wrappers
from tests.unit.eyp.letters import replacing

_LETTER = letters.package(security_code=SecurityCode.SECRET)
_ONCE = wrappers.update(_LETTER)
_AGAIN_ID = UUID("6b6b6b6b-0000-4000-8000-00000000000b")
_AGAIN = wrappers.update(
    _ONCE, replace(wrappers.CHANGE, new_degree=SecurityCode.RESTRICTED), package_id=_AGAIN_ID
)  # fmt: skip
_NOTE = "GuncellemeBilgisi/GuncellemeBilgisi.xml"


def keys(found: Inspection) -> set[str]:
    return {finding.key for finding in found.findings}


def codes(found: Inspection) -> set[tuple[str, int | None]]:
    return {(finding.key, finding.code) for finding in found.findings}


@pytest.mark.parametrize("original", [_LETTER, wrappers.older(), _ONCE, _AGAIN])
def test_written_packages_have_no_finding(original: bytes) -> None:
    """Whatever is updated, of either generation and updated before, is read back clean and unchanged."""
    content = wrappers.update(lambda: io.BytesIO(original))
    found = inspect(content, profile=STRICT)
    assert found.findings == ()
    assert found.kind is PackageKind.UPDATE
    assert found.inner == inspect(original, profile=STRICT)
    name = next(name for name in letters.parts_of(content) if name.startswith("OrijinalPaket/"))
    assert letters.parts_of(content)[name] == original


def test_what_an_update_says() -> None:
    """The change in typed form; the seal to be verified; the digests over exactly three parts."""
    found = inspect(_ONCE)
    assert found.update is not None
    assert found.update.degree_changes == (wrappers.CHANGE,)
    assert found.update.unknown_kinds == ()
    assert found.document_id == str(wrappers.PACKAGE_ID).upper()
    assert found.subject == "Gizlilik derecesi değişikliği"
    assert (found.metadata, found.document_no, found.cover_letter) == (None, None, None)
    assert [component.kind for component in found.signature_components] == [SignatureKind.SEAL]
    (manifest,) = found.manifests
    assert (manifest.kind, manifest.references, manifest.mismatches) == (ManifestKind.UPDATE, 3, ())


def test_the_outermost_update_gives_the_degree_and_the_innermost_letter_all_else() -> None:
    """Three levels, each with a degree of its own."""
    found = inspect(_AGAIN, profile=STRICT)
    assert found.findings == ()
    assert found.inner is not None
    assert found.inner.inner is not None
    levels = [found.security_code, found.inner.security_code, found.inner.inner.security_code]
    assert levels == [SecurityCode.RESTRICTED, SecurityCode.UNCLASSIFIED, SecurityCode.SECRET]
    assert found.letter is found.inner.inner
    assert found.letter.document_no == letters.FINAL.document_no


def test_layout() -> None:
    """Names, types and ids as eyp.md 1.3 to 1.5 give them."""
    parts = letters.parts_of(_ONCE)
    core = f"package/services/metadata/core-properties/{wrappers.PACKAGE_ID.hex}.psmdcp"
    assert set(parts) == {
        "[Content_Types].xml", "_rels/.rels", "NihaiOzet/_rels/NihaiOzet.xml.rels", _NOTE,
        "OrijinalPaket/OrijinalPaket.eyp", "NihaiOzet/NihaiOzet.xml", "Muhur/MuhurCades.imz", core,
    }  # fmt: skip
    assert "OrijinalPaket/OrijinalPaket.eypg" in letters.parts_of(_AGAIN)
    assert b'Extension="eyp" ContentType="application/x-zip-compressed"' in parts["[Content_Types].xml"]
    for role, target in (("GuncellemeBilgisi", _NOTE), ("OrijinalPaket", "OrijinalPaket/OrijinalPaket.eyp")):
        assert f'iliskiler/{role.lower()}" Target="/{target}" Id="Id{role}"'.encode() in parts["_rels/.rels"]
    for text in (b"<version>2.1</version>", b"RESMIYAZISMA/GUNCELLEME", b"2026-04-02T09:30:00Z"):
        assert text in parts[core]
    assert b"xsd:Tipler-2" in parts[_NOTE]


def _rels(old: str, new: str) -> bytes:
    return wrappers.edited(_ONCE, "_rels/.rels", replacing(old, new))


def _note(old: str, new: str) -> bytes:
    """An update whose note says something else, digested and sealed again."""
    note = letters.parts_of(_ONCE)[_NOTE]
    assert old.encode() in note
    return wrappers.resealed(_ONCE, GuncellemeBilgisi=note.replace(old.encode(), new.encode()))


def _core(old: str, new: str) -> bytes:
    name = next(name for name in letters.parts_of(_ONCE) if name.endswith(".psmdcp"))
    core = letters.parts_of(_ONCE)[name]
    assert old.encode() in core
    return wrappers.resealed(_ONCE, package=core.replace(old.encode(), new.encode()))


def _manifest(old: str, new: str) -> bytes:
    """An update whose final digest says something else, sealed again."""
    parts = letters.parts_of(_ONCE)
    manifest = parts["NihaiOzet/NihaiOzet.xml"]
    assert old.encode() in manifest
    manifest = manifest.replace(old.encode(), new.encode())
    return letters.packed(
        parts | {"NihaiOzet/NihaiOzet.xml": manifest, "Muhur/MuhurCades.imz": letters.unsigned_cms(manifest)}
    )


def _twice_signed(content: bytes) -> bytes:
    """CMS with two SignerInfos, as far as anyone looks here."""
    encapsulated = letters.tlv(0x30, letters.OID_DATA, letters.tlv(0xA0, letters.tlv(0x04, content)))
    signers = letters.tlv(0x31, letters.tlv(0x30), letters.tlv(0x30))
    signed = letters.tlv(0x30, letters.tlv(0x02, b"\x01"), letters.tlv(0x31), encapsulated, signers)
    return letters.tlv(0x30, letters.OID_SIGNED_DATA, letters.tlv(0xA0, signed))


_SECOND_CHANGE = (
    "<Guncellemeler><GuncellemeTuru>GuvenlikKodu</GuncellemeTuru><GuvenlikKoduDegisiklikBilgisi>"
    "<YeniGizlilikDerecesi>GZL</YeniGizlilikDerecesi><DegistirmeTarihi>2026-01-01T00:00:00Z</DegistirmeTarihi>"
    "<Aciklama>a</Aciklama><KomisyonKarariBelgeNo>b</KomisyonKarariBelgeNo>"
    "<KomisyonKarariBelgeId>c</KomisyonKarariBelgeId></GuvenlikKoduDegisiklikBilgisi></Guncellemeler></Guncelleme"
)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (_rels("metadata/core-properties", "metadata/x"), ("R.85.count", 18)),
        (_rels("iliskiler/guncellemebilgisi", "iliskiler/x"), ("R.85.count", 33)),
        (_rels("iliskiler/orijinalpaket", "iliskiler/x"), ("R.85.count", 35)),
        (_rels("iliskiler/nihaiozet", "iliskiler/x"), ("R.85.count", None)),
        (_rels("iliskiler/nihaiozet", "iliskiler/ustveri"), ("R.17.foreign", None)),
        (_rels("</Rel", f'<Relationship Type="http://eyazisma.dpt/iliskiler/orijinalpaket" Target="/{_NOTE}" Id="x"/></Rel'), ("R.85.count", None)),
        (_rels("/OrijinalPaket/", "/Yok/"), ("R.1.target", 35)),
        (_core(">2.1<", ">1.3<"), ("R.85.version", None)),
        (_core("/GUNCELLEME", "/X"), ("R.85.category", None)),
        (_core(str(wrappers.PACKAGE_ID).upper(), "x"), ("R.88.identifier", None)),
        (_core(str(wrappers.PACKAGE_ID).upper(), str(_AGAIN_ID).upper()), ("R.88.id", None)),
        (_core("2026-04-02", "2026-14-02"), ("R.18.created-missing", None)),
        (_note(">GuvenlikKodu<", ">Konu<"), ("R.86.kind", None)),
        (_note("GuvenlikKoduDegisiklikBilgisi>", "Baska>"), ("R.86.incomplete", None)),
        (_note(">YOK<", ">XYZ<"), ("R.34.forbidden", None)),
        (_note(">YOK<", ">OZL<"), ("R.34.retired", None)),
        (_note("2026-04-01T09", "2026-14-01T09"), ("R.86.incomplete", None)),
        (_note("2026-04-01T09", "2026-14-01T09"), ("R.21.value", None)),
        (_note("Gizliliği kaldırıldı &amp; &lt;işaret&gt;", ""), ("R.86.incomplete", None)),
        (_note(wrappers.CHANGE.decision_document_no or "", ""), ("R.86.incomplete", None)),
        (_note(wrappers.CHANGE.decision_document_id or "", ""), ("R.86.incomplete", None)),
        (_note("</GuncellemeBilgisi", _SECOND_CHANGE + "Bilgisi"), ("R.86.contradicted", None)),
        (_note("Guncellemeler>", "Baska>"), ("R.86.empty", None)),
        (_note("Guncellemeler>", "Baska>"), ("R.21.unexpected", None)),
        (wrappers.edited(_ONCE, _NOTE, replacing(">YOK<", ">HZO<")), ("R.88.mismatch", 15)),
        (wrappers.edited(_ONCE, "OrijinalPaket/", lambda _: letters.package(security_code=SecurityCode.SECRET, subject="Başka")), ("R.88.mismatch", 15)),
        (wrappers.edited(_ONCE, "package/", replacing("Gizlilik", "gizlilik")), ("R.88.mismatch", 15)),
        (_manifest("/GuncellemeBilgisi/GuncellemeBilgisi.xml", "/yok.xml"), ("R.88.missing", 34)),
        (_manifest("/OrijinalPaket/OrijinalPaket.eyp", "/yok.xml"), ("R.88.missing", 36)),
        (_manifest("/package/", "/yok/"), ("R.88.missing", 24)),
        (_manifest("/package/", "/yok/"), ("R.88.absent", 13)),
        (_manifest("#dahili", "#harici"), ("R.88.external", None)),
        (_manifest("NihaiOzet-2", "NihaiOzet-7"), ("R.88.schema", None)),
        (_manifest('URI="/package/', 'URI="" x="/package/'), ("R.88.uri", 9)),
        (_manifest("DigestMethod", "Method"), ("R.88.method", 10)),
        (_manifest("http://www.w3.org/2001/04/xmlenc#sha512", ""), ("R.88.algorithm", 11)),
        (_manifest("/GuncellemeBilgisi/GuncellemeBilgisi.xml", "/Muhur/MuhurCades.imz"), ("R.64.foreign", None)),
        (wrappers.edited(_ONCE, "NihaiOzet/_rels", replacing("muhurcades", "x")), ("R.89.count", None)),
        (wrappers.without(_ONCE, "Muhur/"), ("R.1.target", None)),
        (wrappers.edited(_ONCE, "Muhur/", lambda _: b"1234"), ("R.89.format", None)),
        (wrappers.edited(_ONCE, "Muhur/", lambda _: b""), ("R.89.format", None)),
        (wrappers.edited(_ONCE, "Muhur/", lambda _: letters.unsigned_cms(b"other")), ("R.89.content", None)),
        (wrappers.edited(_ONCE, "Muhur/", lambda _: _twice_signed(letters.parts_of(_ONCE)["NihaiOzet/NihaiOzet.xml"])), ("R.89.signers", None)),
        (wrappers.resealed(_ONCE, OrijinalPaket=wrappers.encrypted()), ("R.87.encrypted", None)),
        (wrappers.resealed(_ONCE, OrijinalPaket=letters.changed(_LETTER, Ustyazi=lambda text: text + b"\n")), ("R.90.invalid", None)),
        (wrappers.resealed(_ONCE, OrijinalPaket=b"no ZIP"), ("R.90.unreadable", None)),
        (wrappers.resealed(_ONCE, OrijinalPaket=b""), ("R.90.unreadable", None)),
        (wrappers.resealed(_ONCE, OrijinalPaket=_LETTER[:-40]), ("R.90.unreadable", None)),
        (wrappers.resealed(_ONCE, OrijinalPaket=letters.packed({"a.txt": b"a"})), ("R.90.unreadable", None)),
    ],
)  # fmt: skip
def test_rule_that_fires(content: bytes, expected: tuple[str, int | None]) -> None:
    """Each way an update may be wrong, with the official library's code, and nothing about it is only strict."""
    for profile in (STRICT, INTEROP):
        found = inspect(content, profile=profile)
        assert expected in codes(found)
        if expected[0] not in ("R.17.foreign", "R.34.retired", "R.18.created-missing", "R.21.unexpected"):
            assert not found.acceptable


def test_unreadable_parts_and_single_digests() -> None:
    """A part that cannot be read cannot be proved; one digest of two proves too little."""
    stored = letters.packed(letters.parts_of(_ONCE), zipfile.ZIP_STORED)
    damaged = stored.replace(b"<GuncellemeTuru>GuvenlikKodu", b"<GuncellemeTuru>GuvenlikKodX")
    assert {("R.1.part", None), ("R.88.not-computed", 14)} <= codes(inspect(damaged))
    manifest = letters.parts_of(_ONCE)["NihaiOzet/NihaiOzet.xml"]
    head, _, tail = manifest.partition(b"<DigestItem>")
    single = head + tail.partition(b"</DigestItem>")[2]
    assert ("R.88.item", 29) in codes(inspect(wrappers.edited(_ONCE, "NihaiOzet/NihaiOzet.xml", lambda _: single)))


def test_parts_in_unusual_places_are_found_and_told() -> None:
    parts = letters.parts_of(_ONCE)
    parts["Baska/paket.eyp"] = parts.pop("OrijinalPaket/OrijinalPaket.eyp")
    for name in ("_rels/.rels", "NihaiOzet/NihaiOzet.xml"):
        parts[name] = parts[name].replace(b"/OrijinalPaket/OrijinalPaket.eyp", b"/Baska/paket.eyp")
    parts["Muhur/MuhurCades.imz"] = letters.unsigned_cms(parts["NihaiOzet/NihaiOzet.xml"])
    found = inspect(letters.packed(parts), profile=STRICT)
    assert keys(found) == {"R.85.place"}
    assert found.acceptable


def test_faults_inside_are_told_where_they_are() -> None:
    """Outside stands that something inside is wrong and which rules it breaks; the rest stands inside."""
    forged = letters.changed(_LETTER, Ustyazi=lambda text: text + b"\n")
    content = wrappers.resealed(_AGAIN, OrijinalPaket=wrappers.resealed(_ONCE, OrijinalPaket=forged))
    found = inspect(content, profile=STRICT)
    assert keys(found) == {"R.90.invalid"}
    assert "R.90" in found.findings[0].message_en
    assert found.inner is not None
    assert keys(found.inner) == {"R.90.invalid"}
    assert "R.60, R.61" in found.inner.findings[0].message_en
    assert keys(found.letter) == {"R.60.mismatch", "R.61.mismatch"}
    mismatches = {summary.kind: summary.mismatches for summary in found.letter.manifests}
    assert mismatches == {
        ManifestKind.PACKAGE: ("/UstYazi/Ustyazi.pdf",),
        ManifestKind.FINAL: ("/UstYazi/Ustyazi.pdf",),
    }


def test_a_contradiction_takes_the_highest_degree_and_an_unknown_update_none() -> None:
    """Nobody learns less caution from a package that is not clear."""
    found = inspect(_note("</GuncellemeBilgisi", _SECOND_CHANGE + "Bilgisi"))
    assert found.security_code is SecurityCode.SECRET
    assert inspect(_note(">GuvenlikKodu<", ">Konu<")).security_code is SecurityCode.SECRET
    assert inspect(_note(">YOK<", ">XYZ<")).security_code is SecurityCode.SECRET
    unreadable = inspect(wrappers.resealed(_ONCE, GuncellemeBilgisi=b"<"))
    assert unreadable.security_code is SecurityCode.SECRET
    assert inspect(wrappers.resealed(_ONCE, OrijinalPaket=b"no ZIP")).inner is None


@pytest.mark.parametrize("category", ["GUNCELLEME", "SIFRELI"])
def test_a_secret_letter_under_another_category_stays_secret(category: str) -> None:
    """What may travel is decided by the degree: a wrong label must not hide it."""
    edit = replacing(">RESMIYAZISMA<", f">RESMIYAZISMA/{category}<")
    found = inspect(wrappers.edited(_LETTER, "package/", edit))
    assert found.metadata is None
    assert found.security_code is SecurityCode.SECRET


def _nested(levels: int) -> bytes:
    content = _LETTER
    for _ in range(levels - 1):
        content = wrappers.update(content)
    return content


def test_depth_is_bounded_in_reading_and_writing() -> None:
    """As many levels as the limit says are read; one more is a finding, and is not written."""
    deepest = _nested(4)
    assert inspect(deepest, profile=STRICT, limits=Limits(nesting=4)).findings == ()
    found = inspect(deepest, profile=STRICT, limits=Limits(nesting=3))
    assert keys(found) == {"R.90.invalid"}
    assert found.letter.kind is PackageKind.UPDATE
    assert keys(found.letter) == {"R.90.depth"}
    with pytest.raises(DomainError) as caught:
        wrappers.unsealed(deepest, limits=Limits(nesting=4))
    assert caught.value.code is ErrorCode.VALIDATION_FAILED


def test_totals_count_over_all_levels() -> None:
    """Parts and bytes of the packages inside are charged to the whole."""
    parts = sum(len(letters.parts_of(content)) for content in (_LETTER, _ONCE))
    size = sum(len(item) for content in (_LETTER, _ONCE) for item in letters.parts_of(content).values())
    for exact, short in (
        (Limits(parts=parts), Limits(parts=parts - 1)),
        (Limits(total_size=size), Limits(total_size=size - 1)),
    ):
        assert inspect(_ONCE, profile=STRICT, limits=exact).findings == ()
        assert keys(inspect(_ONCE, profile=STRICT, limits=short)) == {"R.90.unreadable"}


def test_xml_counts_over_all_levels() -> None:
    """Packages inside one another cannot each ask for as much work as one may; a note is short by nature."""
    full = inspect(_AGAIN, profile=STRICT, limits=Limits(xml_marks=1_000))
    assert full.findings == ()
    core = next(name for name in letters.parts_of(_ONCE) if name.endswith(".psmdcp"))
    filled = letters.parts_of(_ONCE)[core].replace(b"</coreP", b"<x/>" * 800 + b"</coreP")
    found = inspect(wrappers.resealed(_ONCE, package=filled), limits=Limits(xml_marks=1_000))
    assert keys(found) == {"R.90.invalid"}
    assert found.inner is not None
    assert "R.1.relationships" in keys(found.inner)
    note = letters.parts_of(_ONCE)[_NOTE].replace(b"</GuncellemeB", b"<Guncellemeler/>" * 5_000 + b"</GuncellemeB")
    assert "R.21.markup" in keys(inspect(wrappers.resealed(_ONCE, GuncellemeBilgisi=note)))


def test_memory_for_one_level_only() -> None:
    """What one level took is given back while the next is taken out of it."""
    size = 12 * 1024 * 1024
    letter = PackageDraft.create(
        letters.letter(annexes=()), cover_letter=b"%PDF-1.7 " + random.Random(1).randbytes(size)
    )
    content = wrappers.update(wrappers.update(wrappers.update(letters.finish(letter).to_bytes())))
    file = io.BytesIO(content)
    tracemalloc.start()
    inspection = inspect(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert inspection.acceptable
    assert inspection.letter.cover_letter is not None
    assert size < peak < size * 1.5


def test_a_bomb_inside_does_not_go_off() -> None:
    """Nested containers that unpack a thousandfold are refused before they unpack."""
    zeros = b"\x00" * (30 * 1024 * 1024)
    bomb = letters.packed(letters.parts_of(_LETTER) | {"Ekler/bomb.bin": zeros})
    content = wrappers.resealed(_ONCE, OrijinalPaket=bomb)
    tracemalloc.start()
    found = inspect(content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert keys(found) == {"R.90.unreadable"}
    assert peak < 8 * 1024 * 1024
    many = letters.packed({f"p{number}": b"" for number in range(10_000)}, zipfile.ZIP_STORED)
    assert keys(inspect(wrappers.resealed(_ONCE, OrijinalPaket=many))) == {"R.90.unreadable"}


@pytest.mark.parametrize(
    ("original", "change", "options", "code"),
    [
        (b"no ZIP", {}, {}, ErrorCode.NOT_A_PACKAGE),
        (wrappers.encrypted(), {}, {}, ErrorCode.VALIDATION_FAILED),
        (letters.changed(_LETTER, Ustyazi=lambda text: text + b"\n"), {}, {}, ErrorCode.VALIDATION_FAILED),
        (_LETTER, {"new_degree": None}, {}, ErrorCode.VALIDATION_FAILED),
        (_LETTER, {"new_degree": SecurityCode.PERSONAL}, {}, ErrorCode.VALIDATION_FAILED),
        (_LETTER, {"new_degree": SecurityCode.CONFIDENTIAL}, {}, ErrorCode.VALIDATION_FAILED),
        (_LETTER, {"changed_at": None}, {}, ErrorCode.VALIDATION_FAILED),
        (_LETTER, {"changed_at": letters.MOMENT.replace(tzinfo=None)}, {}, ErrorCode.VALIDATION_FAILED),
        (_LETTER, {"explanation": ""}, {}, ErrorCode.VALIDATION_FAILED),
        (_LETTER, {"explanation": "\x00"}, {}, ErrorCode.VALIDATION_FAILED),
        (_LETTER, {"decision_document_no": None}, {}, ErrorCode.VALIDATION_FAILED),
        (_LETTER, {"decision_document_id": ""}, {}, ErrorCode.VALIDATION_FAILED),
        (_LETTER, {}, {"subject": " "}, ErrorCode.VALIDATION_FAILED),
        (_LETTER, {}, {"originator": letters.Organisation("1")}, ErrorCode.VALIDATION_FAILED),
        (_LETTER, {}, {"created": letters.MOMENT.replace(tzinfo=None)}, ErrorCode.VALIDATION_FAILED),
    ],
)
def test_nothing_wrong_is_written(
    original: bytes, change: dict[str, object], options: dict[str, object], code: ErrorCode
) -> None:
    with pytest.raises(DomainError) as caught:
        wrappers.unsealed(original, replace(wrappers.CHANGE, **change), **options)  # type: ignore[arg-type]
    assert caught.value.code is code


def test_steps_can_be_taken_again_and_a_seal_over_other_bytes_is_refused() -> None:
    """The same inputs give the same bytes to be sealed, in whatever process."""
    first, second = wrappers.unsealed(_LETTER), wrappers.unsealed(_LETTER)
    assert first.seal_to_be_signed() == second.seal_to_be_signed()
    assert wrappers.sealed(first) == _ONCE
    for wrong in (b"", letters.unsigned_cms(first.seal_to_be_signed() + b" ")):
        with pytest.raises(DomainError) as caught:
            first.with_seal(wrong)
        assert caught.value.code is ErrorCode.SIGNATURE_INVALID
    finished = first.with_seal(letters.unsigned_cms(first.seal_to_be_signed()))
    assert finished.file_name == f"{str(wrappers.PACKAGE_ID).upper()}.eypg"
