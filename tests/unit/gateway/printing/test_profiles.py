from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from services.gateway.printing.profiles import (
    PROFILES,
    BodyProfile,
    ProfileName,
    StampText,
    allowed,
    profile,
    usual_name,
)

TODAY = date(2026, 3, 2)


@pytest.mark.parametrize(
    ("body", "document", "expected"),
    [
        (BodyProfile.P_2020, date(2018, 5, 1), ProfileName.P_2020),
        (BodyProfile.P_2020, None, ProfileName.P_2020),
        (BodyProfile.P_2015, date(2026, 1, 1), ProfileName.P_2015),
        (BodyProfile.BY_DATE, date(2015, 2, 28), ProfileName.P_2020),
        (BodyProfile.BY_DATE, date(2015, 3, 1), ProfileName.P_2015),
        (BodyProfile.BY_DATE, date(2020, 6, 30), ProfileName.P_2015),
        (BodyProfile.BY_DATE, date(2020, 7, 1), ProfileName.P_2020),
        (BodyProfile.BY_DATE, None, ProfileName.P_2020),
    ],
)
def test_a_body_prints_under_its_profile_or_by_the_documents_date(
    body: BodyProfile, document: date | None, expected: ProfileName
) -> None:
    assert usual_name(body, document, TODAY) is expected


def test_the_stamp_of_2015_is_for_documents_of_its_time_or_bodies_whose_directive_asks_for_it() -> None:
    stamped = profile(ProfileName.P_2015, TODAY)
    assert stamped is not None
    assert allowed(stamped, BodyProfile.P_2020, date(2019, 1, 1))
    assert not allowed(stamped, BodyProfile.P_2020, date(2021, 1, 1))
    assert not allowed(stamped, BodyProfile.BY_DATE, None)
    assert allowed(stamped, BodyProfile.P_2015, date(2021, 1, 1))


def test_a_later_edition_counts_from_its_day_on() -> None:
    current = profile(ProfileName.P_2020, TODAY)
    assert current is not None
    later = replace(current, edition=date(2027, 1, 1), rules=("L.99",))
    rows = (*PROFILES, later)
    assert profile(ProfileName.P_2020, date(2026, 12, 31), rows) == current
    assert profile(ProfileName.P_2020, date(2027, 1, 1), rows) == later
    assert profile(ProfileName.P_2020, date(2019, 1, 1), rows) is None


def test_no_profile_says_that_a_print_is_like_a_paper_original() -> None:
    """29(2): ASLI GİBİDİR is for paper originals."""
    texts = [text for row in PROFILES for text in (*row.stamps.values(), row.unverified_watermark)]
    assert not any("GİBİDİR" in text for text in texts)
    stamped = profile(ProfileName.P_2015, TODAY)
    assert stamped is not None
    assert next(iter(stamped.stamps)) is StampText.ELECTRONIC_ORIGINAL
    assert [row.name for row in PROFILES if row.stamps] == [ProfileName.P_2015]
