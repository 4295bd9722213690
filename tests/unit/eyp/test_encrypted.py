"""Encrypted packages: written, read back, judged, and put together with what was decrypted from them."""

from __future__ import annotations

import hashlib
import io

import pytest

from shared.errors import DomainError, ErrorCode
from shared.eyp import (
    INTEROP,
    STRICT,
    EncryptedPackage,
    Generation,
    Inspection,
    Organisation,
    PackageKind,
    SecurityCode,
    inspect,
    inspect_decrypted,
)
from tests.unit.eyp import letters, wrappers
from tests.unit.eyp.letters import replacing

_LETTER = letters.package(security_code=SecurityCode.RESTRICTED)
_OLDER = wrappers.older()
_V2 = wrappers.encrypted(_LETTER)
_V1 = wrappers.encrypted(_OLDER)
_NOTE = "SifreliIcerikBilgisi/SifreliIcerikBilgisi.xml"


def keys(found: Inspection) -> set[str]:
    return {finding.key for finding in found.findings}


@pytest.mark.parametrize(("content", "letter"), [(_V2, _LETTER), (_V1, _OLDER)])
def test_written_packages_have_no_finding(content: bytes, letter: bytes) -> None:
    """Outside alone, and outside and inside together, of both generations."""
    assert inspect(content, profile=STRICT).findings == ()
    found = inspect_decrypted(content, io.BytesIO(letter), profile=STRICT)
    assert found.findings == ()
    assert found.kind is PackageKind.ENCRYPTED
    assert found.inner == inspect(letter, profile=STRICT)
    assert found.letter.document_id == letters.DOCUMENT_ID


def test_layout_of_the_second_generation() -> None:
    """Names, types, relationship ids and the content type list as eyp.md 1.2 and 1.5 give them."""
    parts = letters.parts_of(_V2)
    name = f"SifreliIcerik/{str(wrappers.PACKAGE_ID).upper()}"
    core = f"package/services/metadata/core-properties/{wrappers.PACKAGE_ID.hex}.psmdcp"
    assert set(parts) == {
        "[Content_Types].xml", "_rels/.rels", name, _NOTE, "NihaiOzet/NihaiOzet.xml", core,
    }  # fmt: skip
    assert parts[name] == wrappers.ENVELOPE
    assert parts["NihaiOzet/NihaiOzet.xml"] == letters.parts_of(_LETTER)["NihaiOzet/NihaiOzet.xml"]
    types = parts["[Content_Types].xml"].decode()
    assert f'<Override PartName="/{name}" ContentType="application/pkcs7-mime"/>' in types
    relationships = parts["_rels/.rels"].decode()
    for role, target in (
        ("SifreliIcerik", f"/{name}"), ("SifreliIcerikBilgisi", f"/{_NOTE}"), ("NihaiOzet", "/NihaiOzet/NihaiOzet.xml"),
    ):  # fmt: skip
        assert f'iliskiler/{role.lower()}" Target="{target}" Id="Id{role}"' in relationships
    assert b"<version>2.0</version>" in parts[core]
    assert b"RESMIYAZISMA/SIFRELI" in parts[core]
    assert "Ğüzel".encode() not in b"".join(parts.values()), "the subject is part of what was encrypted"
    assert inspect(_V2).document_id == str(wrappers.PACKAGE_ID).upper()


def test_layout_of_the_first_generation() -> None:
    """The content has an extension, the package digest and the recipients are copied."""
    parts, inside = letters.parts_of(_V1), letters.parts_of(_OLDER)
    name = f"SifreliIcerik/{str(wrappers.PACKAGE_ID).upper()}.eyp"
    assert parts[name] == wrappers.ENVELOPE
    for copied in ("PaketOzeti/PaketOzeti.xml", "BelgeHedef/BelgeHedef.xml"):
        assert parts[copied] == inside[copied]
    assert "NihaiOzet/NihaiOzet.xml" not in parts
    assert b'<Default Extension="eyp" ContentType="application/pkcs7-mime"/>' in parts["[Content_Types].xml"]
    assert b"SifreliIcerikBilgisi-1" in parts[_NOTE]
    found = inspect(_V1)
    assert (str(found.version), found.generation) == ("1.3", Generation.V1)
    assert found.destinations == (letters.RECIPIENT,)


def test_recipients_outside_may_be_named_in_the_second_generation() -> None:
    """Then a transport can route without the key."""
    found = inspect(wrappers.encrypted(destinations=[letters.RECIPIENT]), profile=STRICT)
    assert found.findings == ()
    assert found.destinations == (letters.RECIPIENT,)


