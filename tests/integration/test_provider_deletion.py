"""A mail is deleted at the provider only when it is old, done with, and its archived bytes were compared."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from services.kep_relay.inbound.deletion import DELETED
from services.kep_relay.tables import RawMailRow
from tests.support.database import fresh_database
from tests.support.delivering import plain_letter, put, settled
from tests.support.failure_cases import Bench, Party, bench, imap_server, until
from tests.support.mails import dispatch, evidence_mail, evidence_xml, letter, mail

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(database_server: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    with fresh_database(database_server) as url:
        async with bench(url, tmp_path_factory.mktemp("deletion")) as made:
            yield made


async def cleaned(world: Bench) -> Party:
    """An institution whose mails are deleted at the provider after thirty days."""
    party = await world.party()
    world.relay.deps.settings.provider_retention_days[party.mailbox_id] = 30
    return party


async def register(world: Bench, party: Party) -> None:
    """Take one letter into the institution's own books; the provider is told."""
    mine, http = {"institution": party.number}, world.relay.http
    wanted = {"institution_nos": [party.number], "client_id": "ebys", "max": 1}
    answer = await http.post("/inbound-messages/leases", params=mine, json=wanted)
    leased = answer.json()
    [taken] = leased["messages"]
    body = {"lease_token": leased["lease_token"], "registry_no": str(uuid4())}
    answer = await http.post(f"/inbound-messages/{taken['message_id']}/ack", params=mine, json=body)
    assert answer.status_code == 200, answer.text

    async def told() -> bool:
        return any(row.provider_acknowledged_at for row in await world.arrived(party))

    await until(told, "the provider to be told")


async def remaining(world: Bench, party: Party) -> list[int]:
    return [item.uid for item in world.kephs.providers.messages(party.address)]


async def raw(world: Bench, party: Party, uid: int) -> RawMailRow:
    return next(row for row in await world.raw_mails(party) if row.uid == uid)


async def noted(world: Bench, party: Party, uid: int) -> None:
    async def is_noted() -> bool:
        return (await raw(world, party, uid)).reason_code == DELETED

    await until(is_noted, f"mail {uid} to be noted as deleted")


async def deletions(world: Bench, party: Party) -> list[str | None]:
    """The letters whose events tell of it."""
    answer = await world.relay.http.get("/events", params={"institution": party.number, "after": 0})
    found = [item for item in answer.json()["events"] if item["type"] == "inbound-message.provider-copy-deleted"]
    assert {item["mailbox_id"] for item in found} <= {party.mailbox_id}
    return [item["message_id"] for item in found]


async def test_what_is_done_with_goes_after_its_time_and_nothing_else(world: Bench) -> None:
    party, keeper = await cleaned(world), await world.party()
    original = letter(("a.pdf", b"%PDF"), message_id=f"<{uuid4()}@kepgw.test>")
    document = evidence_xml(40, original_id=f"<{uuid4()}@x>", identifier=str(uuid4()))
    await put(world, keeper, dispatch(original))
    await put(world, party, dispatch(original))
    await settled(world, party)
    await register(world, party)
    await put(
        world, party, dispatch(original, Message_ID="<again@hs98>"), evidence_mail(document),
        mail({"Subject": "Reklam", "From": "<x@y>"}, b"\r\nx"), plain_letter(("b.pdf", b"%PDF")),
    )  # fmt: skip
    await settled(world, party, 3)
    await settled(world, keeper)
    await register(world, keeper)
    await world.move_clock(days=29)
    await put(world, party, plain_letter(("young.pdf", b"%PDF")))
    await settled(world, party, 4)
    assert await remaining(world, party) == [1, 2, 3, 4, 5, 6]
    await world.move_clock(days=2)
    for uid in (1, 2, 3):
        await noted(world, party, uid)
    assert await remaining(world, party) == [4, 5, 6]
    assert await remaining(world, keeper) == [1], "without an entry nothing is ever deleted"
    [row, *_others] = await world.arrived(party)
    assert await deletions(world, party) == [str(row.message_id), str(row.message_id), None]
    assert row.raw_sha256 is not None
    assert await world.relay.deps.blobs.get(row.raw_sha256, limit=1_000_000) == dispatch(original)
    await world.balanced()


@pytest.mark.parametrize("damage", ["missing", "altered", "cut"])
async def test_a_broken_archive_copy_keeps_the_mail(world: Bench, damage: str) -> None:
    party = await cleaned(world)
    await put(world, party, plain_letter(("a.pdf", b"%PDF" + damage.encode())))
    [row] = await settled(world, party)
    await register(world, party)
    assert row.raw_sha256 is not None
    [file] = [path for path in Path(world.directory).rglob("*") if path.name == row.raw_sha256]
    content = file.read_bytes()
    file.chmod(0o600)
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(content[:-1] if damage == "cut" else content[:-1] + b"!")
    result = "copy-missing" if damage == "missing" else "copy-altered"
    before = world.metric("kepgw_provider_deletions_total", result=result)
    await world.move_clock(days=31)

    async def noticed() -> bool:
        return world.metric("kepgw_provider_deletions_total", result=result) > before

    await until(noticed, "the broken copy to be noticed")
    assert await remaining(world, party) == [1]
    assert await deletions(world, party) == []
    file.write_bytes(content)
    await world.move_clock(hours=2)
    await noted(world, party, 1)
    assert await remaining(world, party) == []


async def test_a_crash_before_the_note_is_made_up_for_once(world: Bench) -> None:
    """The mail is gone at the provider, nothing says so here: noted at the next look, with one event."""
    party = await cleaned(world)
    await put(world, party, plain_letter(("a.pdf", b"%PDF")))
    await settled(world, party)
    await register(world, party)
    client = await world.kephs.imap(party.address)
    await client.select("INBOX")
    await client.store("1", "+FLAGS", r"(\Deleted)")
    await client.expunge()
    await client.logout()
    await world.move_clock(days=31)
    await noted(world, party, 1)
    await world.move_clock(hours=2)
    await put(world, party, plain_letter(("b.pdf", b"%PDF")))
    await settled(world, party, 2)
    assert len(await deletions(world, party)) == 1


async def test_a_server_that_removes_only_everything_marked_is_not_asked_to(world: Bench, tmp_path: Path) -> None:
    """Without UIDPLUS an EXPUNGE would take along what somebody else marked."""
    async with imap_server(tmp_path) as server:
        server.mails[1] = plain_letter(("a.pdf", b"%PDF"))
        party = await world.party(active=False)
        world.relay.deps.settings.provider_retention_days[party.mailbox_id] = 30
        await world.configure(party, imap=server.address)
        await settled(world, party)
        await register(world, party)
        before = world.metric("kepgw_provider_deletions_total", result="refused")
        await world.move_clock(days=31)

        async def refused() -> bool:
            return world.metric("kepgw_provider_deletions_total", result="refused") > before

        await until(refused, "the refusal")
        assert (await raw(world, party, 1)).reason_code is None
        await world.configure(party, active=False)
