"""A new KEP address, from the portal through the mail in its own mailbox to the list of active addresses."""

from __future__ import annotations

from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from services.sandbox.detsis.register import generate_register
from services.sandbox.detsis.registrations import RegistrationDesk
from tests.unit.sandbox_detsis.conftest import World, running_world, until
from tests.unit.sandbox_detsis.service import NOW

UNIT = 10000001
OLD, NEW, OTHER = "ornekbelediyesi@hs98.kep.tr", "ornekbelediyesi2@hs99.kep.tr", "ornekbelediyesi3@hs99.kep.tr"
REGISTRATIONS = "/detsis/kep-registrations"


async def addresses(world: World) -> dict[str, bool]:
    found: dict[str, bool] = (await world.get(f"/register/units/{UNIT}"))["kep_addresses"]
    return found


async def opened(world: World, address: str = NEW, provider: str = "hs99") -> dict[str, Any]:
    order = {"kep_address": address, "institution_no": UNIT}
    access: dict[str, Any] = await world.post(f"/providers/{provider}/mailboxes", expect=201, **order)
    return access


async def letter_in(world: World, address: str, provider: str = "hs99") -> Message:
    """The sender's own message inside the envelope that has arrived."""
    path = f"/providers/{provider}/mailboxes/{address}/messages"

    async def arrived() -> Any:
        return [mail for mail in (await world.get(path))["messages"] if mail["kind"] == "letter"]

    (mail,) = await until(arrived)
    envelope = message_from_bytes((await world.http.get(f"/control{path}/{mail['uid']}/content")).content)
    (original,) = (part for part in envelope.walk() if part.get_content_type() == "message/rfc822")
    found = original.get_payload()
    assert isinstance(found, list)
    letter = found[0]
    assert isinstance(letter, Message)
    return letter


async def test_the_mail_in_the_new_mailbox_brings_the_address_into_force(world: World) -> None:
    access = await opened(world)
    assert access["username"] == NEW
    entered = await world.post(REGISTRATIONS, expect=201, detsis_no=UNIT, kep_address=NEW)
    assert entered["state"] == "waiting"
    assert await addresses(world) == {OLD: True, NEW: False}
    mail = await letter_in(world, NEW)
    assert mail["From"] == entered["sender"] == "detsis@hs98.kep.tr"
    assert mail["X-TR-REM-iletiTip"] == "standart"
    contents = [part.get_payload(decode=True) for part in mail.walk() if part.get_content_maintype() == "text"]
    texts = [content.decode() for content in contents if isinstance(content, bytes)]
    assert len(texts) == 2
    assert all(entered["confirmation_url"] in text for text in texts)
    link = entered["confirmation_url"]
    page = await world.http.get(link)
    assert "<form method" in page.text
    assert await addresses(world) == {OLD: True, NEW: False}
    assert (await world.http.post(link)).status_code == 200
    assert await addresses(world) == {OLD: False, NEW: True}
    assert "<form method" not in (await world.http.get(link)).text
    told = await world.get(f"{REGISTRATIONS}/{entered['registration_id']}")
    assert told["state"] == "active"
    assert told["confirmed_at"]


async def test_opening_may_be_enough(world: World) -> None:
    entered = await world.post(REGISTRATIONS, expect=201, detsis_no=UNIT, kep_address=NEW, confirmed_by_opening=True)
    assert (await world.http.get(entered["confirmation_url"])).status_code == 200
    assert (await addresses(world))[NEW] is True


async def test_a_second_registration_takes_the_place_of_the_first(world: World) -> None:
    first = await world.post(REGISTRATIONS, expect=201, detsis_no=UNIT, kep_address=NEW)
    await world.post(REGISTRATIONS, expect=201, detsis_no=UNIT, kep_address=OTHER)
    assert await addresses(world) == {OLD: True, OTHER: False}
    assert (await world.http.post(first["confirmation_url"])).status_code == 409
    assert await addresses(world) == {OLD: True, OTHER: False}
    assert [one["state"] for one in await world.get(REGISTRATIONS, detsis_no=UNIT)] == ["replaced", "waiting"]


async def test_the_mail_can_be_sent_again(world: World) -> None:
    await opened(world)
    entered = await world.post(REGISTRATIONS, expect=201, detsis_no=UNIT, kep_address=NEW)
    again = await world.post(f"{REGISTRATIONS}/{entered['registration_id']}/mail")
    assert again == entered
    path = f"/providers/hs99/mailboxes/{NEW}/messages"

    async def both() -> bool:
        kinds = [mail["kind"] for mail in (await world.get(path))["messages"]]
        return kinds.count("letter") == 2

    assert await until(both)


@pytest.mark.parametrize(
    ("order", "status"),
    [
        ({"detsis_no": 19999999, "kep_address": NEW}, 404),
        ({"detsis_no": UNIT, "kep_address": "denemevaliligi@hs99.kep.tr"}, 409),
        ({"detsis_no": UNIT, "kep_address": OLD}, 409),
        ({"detsis_no": UNIT, "kep_address": "no address"}, 422),
    ],
)
async def test_what_the_portal_refuses(world: World, order: dict[str, Any], status: int) -> None:
    await world.post(REGISTRATIONS, expect=status, **order)
    assert await addresses(world) == {OLD: True}


async def test_a_strange_link_confirms_nothing(world: World) -> None:
    await world.post(REGISTRATIONS, expect=201, detsis_no=UNIT, kep_address=NEW)
    assert (await world.http.post(f"/control{REGISTRATIONS}/confirmation?token=x")).status_code == 404
    assert (await world.http.get(f"/control{REGISTRATIONS}/confirmation?token=%C3%A7")).status_code == 404
    assert await addresses(world) == {OLD: True, NEW: False}


async def test_mailboxes_that_cannot_be_opened(world: World) -> None:
    await opened(world)
    wrong = [("hs99", NEW, 409), ("hs98", NEW, 422), ("hs98", OLD, 409), ("hs98", "detsis@hs98.kep.tr", 409)]
    for provider, address, status in wrong:
        order = {"kep_address": address, "institution_no": UNIT}
        await world.post(f"/providers/{provider}/mailboxes", expect=status, **order)


def test_a_registration_for_a_unit_that_is_gone_stops_nobody(tmp_path: Path) -> None:
    file = tmp_path / "registrations.json"
    large, small = generate_register(500, 7), generate_register(100, 7)
    number = list(large.numbers())[-1]
    kept = RegistrationDesk(large, file).register(number, NEW, NOW)
    assert [one.registration_id for one in RegistrationDesk(small, file).all()] == [kept.registration_id]
    assert small.owner(NEW) is None
    again = generate_register(500, 7)
    RegistrationDesk(again, file)
    owner = again.owner(NEW)
    assert owner is not None
    assert (owner.number, owner.active) == (number, False)


async def test_registrations_and_mailboxes_outlive_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "state"
    async with running_world(state) as world:
        await opened(world)
        entered = await world.post(REGISTRATIONS, expect=201, detsis_no=UNIT, kep_address=NEW)
        await letter_in(world, NEW)
    async with running_world(state) as world:
        assert await addresses(world) == {OLD: True, NEW: False}
        await letter_in(world, NEW)
        assert (await world.http.post(entered["confirmation_url"])).status_code == 200
    async with running_world(state) as world:
        assert await addresses(world) == {OLD: False, NEW: True}
