"""Whatever arrives, the answer is findings or a DomainError, soon and in little memory."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.errors import DomainError, ErrorCode
from shared.eyp import Container, Limits, Profile, Severity, inspect
from tests.unit.eyp import letters

_PACKAGE = letters.package()
_PARTS = letters.parts_of(_PACKAGE)
_V1_PARTS = letters.parts_of(letters.first_generation_package())
_RARE = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def code_of(content: bytes, limits: Limits | None = None) -> ErrorCode:
    """The code ``inspect`` refuses with."""
    with pytest.raises(DomainError) as caught:
        inspect(content, **({"limits": limits} if limits else {}))
    return caught.value.code


@pytest.mark.parametrize("content", [b"", b"P", b"plain text", b"%PDF-1.7\n", b"PK", b"\x00" * 1000])
def test_no_zip(content: bytes) -> None:
    assert code_of(content) is ErrorCode.NOT_A_PACKAGE


def test_other_zip_and_other_opc_file() -> None:
    """A plain ZIP and an office document are not packages."""
    assert code_of(letters.packed({"a.txt": b"a"})) is ErrorCode.NOT_A_PACKAGE
    document = {
        "[Content_Types].xml": _PARTS["[Content_Types].xml"],
        "_rels/.rels": b'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        b'<Relationship Type="http://x/officeDocument" Target="word/document.xml" Id="r1"/></Relationships>',
    }
    assert code_of(letters.packed(document)) is ErrorCode.NOT_A_PACKAGE


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.99])
def test_truncated(share: float) -> None:
    assert code_of(_PACKAGE[: int(len(_PACKAGE) * share)]) is ErrorCode.PACKAGE_INVALID


def test_bytes_before_or_after_the_zip() -> None:
    """Something hidden around the container is refused, not skipped."""
    assert code_of(b"MZ" + _PACKAGE) is ErrorCode.NOT_A_PACKAGE
    assert code_of(b"PK\x03\x04" + _PACKAGE) is ErrorCode.PACKAGE_INVALID
    assert code_of(_PACKAGE + _PACKAGE) is ErrorCode.PACKAGE_INVALID


def test_zip_bomb_is_refused_before_it_unpacks() -> None:
    """A part that unpacks a thousandfold, and parts that only together are too much."""
    zeros = b"\x00" * (30 * 1024 * 1024)
    bomb = letters.packed(_PARTS | {"Ekler/bomb.bin": zeros})
    tracemalloc.start()
    assert code_of(bomb) is ErrorCode.TOO_LARGE
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 1024 * 1024
    several = letters.packed(_PARTS | {f"Ekler/{n}.bin": zeros[: 1024 * 1024] for n in range(10)})
    assert code_of(several, Limits(total_size=8 * 1024 * 1024)) is ErrorCode.TOO_LARGE


def test_part_longer_or_shorter_than_declared() -> None:
    """The directory's sizes are promises: a part that breaks them is unreadable, not trusted."""
    content = letters.packed(_PARTS | {"Ekler/x.bin": b"x" * 5000})
    directory, local = content.rindex(b"PK\x01\x02"), content.rindex(b"PK\x03\x04")
    for size in (10, 5001, 900_000):
        lying = bytearray(content)
        struct.pack_into("<L", lying, directory + 24, size)
        assert code_of(bytes(lying)) is ErrorCode.PACKAGE_INVALID, "the two headers differ"
        struct.pack_into("<L", lying, local + 22, size)
        findings = inspect(bytes(lying)).findings
        assert ("R.1.part", "/Ekler/x.bin") in {(finding.key, finding.part) for finding in findings}


def test_many_parts() -> None:
    """Ten thousand parts are refused from the end record alone."""
    many = letters.packed({f"p{n}": b"" for n in range(10_000)}, zipfile.ZIP_STORED)
    assert code_of(many) is ErrorCode.TOO_LARGE
    understated = bytearray(many)
    struct.pack_into("<2H", understated, len(many) - 14, 3, 3)
    assert code_of(bytes(understated), Limits(directory_size=10_000_000)) is ErrorCode.TOO_LARGE


