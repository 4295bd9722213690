"""Bad input by name: each kind is a finding or a clear refusal, in little memory; never an exception.

``test_hostile_input`` has the variants of each, and arbitrary damage.
"""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import pytest

from shared.errors import DomainError, ErrorCode
from shared.eyp import INTEROP, STRICT, Container, Limits, Profile, inspect
from tests.unit.eyp import letters, shapes, wrappers

_MIB = 1024 * 1024
_PARTS = letters.parts_of(letters.package())
_METADATA = "Ustveri/Ustveri.xml"
Bad = Callable[[], bytes]


def _with(parts: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    return letters.packed({**_PARTS, **parts}, compression)


def _edited(name: str, old: bytes, new: bytes) -> bytes:
    assert old in _PARTS[name]
    return _with({name: _PARTS[name].replace(old, new)})


def _many_annexes(count: int) -> bytes:
    """Annexes as the metadata declare them; none has its file."""
    one = (
        '<tipler:Ek><tipler:Id Value="11111111-0000-4000-8000-{0:012X}" EYazismaIdMi="false"/><tipler:Tur>DED'
        "</tipler:Tur><tipler:SiraNo>{0}</tipler:SiraNo></tipler:Ek>"
    )
    swarm = "".join(one.format(number) for number in range(10, count + 10)).encode()
    return _edited(_METADATA, b"</tipler:Ekler>", swarm + b"</tipler:Ekler>")


def _many_files(count: int) -> bytes:
    return _with({f"Ekler/{number}.txt": b"x" for number in range(count)}, zipfile.ZIP_STORED)


def _many_relationships(count: int) -> bytes:
    one = '<Relationship Type="http://eyazisma.dpt/iliskiler/ek" Target="/Ekler/{0}.txt" Id="IdEk_{0}"/>'
    swarm = "".join(map(one.format, range(count))).encode()
    return _edited("_rels/.rels", b"</Relationships>", swarm + b"</Relationships>")


def _many_references(count: int) -> bytes:
    one = '<Reference URI="/Ekler/{0}.txt"><DigestItem/><DigestItem/></Reference>'
    swarm = "".join(map(one.format, range(count))).encode()
    return _edited("PaketOzeti/PaketOzeti.xml", b"</PaketOzeti>", swarm + b"</PaketOzeti>")


def _zip_encrypted() -> bytes:
    content = bytearray(letters.package())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + offset] |= 1
    return bytes(content)


