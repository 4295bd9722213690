"""The annotation profiles of prints, as dated data (legal.md 8, L.18, L.37). Pure.

A new regulation or a new wording is a new row: the row in force on the day of the print counts, and its day is
stored with every print. ASLI GİBİDİR stands in no row: it is never put on what was signed electronically (29(2)).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class ProfileName(StrEnum):
    """Which annotation a print carries; ``WORKING`` is a working copy and no official print."""

    P_2020 = "P-2020"
    P_2015 = "P-2015"
    WORKING = "none"


class BodyProfile(StrEnum):
    """What an institution prints under unless a print asks for something else."""

    P_2020 = "P-2020"
    P_2015 = "P-2015"
    """Its own directive still asks for the stamp, whatever the document's date."""
    BY_DATE = "by-date"
    """The profile of the regulation the document was made under."""


class StampText(StrEnum):
    """Which of the wordings in circulation a stamp carries (legal.md 8)."""

    ELECTRONIC_ORIGINAL = "electronic-original"
    SAME_AS_ORIGINAL = "same-as-original"


@dataclass(frozen=True)
class Profile:
    """One row: a profile as it is from ``edition`` on, until a later row of the same name."""

    name: ProfileName
    edition: date
    documents_from: date | None
    documents_until: date | None
    """Dates of the documents it is made for, both included; None: open."""
    rules: tuple[str, ...]
    """Rule ids of legal.md 9 that it applies."""
    official: bool
    stamps: dict[StampText, str]
    """Wordings of the stamp, the usual one first; empty: there is no stamp."""
    unverified_watermark: str = ""
    """Across every page when the verdict is not passed."""
    working_watermark: str = ""
    """Across every page when the verdict passed, but the caller asked for a working copy."""

    def fits(self, document_date: date | None) -> bool:
        """Whether a document of this date is one it is made for; one without a date is for no closed period."""
        if document_date is None:
            return self.documents_from is None and self.documents_until is None
        after = self.documents_from is None or self.documents_from <= document_date
        return after and (self.documents_until is None or document_date <= self.documents_until)


PROFILES = (
    Profile(
        ProfileName.P_2020, date(2020, 7, 1), None, None,
        ("L.17", "L.18", "L.19", "L.20", "L.21", "L.22"), official=True, stamps={},
    ),
    Profile(
        ProfileName.P_2015, date(2015, 3, 1), date(2015, 3, 1), date(2020, 6, 30),
        ("L.17", "L.18", "L.19", "L.20", "L.21", "L.22"), official=True,
        stamps={
            StampText.ELECTRONIC_ORIGINAL: "BELGENİN ASLI ELEKTRONİK İMZALIDIR",
            StampText.SAME_AS_ORIGINAL: "Güvenli Elektronik İmzalı Aslı ile Aynıdır",
        },
    ),
    Profile(
        ProfileName.WORKING, date(2015, 3, 1), None, None,
        ("L.5", "L.18", "L.21", "L.22"), official=False, stamps={},
        unverified_watermark="DOĞRULANAMADI - resmî işlemde kullanılmaz",
        working_watermark="ÇALIŞMA KOPYASI - resmî işlemde kullanılmaz",
    ),
)  # fmt: skip


def profile(name: ProfileName, day: date, rows: tuple[Profile, ...] = PROFILES) -> Profile | None:
    """The row of a profile in force on a day; None before its first."""
    return max(
        (row for row in rows if row.name is name and row.edition <= day), key=lambda row: row.edition, default=None
    )


def usual_name(body: BodyProfile, document_date: date | None, day: date) -> ProfileName:
    """What a body prints under on a day when nothing else is asked for."""
    if body is BodyProfile.BY_DATE:
        older = profile(ProfileName.P_2015, day)
        return ProfileName.P_2015 if older is not None and older.fits(document_date) else ProfileName.P_2020
    return ProfileName(body.value)


def allowed(wanted: Profile, body: BodyProfile, document_date: date | None) -> bool:
    """Whether a print may be made under a profile: one for other documents only if the body's directive asks for it.

    Whether a stamp of 2015 on a later document is a fault or only superfluous is uncertain (legal.md 8).
    """
    return wanted.fits(document_date) or wanted.name.value == body.value