def test_what_an_encrypted_package_tells_without_the_key() -> None:
    """Where the content is and how it is said to be encrypted; nothing of the letter."""
    found = inspect(_V2)
    assert found.encrypted_content == f"/SifreliIcerik/{str(wrappers.PACKAGE_ID).upper()}"
    assert found.encryption_note is not None
    assert found.encryption_note.version == "1.4"
    assert len(found.encryption_note.links) == 2
    assert (found.metadata, found.subject, found.security_code, found.inner) == (None, None, None, None)
    assert found.signature_components == ()
    assert inspect_decrypted(_V2, _LETTER).security_code is SecurityCode.RESTRICTED


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (wrappers.edited(_V2, "_rels/.rels", replacing("iliskiler/sifreliicerikbilgisi", "iliskiler/x")), "R.80.count"),
        (wrappers.edited(_V2, "_rels/.rels", replacing("iliskiler/nihaiozet", "iliskiler/x")), "R.80.count"),
        (wrappers.edited(_V2, "_rels/.rels", replacing('iliskiler/sifreliicerik"', 'iliskiler/x"')), "R.80.count"),
        (wrappers.edited(_V2, "_rels/.rels", replacing("metadata/core-properties", "metadata/x")), "R.80.count"),
        (wrappers.edited(_V2, "_rels/.rels", replacing("</Rel", f'<Relationship Type="http://eyazisma.dpt/iliskiler/sifreliicerik" Target="/{_NOTE}" Id="x"/></Rel')), "R.80.count"),
        (wrappers.edited(_V2, "_rels/.rels", replacing("iliskiler/nihaiozet", "iliskiler/ustyazi")), "R.80.clear"),
        (wrappers.edited(_V1, "_rels/.rels", replacing("iliskiler/belgehedef", "iliskiler/x")), "R.81.count"),
        (wrappers.edited(_V1, "_rels/.rels", replacing("iliskiler/paketozeti", "iliskiler/x")), "R.81.count"),
        (wrappers.edited(_V1, "_rels/.rels", replacing("iliskiler/paketozeti", "iliskiler/ustveri")), "R.81.clear"),
        (wrappers.without(_V2, "SifreliIcerik/"), "R.82.missing"),
        (wrappers.edited(_V2, "_rels/.rels", replacing("/SifreliIcerik/", "http://example.org/")), "R.82.missing"),
        (wrappers.edited(_V2, "SifreliIcerik/", lambda _: _LETTER), "R.83.format"),
        (wrappers.edited(_V2, "SifreliIcerik/", lambda _: b""), "R.83.format"),
        (wrappers.edited(_V2, "SifreliIcerik/", lambda cms: cms[:-1]), "R.83.format"),
        (wrappers.edited(_V2, "SifreliIcerik/", lambda _: letters.unsigned_cms(b"x")), "R.83.format"),
        (wrappers.edited(_V2, "NihaiOzet/", replacing("NihaiOzet-2", "NihaiOzet-7")), "R.61.schema"),
        (wrappers.edited(_V1, "PaketOzeti/", replacing("PaketOzeti-1", "PaketOzeti-7")), "R.60.schema"),
        (wrappers.edited(_V2, _NOTE, replacing("<URI>", "<URI><x/>")), "R.21.unexpected"),
        (wrappers.edited(_V2, _NOTE, replacing("URI>", "Baska>")), "R.21.unexpected"),
        (wrappers.edited(_V2, _NOTE, replacing("SifreliIcerikBilgisi ", "Baska ")), "R.21.markup"),
        (wrappers.edited(_V2, _NOTE, lambda _: b"<a/>"), "R.21.root"),
        (wrappers.edited(_V2, "package/", replacing(">2.0<", ">1.3<")), "R.3.contradicted"),
        (wrappers.edited(_V2, "package/", replacing("/SIFRELI", "")), "R.17.foreign"),
    ],
)  # fmt: skip
def test_rule_that_fires(content: bytes, expected: str) -> None:
    """Each way an encrypted package may be wrong, in one that is otherwise faultless."""
    assert expected in keys(inspect(content, profile=STRICT))


def test_parts_in_unusual_places_are_found_and_told() -> None:
    """Readers go by relationships; a strange place is worth a word, no more."""
    parts = letters.parts_of(_V2)
    parts["Baska/not.xml"] = parts.pop(_NOTE)
    parts["_rels/.rels"] = parts["_rels/.rels"].replace(f"/{_NOTE}".encode(), b"/Baska/not.xml")
    found = inspect(letters.packed(parts), profile=STRICT)
    assert keys(found) == {"R.80.place"}
    assert found.acceptable


def test_clear_parts_do_not_block_what_the_field_sends() -> None:
    """What lies there unencrypted is the sender's fault and the recipient's to know."""
    content = wrappers.edited(
        wrappers.encrypted(destinations=[letters.RECIPIENT]),
        "_rels/.rels",
        replacing("iliskiler/belgehedef", "iliskiler/arsivozellikleri"),
    )
    assert not inspect(content, profile=STRICT).acceptable
    assert inspect(content, profile=INTEROP).acceptable