def _doubled_entry() -> bytes:
    buffer = io.BytesIO(letters.package())
    with zipfile.ZipFile(buffer, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("UstYazi/Ustyazi.pdf", b"other")
    return buffer.getvalue()


def _comment_with_a_directory() -> bytes:
    """A ZIP comment that holds another package's end record: two readers might start from two directories."""
    content = letters.package()
    other = letters.packed({"a.txt": b"a"})
    comment = other + b"tail"
    return content[:-2] + struct.pack("<H", len(comment)) + comment


def _comment_shorter_than_it_says() -> bytes:
    return letters.package()[:-2] + struct.pack("<H", 500) + b"short"


def _nested_markup(depth: int) -> bytes:
    return _with({_METADATA: b"<x>" * depth + b"</x>" * depth})


_REFUSED: dict[str, tuple[ErrorCode, Bad]] = {
    "ZIP bomb by ratio": (ErrorCode.TOO_LARGE, lambda: _with({"Ekler/x.bin": bytes(30 * _MIB)})),
    "ZIP bomb of markup": (ErrorCode.TOO_LARGE, lambda: _with({"Ekler/x.xml": (b"<a>" + bytes(6000)) * 500})),
    "ZIP bomb by count": (ErrorCode.TOO_LARGE, lambda: _many_files(10_000)),
    "ZIP bomb by total": (
        ErrorCode.TOO_LARGE,
        lambda: _with({f"Ekler/{number}.bin": _barely_honest(4 * _MIB) for number in range(10)}),
    ),
    "../ in a name": (ErrorCode.PACKAGE_INVALID, lambda: _with({"../evil.txt": b"x"})),
    "absolute name": (ErrorCode.PACKAGE_INVALID, lambda: _with({"/etc/passwd": b"x"})),
    "duplicate entries": (ErrorCode.PACKAGE_INVALID, _doubled_entry),
    "case-colliding entries": (ErrorCode.PACKAGE_INVALID, lambda: _with({"USTYAZI/Ustyazi.pdf": b"other"})),
    "truncated file": (ErrorCode.PACKAGE_INVALID, lambda: letters.package()[:-40]),
    "prepended bytes": (ErrorCode.NOT_A_PACKAGE, lambda: b"MZ" + letters.package()),
    "prepended bytes that look like a ZIP": (ErrorCode.PACKAGE_INVALID, lambda: b"PK\x03\x04" + letters.package()),
    "comment with a directory of its own": (ErrorCode.PACKAGE_INVALID, _comment_with_a_directory),
    "comment shorter than it says": (ErrorCode.PACKAGE_INVALID, _comment_shorter_than_it_says),
    "no ZIP": (ErrorCode.NOT_A_PACKAGE, lambda: b"%PDF-1.7\n"),
    "nothing": (ErrorCode.NOT_A_PACKAGE, bytes),
    "encrypted ZIP": (ErrorCode.PACKAGE_INVALID, _zip_encrypted),
}
_ENTITIES = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><x>&b;</x>'
_FOUND: dict[str, tuple[str, Bad]] = {
    "missing part": ("R.4.count", lambda: _edited("_rels/.rels", b"iliskiler/ustyazi", b"iliskiler/x")),
    "doubled part": ("R.4.count", lambda: _edited("_rels/.rels", b"iliskiler/nihaiustveri", b"iliskiler/ustyazi")),
    "dangling relationship": ("R.1.target", lambda: _edited("_rels/.rels", b"/UstYazi/Ustyazi.pdf", b"/UstYazi/yok")),
    "huge XML": ("R.21.markup", lambda: _with({_METADATA: b"<x>" + bytes(range(33, 38)) * _MIB}, zipfile.ZIP_STORED)),
    "deeply nested XML": ("R.21.markup", lambda: _nested_markup(200)),
    "XML nested 50,000 times": ("R.21.markup", lambda: _nested_markup(50_000)),
    "DTD": ("R.21.markup", lambda: _with({_METADATA: b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>'})),
    "entities": ("R.21.markup", lambda: _with({_METADATA: _ENTITIES})),
    "wrong digest in the package digest": ("R.60.mismatch", lambda: _other_digest("PaketOzeti")),
    "wrong digest in the final digest": ("R.61.mismatch", lambda: _other_digest("NihaiOzet")),
    "wrong digest in the initials digest": ("R.62.mismatch", lambda: _other_digest("ParafOzeti")),
    "wrong digest in an update": ("R.88.mismatch", lambda: _other_digest("NihaiOzet", wrappers.update())),
    "placeholder for a signature": ("R.70.signature", lambda: _with({"Imzalar/ImzaCades.imz": b"\x01\x02\x03\x04"})),
    "placeholder for a seal": ("R.70.seal", lambda: _with({"Muhur/MuhurCades.imz": b""})),
    "placeholder for an envelope": (
        "R.83.format",
        lambda: wrappers.edited(wrappers.encrypted(), "SifreliIcerik/", lambda _: letters.package()),
    ),
    "10,000 annexes": ("R.54.missing", lambda: _many_annexes(10_000)),
    "10,000 relationships": ("R.55.undeclared", lambda: _many_relationships(10_000)),
    "10,000 references": ("R.60.absent", lambda: _many_references(10_000)),
}


def _barely_honest(size: int) -> bytes:
    """Compresses well, but not as much as a bomb of its own: some three hundred times."""
    return (bytes(range(256)) + bytes(80_000)) * (size // 80_256)


def _other_digest(schema: str, content: bytes | None = None) -> bytes:
    """One digest value of a manifest changed, in base64."""
    content = content or shapes.newer(initials=1).to_bytes()
    name = f"{schema}/{schema}.xml"
    text = letters.parts_of(content)[name]
    at = text.index(b"<DigestValue>") + len(b"<DigestValue>")
    other = b"B" if text[at : at + 1] == b"A" else b"A"
    return wrappers.edited(content, name, lambda _: text[:at] + other + text[at + 1 :])


@cache
def _made(name: str) -> bytes:
    return _REFUSED[name][1]() if name in _REFUSED else _FOUND[name][1]()


@pytest.mark.parametrize("name", _REFUSED)
def test_refused(name: str) -> None:
    """There is nothing to judge: one error with a code, before any part is read."""
    with pytest.raises(DomainError) as caught:
        inspect(_made(name))
    assert caught.value.code is _REFUSED[name][0]


@pytest.mark.parametrize("profile", [STRICT, INTEROP], ids=lambda profile: profile.name)
@pytest.mark.parametrize("name", _FOUND)
def test_found(name: str, profile: Profile) -> None:
    """Judged and not acceptable; few enough findings to be read."""
    found = inspect(_made(name), profile=profile)
    assert _FOUND[name][0] in {item.key for item in found.findings if item.severity == "fatal"}
    assert len(found.findings) < 500


_WATCHED = """
import re, sys
from pathlib import Path
from shared.errors import DomainError
from shared.eyp import inspect
def memory(name):
    with open("/proc/self/status", encoding="ascii") as status:
        return int(re.search(name + r":\\s+(\\d+) kB", status.read())[1])
idle = memory("VmRSS")
for path in sys.argv[1:]:
    with open(path, "rb") as file:
        try:
            inspect(file)
        except DomainError:
            pass
print(memory("VmHWM") - idle)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
def test_memory(tmp_path: Path) -> None:
    """All of it together, in one process of its own, takes less than 200 MiB at any moment."""
    files = []
    for number, name in enumerate([*_REFUSED, *_FOUND]):
        files.append(tmp_path / f"{number}.eyp")
        files[-1].write_bytes(_made(name))
    done = subprocess.run(
        [sys.executable, "-c", _WATCHED, *map(str, files)], check=True, capture_output=True, text=True
    )
    assert int(done.stdout) < 200 * 1024


def test_zip_of_64_bits_and_streamed_sizes_are_no_fault() -> None:
    """What large or streaming writers do is read: sizes in extra fields, sizes behind the parts."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in _PARTS.items():
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as part:
                part.write(content)
    assert inspect(buffer.getvalue(), profile=STRICT).findings == ()


def test_what_a_bitmap_may_do_markup_may_not() -> None:
    """An honest file may shrink to a three-hundredth; one part of markup may not, nor may a whole package."""
    blank = _barely_honest(2 * _MIB)
    assert Container.open(letters.packed({"Ekler/bos.bmp": blank})).entry("/Ekler/bos.bmp") is not None
    for items, limits in (({"Ekler/bos.xml": blank}, Limits()), ({"a.bmp": blank}, Limits(total_ratio_floor=_MIB))):
        with pytest.raises(DomainError) as caught:
            Container.open(letters.packed(items), limits)
        assert caught.value.code is ErrorCode.TOO_LARGE
