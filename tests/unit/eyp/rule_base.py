"""What the cases of ``rule_cases`` are made of: packages that break no rule, and changes."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace

from shared.eyp import (
    Annex,
    AnnexKind,
    FilePlanCode,
    Identifier,
    Inspection,
    Profile,
    SecurityCode,
    ServiceCode,
    inspect,
)
from tests.unit.eyp import letters, shapes, wrappers
from tests.unit.eyp.letters import ANNEX_ID, UNSIGNED_ANNEX_ID

Edit = Callable[[bytes], bytes]
Judge = Callable[[bytes, Profile], Inspection]

_COMMON: dict[str, object] = {
    "annexes": shapes.ANNEXES,
    "references": shapes.REFERENCES,
    "distributions": shapes.EVERYONE,
    "related_parties": (shapes.PERSON, shapes.COMPANY),
    "security_code": SecurityCode.RESTRICTED,
    "security_code_valid_until": letters.MOMENT.replace(year=2030),
    "local_id": Identifier("7", "defter"),
}
_TWO_ANNEXES: dict[str, object] = {
    "annexes": (
        Annex(ANNEX_ID, AnnexKind.FILE, 1, "bir.txt", "text/plain"),
        Annex(UNSIGNED_ANNEX_ID, AnnexKind.FILE, 2, "iki.csv", "text/csv"),
    )
}
LETTERS = ("2.x", "1.x")
FAULTLESS: dict[str, bytes] = {
    "2.x": shapes.newer(
        initials=1,
        originator=replace(letters.SENDER, unit_number="10000003", contact=shapes.NEWER_CONTACT),
        file_plan=FilePlanCode("702.03", "Plan"),
        service_codes=(ServiceCode(12, "Hizmet"),),
        **_COMMON,
    ).to_bytes(),
    "1.x": shapes.older(**_COMMON).to_bytes(),
    "2.x, two annexes": shapes.newer(**_TWO_ANNEXES).to_bytes(),
    "1.x, two annexes": shapes.older(**_TWO_ANNEXES).to_bytes(),
    "eyps 2.x": wrappers.encrypted(destinations=[letters.RECIPIENT]),
    "eyps 1.x": wrappers.encrypted(wrappers.older()),
    "eypg": wrappers.update(),
}


@dataclass(frozen=True)
class Case:
    """A change of a faultless package that breaks a rule.

    ``weight``: severity under strict and interop, by first letter. ``code``: the official library's.
    """

    key: str
    package: str
    edit: Edit
    weight: str = "FF"
    code: int | None = None
    judge: Judge = lambda content, profile: inspect(content, profile=profile)


def changed(item: str, old: str, new: str) -> Edit:
    """The item whose name starts so with one text for another; ``t:`` is the prefix of the common types."""
    return edited(item, letters.replacing(old.replace("t:", "tipler:"), new.replace("t:", "tipler:")))


def edited(item: str, edit: Edit) -> Edit:
    """The item whose name starts so, edited."""
    return lambda content: wrappers.edited(content, item, edit)


def rewritten(item: str, pattern: str, new: str, count: int = 1) -> Edit:
    """The item with what a regular expression finds replaced; it must find something."""

    def edit(content: bytes) -> bytes:
        text, found = re.subn(pattern, new, content.decode(), count=count, flags=re.DOTALL)
        assert found, pattern
        return text.encode()

    return edited(item, edit)


def without(item: str) -> Edit:
    return lambda content: wrappers.without(content, item)


def related(item: str, role: str, target: str = "/UstYazi/Ustyazi.pdf") -> Edit:
    """One relationship more."""
    more = f'<Relationship Type="http://eyazisma.dpt/iliskiler/{role}" Target="{target}" Id="x"/>'
    return edited(item, letters.replacing("</Relationships>", f"{more}</Relationships>"))


def damaged(before: bytes, after: bytes) -> Edit:
    """Bytes changed below the ZIP's checksums."""

    def edit(content: bytes) -> bytes:
        stored = letters.packed(letters.parts_of(content), zipfile.ZIP_STORED)
        assert before in stored
        return stored.replace(before, after)

    return edit


RELS, METADATA, CORE, COVER = "_rels/.rels", "Ustveri/Ustveri.xml", "package/", "UstYazi/"
PACKAGE_DIGEST, FINAL_DIGEST = "PaketOzeti/PaketOzeti.xml", "NihaiOzet/NihaiOzet.xml"
"""Items by how their names start."""
