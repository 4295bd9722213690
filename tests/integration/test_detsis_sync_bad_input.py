"""Every bad answer of a bulk list: the mirror is as it was, or has what was good of it, and the report says why."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from services.sandbox.detsis import quirks
from services.sandbox.detsis.register import PinnedUnit
from shared.contracts.directory.runs import RefreshList, RefreshRun
from tests.integration.test_detsis_sync_mirror import ADDRESSES, EXTERNAL, NEWCOMER, OWN, UNITS, contents
from tests.integration.test_detsis_sync_runs import RELEASE
from tests.support.detsis import Detsis, Directory, running_detsis, running_directory
from tests.unit.detsis_soap.conftest import Authority, make_authority

MORE = tuple(
    PinnedUnit(10000100 + number, f"MÜDÜRLÜK {number}", kep_address=f"m{number}@hs91.kep.example")
    for number in range(12)
)
"""So that every tenth row is there."""

# Answers that must not change anything: fault, its value, list, how the run ends, what its report says.
REFUSED: list[tuple[str, float | None, str, str, str]] = [
    *(
        (fault, value, EXTERNAL, "failed", reason)
        for fault, value, reason in (
            ("down", None, "503"),
            ("down", 1, ""),
            ("drop_connection", 300, ""),
            ("html_page", None, "web page"),
            ("html_page", 503, "503"),
            ("fault", None, "Timeout expired"),
            ("contradictory_success", None, "success without a result"),
            ("empty_body", None, "empty"),
            ("truncate", 0.5, "ends too early"),
            ("truncate", 0.99, "ends too early"),
            ("no_envelope_end", None, "ends too early"),
            ("wrong_operation", None, ""),
        )
    ),
    ("truncate", 0.5, OWN, "failed", "ends too early"),
    ("truncate", 0.5, ADDRESSES, "failed", "ends too early"),
    *((("in_band_error", None, operation, "refused", "hata")) for operation in (EXTERNAL, OWN, ADDRESSES)),
    *((("empty_list", None, operation, "refused", "is empty")) for operation in (EXTERNAL, OWN, ADDRESSES)),
    (("empty_list", 1, EXTERNAL, "refused", "is empty")),
    *((("shrunk_list", 0.3, operation, "refused", "shrank")) for operation in (EXTERNAL, ADDRESSES)),
    ("repeated_rows", None, EXTERNAL, "refused", "shrank"),
    ("unclear_flags", None, EXTERNAL, "refused", "was not understood"),
    ("no_active_flag", 2, EXTERNAL, "refused", "was not understood"),
    ("missing_element", None, EXTERNAL, "refused", "could not be understood"),
    ("empty_number", None, EXTERNAL, "refused", "could not be understood"),
    *((("bad_keys", kind, EXTERNAL, "refused", "could not be understood")) for kind in (None, 1, 2, 3, 4, 5)),
    ("long_name", None, EXTERNAL, "refused", "could not be understood"),
    ("bad_addresses", 1, ADDRESSES, "refused", "could not be understood"),
]
# Answers that are odd and right: nothing is lost by them, and what is worth knowing is counted.
SURVIVED: list[tuple[str, str]] = [
    ("no_gzip", EXTERNAL), ("forced_gzip", EXTERNAL), ("padded_doubles", EXTERNAL), ("nil_items", EXTERNAL),
    ("nil_items", ADDRESSES), ("unknown_element", EXTERNAL), ("unknown_element", ADDRESSES),
    ("active_spelling", EXTERNAL), ("mixed_case", ADDRESSES), ("padded_doubles", ADDRESSES),
]  # fmt: skip
# Answers whose rows differ from the night before, and rightly so.
TAKEN: list[tuple[str, str]] = [
    ("bad_character", EXTERNAL), ("control_character", EXTERNAL), ("bad_reference", EXTERNAL), ("bad_utf8", EXTERNAL),
    ("other_path", EXTERNAL), ("no_path", EXTERNAL), ("outside_parent", EXTERNAL), ("nil_place", EXTERNAL),
    ("parent_loop", EXTERNAL), ("unknown_units", EXTERNAL), ("unknown_units", ADDRESSES), ("bad_addresses", ADDRESSES),
    ("year_one", "SertifikalariGetir"),
]  # fmt: skip
NO_ANSWER_CHANGED = {"slow", "drip"}
"""Time alone: tests of the bulk reader."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def detsis(authority: Authority) -> AsyncIterator[Detsis]:
    async with running_detsis(authority, *UNITS, *MORE) as found:
        yield found