def test_size_limit() -> None:
    assert code_of(_PACKAGE, Limits(package_size=len(_PACKAGE) - 1)) is ErrorCode.TOO_LARGE


@pytest.mark.parametrize(
    "name",
    [
        "../evil.txt",
        "Ekler/../../evil.txt",
        "Ekler/%2e%2e/evil.txt",
        "Ekler%2fevil.txt",
        "/etc/passwd",
        "C:/evil.txt",
        "Ekler\\evil.txt",
        "Ekler//evil.txt",
        "Ekler/a\x07b.txt",
        "Ekler/a\u202eb.txt",
        "x" * 600,
        "/".join("x" * 20),
    ],
)
def test_name_that_is_not_a_part_name(name: str) -> None:
    assert code_of(letters.packed(_PARTS | {name: b"x"})) is ErrorCode.PACKAGE_INVALID


def test_two_parts_of_one_name() -> None:
    """The same name twice, in another case or escaped: two readers might see two letters."""
    for twin in ("USTYAZI/Ustyazi.pdf", "UstYazi/%55styazi.pdf"):
        assert code_of(letters.packed(_PARTS | {twin: b"other"})) is ErrorCode.PACKAGE_INVALID
    buffer = io.BytesIO(_PACKAGE)
    with zipfile.ZipFile(buffer, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("UstYazi/Ustyazi.pdf", b"other")
    assert code_of(buffer.getvalue()) is ErrorCode.PACKAGE_INVALID


def test_overlapping_entries() -> None:
    """Two directory entries for one stretch of bytes (how small files unpack without end)."""
    content = bytearray(letters.packed({"a": b"x" * 100, "b": b"x" * 100}, zipfile.ZIP_STORED))
    second = content.rindex(b"PK\x01\x02")
    struct.pack_into("<L", content, second + 42, 0)
    assert code_of(bytes(content)) is ErrorCode.PACKAGE_INVALID


def _moved(content: bytes, at: int, inserted: bytes) -> bytes:
    """The ZIP with bytes inserted, and a directory that knows where everything went."""
    result = bytearray(content[:at] + inserted + content[at:])
    end = result.rindex(b"PK\x05\x06")
    directory = struct.unpack_from("<L", result, end + 16)[0] + len(inserted)
    struct.pack_into("<L", result, end + 16, directory)
    while result[directory : directory + 4] == b"PK\x01\x02":
        (offset,) = struct.unpack_from("<L", result, directory + 42)
        if offset >= at:
            struct.pack_into("<L", result, directory + 42, offset + len(inserted))
        directory += 46 + sum(struct.unpack_from("<3H", result, directory + 28))
    return bytes(result)


@pytest.mark.parametrize("place", ["first", "between", "last"])
def test_an_entry_the_directory_leaves_out(place: str) -> None:
    """A reader that streams would take the hidden cover letter; we would never have seen it."""
    hidden = letters.packed({"UstYazi/Ustyazi.pdf": b"another letter"})
    hidden = hidden[: hidden.index(b"PK\x01\x02")]
    at = {
        "first": 0,
        "between": _PACKAGE.index(b"PK\x03\x04", 10),
        "last": _PACKAGE.index(b"PK\x01\x02"),
    }[place]
    with zipfile.ZipFile(io.BytesIO(_moved(_PACKAGE, at, hidden))) as archive:
        assert archive.testzip() is None
        assert archive.read("UstYazi/Ustyazi.pdf") != b"another letter"
    assert code_of(_moved(_PACKAGE, at, hidden)) is ErrorCode.PACKAGE_INVALID


@pytest.mark.parametrize("field", [8, 18, 22, 30])
def test_local_header_that_says_something_else(field: int) -> None:
    """Method, sizes or name: whoever believes the local header sees another part."""
    content = bytearray(letters.packed(_PARTS | {"Ekler/x.bin": b"x" * 5000}))
    content[content.rindex(b"PK\x03\x04") + field] ^= 0x08
    assert code_of(bytes(content)) is ErrorCode.PACKAGE_INVALID


def test_extra_field_that_renames_a_part() -> None:
    """Some readers take the Unicode path field for the name."""
    for name, refused in ((b"UstYazi/other.pdf", True), (b"Ekler/x.bin", False)):
        buffer = io.BytesIO(_PACKAGE)
        with zipfile.ZipFile(buffer, "a") as archive:
            entry = zipfile.ZipInfo("Ekler/x.bin")
            entry.extra = struct.pack("<HHBL", 0x7075, 5 + len(name), 1, zlib.crc32(b"Ekler/x.bin")) + name
            archive.writestr(entry, b"x")
        if refused:
            assert code_of(buffer.getvalue()) is ErrorCode.PACKAGE_INVALID
        else:
            inspect(buffer.getvalue())


def test_streamed_zip_is_read() -> None:
    """Writers that cannot seek put the sizes behind each part; that is no gap."""

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.written = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: object, /) -> int:
            self.written += bytes(data)  # type: ignore[call-overload]
            return len(bytes(data))  # type: ignore[call-overload]

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in _PARTS.items():
            archive.writestr(name, content)
    assert inspect(bytes(pipe.written)).acceptable


