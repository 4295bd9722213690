"""Accounts at DETSİS: who keeps a copy, and where a stored password may go."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from services.sandbox.detsis.register import PinnedUnit
from shared.contracts.directory import RegisterAccount
from shared.errors import DomainError, ErrorCode
from tests.support.detsis import PASSWORD, A, B, Detsis, running_detsis, running_directory
from tests.unit.detsis_soap.conftest import Authority, make_authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def detsis(authority: Authority) -> AsyncIterator[Detsis]:
    units = [PinnedUnit(A, "A KURUMU", kep_address="a@hs91.kep.example"), PinnedUnit(B, "B KURUMU")]
    async with running_detsis(authority, *units) as found:
        yield found


def account(detsis: Detsis, **changed: object) -> RegisterAccount:
    values = {"institution_no": A, "account_id": str(A), "endpoint": detsis.endpoint, "password": PASSWORD}
    return RegisterAccount.model_validate(values | changed)


async def test_a_stored_password_does_not_follow_to_another_host(database_url: str, detsis: Detsis) -> None:
    async with running_directory(database_url, detsis) as directory:
        await directory.client.put_account(account(detsis))
        for endpoint in ("https://elsewhere.example/DETSISServis.asmx", f"https://localhost:{detsis.port + 1}/x"):
            with pytest.raises(DomainError) as caught:
                await directory.client.put_account(account(detsis, endpoint=endpoint, password=None))
            assert caught.value.code is ErrorCode.VALIDATION_FAILED
            assert [fault.pointer for fault in caught.value.faults] == ["/password"]
        other_path = detsis.endpoint.replace("DETSISServis", "DETSISOzelSektor")
        kept = await directory.client.put_account(account(detsis, endpoint=other_path, password=None))
        assert kept.endpoint == other_path
        moved = account(detsis, endpoint="https://elsewhere.example/DETSISServis.asmx")
        assert (await directory.client.put_account(moved)).password is None


async def test_who_keeps_no_copy_is_not_refreshed_at_night(database_url: str, detsis: Detsis) -> None:
    async with running_directory(database_url, detsis, "jobs", "schedule") as directory:
        await directory.client.put_account(account(detsis, keeps_copy=False, has_own_tree=False))
        await directory.client.put_account(account(detsis, institution_no=B, account_id=str(B)))
        await directory.ended(1)
        async with directory.database.reading() as session:
            assert list(await session.scalars(text("SELECT institution_no FROM runs"))) == [B]
        by_hand = await directory.refresh()
        assert (by_hand.institution_no, by_hand.state) == (A, "accepted")