@pytest.fixture
async def directory(database_url: str, detsis: Detsis) -> AsyncIterator[Directory]:
    async with running_directory(database_url, detsis, "jobs", shrink_limit_ratio=0.02, eyp_checks_per_run=0) as found:
        await found.account()
        assert (await found.refresh()).state == "accepted"
        yield found


async def listed(directory: Directory, run: RefreshRun) -> dict[str, RefreshList]:
    return {item.list_name: item for item in (await directory.client.run(run.run_id)).lists}


NAMES = {EXTERNAL: "external", OWN: "own", ADDRESSES: "addresses", "SertifikalariGetir": "certificates"}


@pytest.mark.parametrize("part", range(4))
async def test_an_answer_that_is_not_to_be_believed_changes_nothing(
    directory: Directory, detsis: Detsis, part: int
) -> None:
    before = await contents(directory)
    accepted = (await directory.client.status()).freshness.snapshot_id
    detsis.publish(*UNITS, *MORE, NEWCOMER)
    wrong = []
    for fault, value, operation, state, reason in REFUSED[part::4]:
        detsis.order(fault, operation, value=value)
        run = await directory.refresh()
        detsis.faults.clear()
        report = (await listed(directory, run)).get(NAMES[operation])
        told = (run.state, reason in (run.reason or ""), report is not None and bool(report.reason))
        if told != (state, True, True) or await contents(directory) != before:
            wrong.append((fault, value, operation, run.state, run.reason, report and report.state))
    assert wrong == []
    assert (await directory.client.status()).freshness.snapshot_id == accepted
    assert (await directory.refresh()).counts["external.new"] == 1


async def meaning(directory: Directory) -> list[str]:
    """Everything the mirror holds, but for the bytes it came in."""
    found: list[str] = []
    async with directory.database.reading() as session:
        for table in ("units", "kep_addresses", "unit_sightings"):
            found += await session.scalars(
                text(f"SELECT (to_jsonb(t) - 'wire_digest')::text FROM {table} t ORDER BY 1")
            )
    return found


async def test_an_odd_answer_that_is_right_loses_nothing(directory: Directory, detsis: Detsis) -> None:
    before = await meaning(directory)
    wrong = []
    for fault, operation in SURVIVED:
        detsis.order(fault, operation)
        run = await directory.refresh()
        detsis.faults.clear()
        if run.state != "accepted" or await meaning(directory) != before:
            wrong.append((fault, operation, run.state, run.reason, run.counts))
    assert wrong == []


async def test_what_is_odd_in_single_rows_stays_in_them(directory: Directory, detsis: Detsis) -> None:
    wrong = []
    for fault, operation in TAKEN:
        detsis.order(fault, operation)
        run = await directory.refresh()
        detsis.faults.clear()
        report = (await listed(directory, run))[NAMES[operation]]
        # Bad addresses are left out, and more of them than a list may lose are refused.
        expected = "refused" if fault == "bad_addresses" else "accepted"
        if run.state != expected or (expected == "refused") != bool(report.reason):
            wrong.append((fault, operation, run.state, run.reason, report.state))
        if (back := await directory.refresh()).state == "refused":
            # A list that was longer for a night is shorter after it, which a person has to look at.
            assert fault == "unknown_units"
            await directory.client.release(back.run_id, RELEASE)
    assert wrong == []


def test_every_fault_and_quirk_of_the_look_alike_has_its_place_here() -> None:
    tested = {fault for fault, *_ in [*REFUSED, *SURVIVED, *TAKEN]} | NO_ANSWER_CHANGED
    assert {name.removeprefix("detsis.") for name in (*quirks.FAULTS, *quirks.QUIRKS)} <= tested