def test_encrypted_or_unusual_entries() -> None:
    """ZIP encryption and other compressions have no place in a package."""
    assert code_of(letters.packed(_PARTS, zipfile.ZIP_BZIP2)) is ErrorCode.PACKAGE_INVALID
    content = bytearray(_PACKAGE)
    content[content.index(b"PK\x01\x02") + 8] |= 1
    assert code_of(bytes(content)) is ErrorCode.PACKAGE_INVALID


def test_end_record_of_64_bits_is_bounded_too() -> None:
    """zipfile prefers the 64-bit end record: its size is what must be bounded."""
    at = len(_PACKAGE) - 22
    size, offset = struct.unpack_from("<2L", _PACKAGE, at + 12)
    for claimed in (size, 2**40):
        record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, len(_PARTS), len(_PARTS), claimed, offset)
        locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, at, 1)
        content = _PACKAGE[:at] + record + locator + _PACKAGE[at:]
        if claimed == size:
            assert inspect(content).acceptable
        else:
            assert code_of(content) is ErrorCode.TOO_LARGE


_LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>"""


@pytest.mark.parametrize(
    "markup",
    [
        _LAUGHS,
        _LAUGHS.decode().encode("utf-16"),
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>',
        b"<x>" * 200 + b"</x>" * 200,
        b"<x>" * 40 + b"</x>" * 40,
        b"<x>" + b"<y/>" * 310_000 + b"</x>",
        b"<x " + b" ".join(b'a%d="1"' % n for n in range(310_000)) + b"/>",
        b"<x>" + b" " * (5 * 1024 * 1024) + b"</x>",
        b'<?xml version="1.0" encoding="iso-8859-9"?><x>\xfe</x>',
        b"<x>&undefined;</x>",
        b"<x",
        b"",
        b"\x00",
        b"\xff\xfe\x00",
    ],
    ids=range(14),
)
@pytest.mark.parametrize("place", ["Ustveri/Ustveri.xml", "NihaiOzet/NihaiOzet.xml", "_rels/.rels", "core"])
def test_hostile_markup_is_a_finding(markup: bytes, place: str) -> None:
    """Every XML part is parsed the same careful way; the letter is not acceptable and nothing else happens."""
    name = next(name for name in _PARTS if name == place or (place == "core" and name.endswith(".psmdcp")))
    inspection = inspect(letters.packed(_PARTS | {name: markup}, zipfile.ZIP_STORED))
    assert not inspection.acceptable


def test_findings_are_bounded() -> None:
    """A letter with very many faults gives some of them and a count."""
    distributions = b"<tipler:Dagitim/>" * 6000
    content = letters.changed(
        _PACKAGE,
        Ustveri=lambda xml: xml.replace(b"</tipler:DagitimListesi>", distributions + b"</tipler:DagitimListesi>"),
    )
    inspection = inspect(content)
    assert len(inspection.findings) < 100
    assert inspection.findings_suppressed > 4000
    assert any(finding.key == "R.21.too-many" for finding in inspection.findings)


def test_warnings_cannot_hide_a_fault() -> None:
    """A check that is cut short is fatal, even if all it had found so far were warnings."""
    labels = b"".join(b"<tipler:Ilgi><tipler:Etiket>%d</tipler:Etiket></tipler:Ilgi>" % n for n in range(6000))
    content = letters.changed(
        _PACKAGE,
        Ustveri=lambda xml: xml.replace(
            b"</tipler:Ekler>", b"</tipler:Ekler><tipler:Ilgiler>" + labels + b"</tipler:Ilgiler>"
        ),
    )
    assert not inspect(content, profile=Profile("lax", {"R.57": Severity.WARNING, "R.60": Severity.WARNING})).acceptable


@pytest.mark.timeout(120)
def test_judging_a_swarm_ends() -> None:
    """As many elements as the limits allow take seconds, not hours, whatever rule each one breaks."""
    swarms = {
        b"</tipler:Ekler>": b"<tipler:Ek/>" * 140_000,
        b"</tipler:DagitimListesi>": b"<tipler:Dagitim><tipler:KurumKurulus/></tipler:Dagitim>" * 35_000,
    }
    for place, swarm in swarms.items():
        xml = _PARTS["Ustveri/Ustveri.xml"].replace(place, swarm + place)
        assert not inspect(letters.packed(_PARTS | {"Ustveri/Ustveri.xml": xml}, zipfile.ZIP_STORED)).acceptable


def test_what_is_shown_is_harmless() -> None:
    """Values from a package appear short and without control characters; identity numbers not at all."""
    person = (
        "<tipler:GercekSahis><tipler:Kisi><tipler:IlkAdi>A</tipler:IlkAdi><tipler:Soyadi>B</tipler:Soyadi>"
        "</tipler:Kisi><tipler:TCKN>12345678901</tipler:TCKN></tipler:GercekSahis>"
    )
    content = letters.changed(
        _PACKAGE,
        Ustveri=lambda xml: xml.replace(
            b"<tipler:KKK>10000002<", b"<tipler:KKK>&#x85;&#x202E;" + b"9" * 1000 + b"<"
        ).replace(
            b"</tipler:DagitimListesi>",
            b"<tipler:Dagitim>" + person.encode() + b"</tipler:Dagitim></tipler:DagitimListesi>",
        ),
    )
    inspection = inspect(content)
    messages = [finding.message_en for finding in inspection.findings]
    assert any("identity number" in message for message in messages)
    assert all(message.isprintable() and len(message) < 300 for message in messages)
    assert "12345678901" not in repr(inspection)


@_RARE
@given(st.data())
def test_flipped_bytes_of_the_file(data: st.DataObject) -> None:
    """Any damage to the file gives findings or a DomainError."""
    content = bytearray(_PACKAGE)
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    _inspect_quietly(bytes(content))


@_RARE
@given(st.data())
def test_flipped_bytes_of_a_part(data: st.DataObject) -> None:
    """Damage below the ZIP's checksums reaches every parser; none may raise."""
    parts = dict(data.draw(st.sampled_from([_PARTS, _V1_PARTS])))
    name = data.draw(st.sampled_from(sorted(parts)))
    content = bytearray(parts[name])
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(content) - 1))
        content[position : position + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
        content = content or bytearray(b"x")
    parts[name] = bytes(content)
    _inspect_quietly(letters.packed(parts, zipfile.ZIP_STORED))


@_RARE
@given(st.data())
def test_shuffled_markup(data: st.DataObject) -> None:
    """Elements dropped, doubled and moved: well-formed nonsense is judged, never a crash."""
    parts = dict(data.draw(st.sampled_from([_PARTS, _V1_PARTS])))
    name = data.draw(st.sampled_from(sorted(name for name in parts if name.endswith((".xml", ".rels", ".psmdcp")))))
    pieces = parts[name].replace(b">", b">\x00").split(b"\x00")
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(pieces) - 1))
        pieces[position : position + data.draw(st.integers(0, 2))] = data.draw(
            st.lists(st.sampled_from(pieces), max_size=2)
        )
        pieces = pieces or [b"<x/>"]
    parts[name] = b"".join(pieces)
    _inspect_quietly(letters.packed(parts, zipfile.ZIP_STORED))