def test_huge_encryption_note_is_bounded() -> None:
    """It informs people: what is too much is cut, and what is far too much is refused as XML."""
    note = letters.parts_of(_V2)[_NOTE]
    links = b"".join(b"<URI>%s</URI>" % (hashlib.sha512(bytes([n])).hexdigest().encode() * 100) for n in range(200))
    found = inspect(wrappers.edited(_V2, _NOTE, lambda _: note.replace(b"</Sifreli", links + b"</Sifreli")))
    assert found.encryption_note is not None
    assert sum(map(len, found.encryption_note.links)) < 25_000
    found = inspect(wrappers.edited(_V2, _NOTE, lambda _: note.replace(b"</Sifreli", links * 2 + b"</Sifreli")))
    assert "R.21.markup" in keys(found)
    assert found.encryption_note is None


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [
        (_V2, letters.package(subject="Başka"), {"R.83.copy"}),
        (_V1, wrappers.edited(_OLDER, "PaketOzeti/PaketOzeti.xml", lambda text: text + b"\n"), {"R.83.copy", "R.83.invalid"}),
        (wrappers.edited(_V1, "BelgeHedef/", replacing("10000002", "10000003")), _OLDER, {"R.83.copy"}),
        (wrappers.edited(_V2, "NihaiOzet/", lambda text: text + b"\n"), _LETTER, {"R.83.copy"}),
        (wrappers.without(_V2, "NihaiOzet/"), _LETTER, {"R.83.copy", "R.1.target"}),
        (_V2, _OLDER, {"R.83.copy", "R.83.generation"}),
        (_V2, b"no ZIP", {"R.83.unreadable"}),
        (_V2, b"", {"R.83.unreadable"}),
        (_V2, _LETTER[:-40], {"R.83.unreadable"}),
        (_V2, _V2, {"R.83.kind"}),
        (_V2, letters.changed(_LETTER, Ustyazi=lambda text: text + b"\n"), {"R.83.invalid"}),
    ],
)  # fmt: skip
def test_what_was_decrypted_must_fit(outer: bytes, inner: bytes, expected: set[str]) -> None:
    """Outside and inside are compared byte for byte, and the inside is judged in full."""
    found = inspect_decrypted(outer, inner, profile=STRICT)
    assert keys(found) == expected
    assert not found.acceptable
    assert (found.inner is None) is ("R.83.unreadable" in expected)


def test_only_encrypted_packages_have_something_decrypted() -> None:
    with pytest.raises(DomainError) as caught:
        inspect_decrypted(_LETTER, _LETTER)
    assert caught.value.code is ErrorCode.VALIDATION_FAILED


@pytest.mark.parametrize(
    ("letter", "options", "code"),
    [
        (_LETTER, {"envelope": _LETTER}, ErrorCode.VALIDATION_FAILED),
        (_LETTER, {"envelope": b""}, ErrorCode.VALIDATION_FAILED),
        (_LETTER, {"destinations": [Organisation("1")]}, ErrorCode.VALIDATION_FAILED),
        (_LETTER, {"producer": "\x00"}, ErrorCode.VALIDATION_FAILED),
        (_LETTER, {"packed_at": letters.MOMENT.replace(tzinfo=None)}, ErrorCode.VALIDATION_FAILED),
        (_OLDER, {"destinations": [letters.RECIPIENT]}, ErrorCode.VALIDATION_FAILED),
        (_V2, {}, ErrorCode.VALIDATION_FAILED),
        (letters.changed(_LETTER, Ustyazi=lambda text: text + b"\n"), {}, ErrorCode.PACKAGE_INVALID),
        (b"no ZIP", {}, ErrorCode.NOT_A_PACKAGE),
    ],
)
def test_nothing_wrong_is_written(letter: bytes, options: dict[str, object], code: ErrorCode) -> None:
    with pytest.raises(DomainError) as caught:
        wrappers.encrypted(letter, **options)
    assert caught.value.code is code


def test_same_inputs_same_bytes_and_a_changed_source_is_noticed() -> None:
    assert wrappers.encrypted(_LETTER) == _V2
    sources = iter([wrappers.ENVELOPE, wrappers.ENVELOPE, wrappers.ENVELOPE[:-1] + b"x"])
    package = EncryptedPackage.create(
        _LETTER, envelope=lambda: io.BytesIO(next(sources)), package_id=wrappers.PACKAGE_ID, packed_at=letters.MOMENT
    )
    with pytest.raises(DomainError) as caught:
        package.to_bytes()
    assert caught.value.code is ErrorCode.DIGEST_MISMATCH
    assert package.file_name == f"{str(wrappers.PACKAGE_ID).upper()}.eyps"
