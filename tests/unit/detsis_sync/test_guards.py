"""Which lists are believed."""

from __future__ import annotations

from typing import Any

import pytest

from services.detsis_sync.refresh.guards import accept_list
from shared.errors import DomainError, ErrorCode

ALLOWED: list[dict[str, Any]] = [
    {"rows": 1, "rejected": 0, "previous_rows": None},
    {"rows": 100_000, "rejected": 0, "previous_rows": 10},
    {"rows": 98, "rejected": 0, "previous_rows": 100},
    {"rows": 1, "rejected": 0, "previous_rows": 0},
    {"rows": 98, "rejected": 2, "previous_rows": 100, "rejected_limit": 0.02},
    {"rows": 100, "rejected": 0, "previous_rows": 100, "unclear": 2},
    {"rows": 100, "rejected": 0, "previous_rows": 100, "unclear": 20, "previous_unclear": 20},
    {"rows": 100, "rejected": 0, "previous_rows": None, "unclear": 50},
]
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"rows": 0, "rejected": 0, "previous_rows": None}, "list own is empty"),
    ({"rows": 97, "rejected": 0, "previous_rows": 100}, "list own shrank from 100 to 97 rows, more than 2%"),
    ({"rows": 1000, "rejected": 1, "previous_rows": 100}, "list own: 1 rows could not be understood"),
    ({"rows": 97, "rejected": 3, "previous_rows": 97, "rejected_limit": 0.02}, "list own: 3 rows"),
    ({"rows": 100, "rejected": 0, "previous_rows": 100, "unclear": 3}, "understood fell from 100 to 97"),
    ({"rows": 100, "rejected": 0, "previous_rows": None, "unclear": 51}, "active flag of 51 of 100 rows"),
    ({"rows": 0, "rejected": 1, "previous_rows": None, "rejected_limit": 1.0}, "list own is empty"),
]


@pytest.mark.parametrize("counts", ALLOWED)
def test_believed(counts: dict[str, Any]) -> None:
    accept_list("own", shrink_limit=0.02, **counts)


@pytest.mark.parametrize(("counts", "reason"), REFUSED)
def test_refused(counts: dict[str, Any], reason: str) -> None:
    with pytest.raises(DomainError, match=reason) as caught:
        accept_list("own", shrink_limit=0.02, **counts)
    assert caught.value.code is ErrorCode.DIRECTORY_REFUSED


def test_the_limit_is_a_setting() -> None:
    accept_list("own", rows=1, rejected=0, previous_rows=100, shrink_limit=1.0)
    with pytest.raises(DomainError):
        accept_list("own", rows=99, rejected=0, previous_rows=100, shrink_limit=0.0)