@_RARE
@given(st.binary(max_size=300))
def test_arbitrary_bytes(content: bytes) -> None:
    _inspect_quietly(content)
    _inspect_quietly(b"PK\x03\x04" + content + _PACKAGE[-22:])


def test_every_flipped_bit_of_a_covered_part_is_noticed() -> None:
    """A signature is worth what its digests notice: one bit in any covered part is fatal."""
    covered = {
        "UstYazi/Ustyazi.pdf": {"R.60", "R.61"},
        "Ustveri/Ustveri.xml": {"R.60", "R.61"},
        "Ekler/Cizim(1).txt": {"R.60", "R.61"},
        "NihaiUstveri/NihaiUstveri.xml": {"R.61"},
        "PaketOzeti/PaketOzeti.xml": {"R.61", "R.71"},
        "Imzalar/ImzaCades.imz": {"R.61"},
        "NihaiOzet/NihaiOzet.xml": {"R.71"},
    }
    for name, rules in covered.items():
        content = bytearray(_PARTS[name])
        content[len(content) * 2 // 3] ^= 1
        findings = inspect(letters.packed(_PARTS | {name: bytes(content)})).findings
        fatal = {finding.rule for finding in findings if finding.severity == "fatal"}
        assert rules <= fatal or "R.21" in fatal, name


def test_big_package_is_streamed() -> None:
    """Twenty-five megabytes are judged with a few megabytes of memory."""
    noise = zlib.compress(b"seed")  # cheap, and honest about its ratio: stored, not deflated
    big = (noise * (25 * 1024 * 1024 // len(noise) + 1))[: 25 * 1024 * 1024]
    started = letters.PackageDraft.create(letters.letter(annexes=()), cover_letter=big)
    content = letters.packed(letters.parts_of(letters.finish(started).to_bytes()), zipfile.ZIP_STORED)
    tracemalloc.start()
    inspection = inspect(io.BytesIO(content))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert inspection.acceptable
    assert peak < 4 * 1024 * 1024


def test_part_reading_is_bounded() -> None:
    """Reading a part into memory needs a limit, an absent part has its own code."""
    container = Container.open(_PACKAGE)
    with pytest.raises(DomainError) as caught:
        container.read_part("/UstYazi/Ustyazi.pdf", 10)
    assert caught.value.code is ErrorCode.TOO_LARGE
    with pytest.raises(DomainError) as caught:
        container.open_part("/nothing")
    assert caught.value.code is ErrorCode.NOT_FOUND


def test_what_was_parsed_is_what_is_digested() -> None:
    """A small part is read once: whoever changes the file in between changes nothing for this container."""
    content = letters.packed(_PARTS, zipfile.ZIP_STORED)
    file = io.BytesIO(content)
    container = Container.open(file)
    before = container.read_part("/Ustveri/Ustveri.xml", 1_000_000)
    file.seek(content.index(b"<tipler:Konu>"))
    file.write(b"<tipler:KONU>")
    with container.open_part("/ustveri/USTVERI.xml") as stream:
        assert stream.read() == before
    assert container.read_part("/Ustveri/Ustveri.xml", 1_000_000) == before
    with pytest.raises(DomainError) as caught:
        container.read_part("/Ustveri/Ustveri.xml", 10)
    assert caught.value.code is ErrorCode.TOO_LARGE


def test_parts_kept_are_bounded() -> None:
    """A container does not fill up with what was read from it."""
    parts = {f"Ekler/{number}.bin": bytes([number]) * 500_000 for number in range(8)}
    container = Container.open(letters.packed(parts, zipfile.ZIP_STORED))
    tracemalloc.start()
    for number in range(8):
        assert container.read_part(f"/Ekler/{number}.bin", 1_000_000) == parts[f"Ekler/{number}.bin"]
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < 1_500_000


def _inspect_quietly(content: bytes) -> None:
    refused = None
    try:
        inspect(content)
    except DomainError as error:
        refused = error.code
    assert refused in {None, ErrorCode.NOT_A_PACKAGE, ErrorCode.PACKAGE_INVALID, ErrorCode.TOO_LARGE}
