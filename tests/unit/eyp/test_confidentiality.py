"""How confidential a package is, seen from outside and with every package that lies in it."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace

import pytest

from shared.eyp import (
    DEFAULT_LIMITS,
    Limits,
    SecurityCode,
    embedded_packages,
    inspect,
    inspect_decrypted,
    stated_degree,
)
from tests.unit.eyp import letters, wrappers

SECRET = letters.package(security_code=SecurityCode.SECRET)
PLAIN = letters.package()


def with_annex(content: bytes, letter: bytes = PLAIN, name: str = "Ekler/") -> bytes:
    """The letter with these bytes as its annex, whose name says nothing."""
    return wrappers.edited(letter, name, lambda _old: content)


def found(content: bytes, limits: Limits = DEFAULT_LIMITS) -> list[tuple[str, SecurityCode | None]]:
    inspection = inspect(content)
    return [
        ("!".join(item.path), item.degree) for item in embedded_packages(content, inspection, limits=limits)
    ]  # fmt: skip


def zipped(**items: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in items.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _update(original: bytes, degree: SecurityCode | None) -> bytes:
    return wrappers.update(original, replace(wrappers.CHANGE, new_degree=degree))


STATED = {
    "plain": (PLAIN, SecurityCode.UNCLASSIFIED),
    "secret": (SECRET, SecurityCode.SECRET),
    "lowered": (_update(SECRET, SecurityCode.RESTRICTED), SecurityCode.RESTRICTED),
    "raised in two steps": (
        _update(_update(PLAIN, SecurityCode.RESTRICTED), SecurityCode.TOP_SECRET),
        SecurityCode.TOP_SECRET,
    ),
    "not understood": (letters.changed(PLAIN, Ustveri=letters.replacing(">YOK<", ">XYZ<")), None),
    "no metadata": (letters.changed(PLAIN, Ustveri=lambda _old: b"<"), None),
    "an update not understood": (
        wrappers.resealed(_update(PLAIN, SecurityCode.RESTRICTED), GuncellemeBilgisi=b"<"),
        None,
    ),
    "called an update": (
        wrappers.edited(PLAIN, "package/", letters.replacing(">RESMIYAZISMA<", ">RESMIYAZISMA/GUNCELLEME<")),
        None,
    ),
    "encrypted": (wrappers.encrypted(SECRET), None),
}


@pytest.mark.parametrize("name", STATED)
def test_the_degree_that_shows(name: str) -> None:
    content, degree = STATED[name]
    assert stated_degree(inspect(content)) is degree


def test_an_opened_letter_counts_with_its_own() -> None:
    assert stated_degree(inspect_decrypted(wrappers.encrypted(SECRET), SECRET)) is SecurityCode.SECRET


def test_an_update_around_what_nobody_opened_says_nothing() -> None:
    content = wrappers.resealed(_update(PLAIN, SecurityCode.UNCLASSIFIED), OrijinalPaket=wrappers.encrypted(SECRET))
    assert stated_degree(inspect(content)) is None


def test_personal_beside_a_higher_degree_hides_nothing() -> None:
    raised = inspect(_update(PLAIN, SecurityCode.SECRET))
    assert stated_degree(replace(raised, stray_degree=SecurityCode.PERSONAL)) is SecurityCode.SECRET


def test_a_letter_without_packages_has_none() -> None:
    assert found(PLAIN) == []
    office = zipped(
        **{"[Content_Types].xml": b"<Types/>", "_rels/.rels": b"<Relationships/>", "word/document.xml": b"<"}
    )
    assert found(with_annex(zipped(note=b"x"))) == []
    assert found(with_annex(office)) == []


@pytest.mark.parametrize("folder", ["Ekler/", "ImzasizEkler/", "UstYazi/"])
def test_an_annex_is_known_by_its_content(folder: str) -> None:
    ((path, degree),) = found(with_annex(SECRET, name=folder))
    assert path.startswith(f"/{folder}")
    assert degree is SecurityCode.SECRET


def test_packages_in_packages_are_found_level_by_level() -> None:
    inner = with_annex(with_annex(SECRET, letters.package(security_code=SecurityCode.RESTRICTED)))
    annexed = with_annex(inner)
    assert [degree for _, degree in found(annexed)] == [
        SecurityCode.UNCLASSIFIED, SecurityCode.RESTRICTED, SecurityCode.SECRET,
    ]  # fmt: skip
    assert [path.count("!") for path, _ in found(annexed)] == [0, 1, 2]


def test_an_original_is_no_annex_but_may_have_some() -> None:
    content = wrappers.resealed(_update(PLAIN, SecurityCode.UNCLASSIFIED), OrijinalPaket=with_annex(SECRET))
    assert found(_update(SECRET, SecurityCode.UNCLASSIFIED)) == []
    ((path, degree),) = found(content)
    assert path.startswith("/OrijinalPaket/OrijinalPaket.eyp!/Ekler/")
    assert degree is SecurityCode.SECRET


def test_an_annex_counts_with_the_highest_degree_in_it() -> None:
    """Nobody proves the seal of an update among the annexes."""
    for content in (
        _update(SECRET, SecurityCode.UNCLASSIFIED),
        _update(PLAIN, SecurityCode.SECRET),
        _update(_update(PLAIN, SecurityCode.SECRET), SecurityCode.UNCLASSIFIED),
    ):
        assert [degree for _, degree in found(with_annex(content))] == [SecurityCode.SECRET]


@pytest.mark.parametrize(
    "content", [wrappers.encrypted(SECRET), SECRET[:-40], letters.changed(SECRET, Ustveri=lambda _: b"<")]
)
def test_what_cannot_be_known_is_unknown(content: bytes) -> None:
    assert [degree for _, degree in found(with_annex(content))] == [None]


def test_what_stands_in_place_of_an_envelope_is_seen() -> None:
    content = wrappers.edited(wrappers.encrypted(SECRET), "SifreliIcerik/", lambda _old: SECRET)
    assert [degree for _, degree in found(content)] == [SecurityCode.SECRET]


def test_limits_are_shared_by_all_and_what_goes_beyond_is_unknown() -> None:
    content = with_annex(PLAIN, with_annex(SECRET), "ImzasizEkler/")
    few = replace(DEFAULT_LIMITS, parts=len(letters.parts_of(PLAIN)) + 2)
    assert {degree for _, degree in found(content)} == {SecurityCode.SECRET, SecurityCode.UNCLASSIFIED}
    assert [degree for _, degree in found(content, few)].count(None) == 1
    small = replace(DEFAULT_LIMITS, total_size=sum(map(len, letters.parts_of(content).values())))
    assert len(found(content, small)) == 2
    many = zipped(**{str(number): b"" for number in range(30)})
    assert found(with_annex(many), few) == []


def test_depth_is_bounded() -> None:
    content = SECRET
    for _ in range(5):
        content = with_annex(content)
    shallow = replace(DEFAULT_LIMITS, nesting=3)
    degrees = [degree for _, degree in found(content, shallow)]
    assert degrees == [SecurityCode.UNCLASSIFIED] * 3 + [None]
