"""Encrypted letters on their way in: opened with the institution's key by the real signer, judged, and not kept."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from services.kep_relay.inbound.budget import ByteBudget
from services.kep_relay.inbound.packages import NOT_OPENED, LetterPackages
from services.kep_relay.tables import InboundMessageRow, InboundVerificationRow
from shared.clock import FixedClock
from shared.contracts.inbound import InboundVerification
from shared.domain.verdict import Conclusion
from shared.eyp import SecurityCode
from tests.support.gateway import TOKENS
from tests.support.inbound import SENDER_NO, Inbound, running_inbound, until
from tests.support.pki import NOW, Holder, Pki, build_pki
from tests.support.real_letters import RealSigner, real_signer
from tests.unit.eyp import wrappers
from tests.unit.signer.enveloping import Recipients, algorithm, build_recipients, cbc, octets, transported

MINE = {"institution": SENDER_NO}


@pytest.fixture(scope="module")
def pki() -> Pki:
    return build_pki()


@pytest.fixture(scope="module")
def recipients() -> Recipients:
    return build_recipients()


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
async def signer(tmp_path: Path, pki: Pki, recipients: Recipients, clock: FixedClock) -> AsyncIterator[RealSigner]:
    async with real_signer(pki, recipients, tmp_path / "signer", clock, keys=[recipients.rsa]) as running:
        yield running


@pytest.fixture
async def relay(
    database_url: str, tmp_path: Path, clock: FixedClock, signer: RealSigner, request: pytest.FixtureRequest
) -> AsyncIterator[Inbound]:
    changes: dict[str, Any] = getattr(request, "param", {})
    async with running_inbound(
        database_url,
        tmp_path / "blobs",
        signer_url=signer.url,
        signer_token=TOKENS["kep_relay"],
        clock=clock,
        **changes,
    ) as inbound:
        await inbound.put_mailbox("a-1", SENDER_NO, "a@hs98.kep.tr", imap={"host": "127.0.0.1", "port": 1})
        yield inbound


async def only(relay: Inbound) -> InboundMessageRow:
    (row,) = await relay.letters()
    return row


async def verdicts(relay: Inbound) -> list[InboundVerification]:
    async with relay.deps.database.reading() as session:
        rows = await session.scalars(select(InboundVerificationRow.verdict).order_by(InboundVerificationRow.sequence))
        return [InboundVerification.model_validate(row) for row in rows]


def unopened(relay: Inbound, outcome: str) -> float | None:
    return relay.registry.get_sample_value("kepgw_encrypted_letters_unopened", {"outcome": outcome})


async def test_an_encrypted_letter_is_opened_verified_and_not_kept(
    relay: Inbound, signer: RealSigner, tmp_path: Path
) -> None:
    inside = signer.package()
    await relay.take_in(signer.mail(("a.eyps", await signer.encrypted(inside))), uid=1)
    row = await only(relay)
    assert (row.state, row.reason_code, row.conclusion) == ("available", None, "passed")
    assert (row.opening, row.security_code, row.document_no) == ("opened", "unclassified", "E-10000001-000-1")
    assert (row.opened_sha256, row.opened_size) == (hashlib.sha256(inside).hexdigest(), len(inside))
    (verdict,) = await verdicts(relay)
    assert {item.component for item in verdict.components} == {
        "envelope", "sender-signature", "inner-signature", "inner-seal",
    }  # fmt: skip
    assert {item.report.conclusion for item in verdict.components} == {Conclusion.PASSED}
    stored = [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]
    assert stored
    assert all(path.read_bytes() != inside for path in stored)
    shown = (await relay.http.get(f"/inbound-messages/{row.message_id}", params=MINE)).json()
    assert (shown["opening"], shown["security_code"]) == ("opened", "unclassified")
    assert relay.registry.get_sample_value("kepgw_inbound_openings_total", {"outcome": "opened"}) == 1


async def test_without_a_key_there_is_an_alarm_and_a_key_that_comes_later_settles_it(
    relay: Inbound, signer: RealSigner, clock: FixedClock, recipients: Recipients
) -> None:
    await signer.hold()
    await relay.take_in(signer.mail(("a.eyps", await signer.encrypted(signer.package()))), uid=1)
    row = await only(relay)
    assert (row.state, row.reason_code, row.conclusion) == ("available", "encrypted-no-key", "indeterminate")
    assert row.security_code is None
    await relay.sweep()
    assert unopened(relay, "no-key") == 1
    for _again in range(2):
        clock.moment += timedelta(hours=1, minutes=1)
        await relay.sweep()
        await relay.run_jobs()
    (verdict,) = await verdicts(relay)  # the same answer every hour is not kept every hour
    assert [item.rule for item in verdict.findings][:2] == ["L.27.degree-unknown", NOT_OPENED.rule]
    row = await only(relay)
    assert row.verify_at == clock.moment + timedelta(hours=1)
    await signer.hold(recipients.rsa)
    clock.moment += timedelta(hours=1, minutes=1)
    await relay.sweep()
    await relay.run_jobs()
    row = await only(relay)
    assert (row.state, row.reason_code, row.conclusion, row.verify_at) == ("available", None, "passed", None)
    await relay.sweep()
    assert unopened(relay, "no-key") == 0
    assert await relay.ledger_imbalance() == 0


async def test_whoever_has_brought_a_key_need_not_wait(
    relay: Inbound, signer: RealSigner, recipients: Recipients
) -> None:
    await signer.hold(recipients.other_rsa)
    await relay.take_in(signer.mail(("a.eyps", await signer.encrypted(signer.package()))), uid=1)
    row = await only(relay)
    assert (row.reason_code, row.conclusion) == ("encrypted-not-a-recipient", "indeterminate")
    await signer.hold(recipients.other_rsa, recipients.rsa)
    path = f"/inbound-messages/{row.message_id}/verify"
    assert (await relay.http.post(path, params={"institution": 10000002})).status_code == 404
    answer = await relay.http.post(path, params=MINE)
    assert answer.status_code == 200, answer.text
    assert answer.json()["next_verification_at"] is not None
    await relay.run_jobs()
    row = await only(relay)
    assert (row.reason_code, row.conclusion, row.opening) == (None, "passed", "opened")


async def test_whoever_asks_while_the_letter_is_being_verified_is_not_forgotten(
    relay: Inbound, signer: RealSigner, clock: FixedClock, recipients: Recipients
) -> None:
    """The run that is under way asked signer before the key was there."""
    await signer.hold()
    await relay.take_in(signer.mail(("a.eyps", await signer.encrypted(signer.package()))), uid=1)
    clock.moment += timedelta(hours=1, minutes=1)
    async with relay.deps.database.unit_of_work() as work:
        row = await work.session.scalar(select(InboundMessageRow).with_for_update())
        assert row is not None
        await relay.sweep()
        under_way = asyncio.create_task(relay.run_jobs())
        await until(partial(somebody_waits_for_a_lock, relay))
        row.verify_at = clock.moment  # as whoever asks does
    await under_way
    assert (await only(relay)).verify_at == clock.moment
    await signer.hold(recipients.rsa)
    clock.moment += timedelta(minutes=5)
    await relay.sweep()
    await relay.run_jobs()
    row = await only(relay)
    assert (row.conclusion, row.opening, row.verify_at) == ("passed", "opened", None)


async def somebody_waits_for_a_lock(relay: Inbound) -> bool:
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    async with relay.deps.database.autocommit() as session:
        return bool(await session.scalar(waiting))


async def test_a_registered_letter_waits_for_no_key(relay: Inbound, signer: RealSigner, clock: FixedClock) -> None:
    await signer.hold()
    await relay.take_in(signer.mail(("a.eyps", await signer.encrypted(signer.package()))), uid=1)
    await relay.execute("UPDATE inbound_messages SET state = 'consumed', registry_no = '1', consumed_at = :at", at=NOW)
    clock.moment += timedelta(hours=2)
    await relay.sweep()
    await relay.run_jobs()
    assert (await only(relay)).verify_at is None
    await relay.sweep()
    assert unopened(relay, "no-key") == 0


@pytest.mark.parametrize("position", [0.02, 0.5, 0.98])
async def test_changed_envelopes_never_pass(relay: Inbound, signer: RealSigner, position: float) -> None:
    """CBC does not notice: what comes out may begin as a package; then digests and seal speak against it."""
    package = await signer.encrypted(signer.package())
    parts = wrappers.letters.parts_of(package)
    name = next(item for item in parts if item.startswith("SifreliIcerik/"))
    content = bytearray(parts[name])
    content[int(len(content) * position)] ^= 1
    changed = wrappers.letters.packed(parts | {name: bytes(content)})
    await relay.take_in(signer.mail(("a.eyps", changed)), uid=1)
    row = await only(relay)
    assert (row.state, row.conclusion) == ("available", "failed")
    assert row.reason_code is not None
    assert row.reason_code.startswith("encrypted-") or row.reason_code == "package-invalid"


async def test_every_envelope_that_stays_closed_has_one_text(relay: Inbound, signer: RealSigner) -> None:
    """The reason is for us; what is said about the letter is the same for all of them (record 0019)."""
    inside = signer.package()
    for number, (package, outcome) in enumerate(
        [
            (await signer.encrypted(b"PK\x03\x04 no package", outside=inside), "cannot-be-opened"),
            (await signer.encrypted(b"no package", outside=inside), "cannot-be-opened"),
            (wrappers.encrypted(inside), "malformed"),
            (wrappers.encrypted(inside, envelope=by_triple_des(signer.recipients.rsa)), "algorithm-refused"),
            (await signer.encrypted(inside, signer.recipients.other_rsa), "not-a-recipient"),
        ],
        start=1,
    ):
        await relay.take_in(signer.mail(("a.eyps", package), message_id=f"<{number}@a>"), uid=number)
        row = (await relay.letters())[-1]
        assert (row.opening, row.reason_code) == (outcome, f"encrypted-{outcome}")
        assert NOT_OPENED in (await verdicts_of(relay, row)).findings
    await relay.sweep()
    assert unopened(relay, "cannot-be-opened") == 2


async def verdicts_of(relay: Inbound, row: InboundMessageRow) -> InboundVerification:
    answer = await relay.http.get(f"/inbound-messages/{row.message_id}/verification", params=MINE)
    return InboundVerification.model_validate_json(answer.content)


@pytest.mark.parametrize("relay", [{"max_mail_bytes": 200_000}], indirect=True)
async def test_an_envelope_larger_than_any_mail_is_not_unpacked(relay: Inbound, signer: RealSigner) -> None:
    # It shrinks to a quarter in the ZIP around it, which is not yet what that is refused for.
    envelope = wrappers.ENVELOPE + b"".join(os.urandom(1_000) + bytes(3_000) for _ in range(100))
    await relay.take_in(signer.mail(("a.eyps", wrappers.encrypted(envelope=envelope))), uid=1)
    row = await only(relay)
    assert (row.opening, row.conclusion) == ("malformed", "failed")


async def test_of_several_packages_no_signatures_are_kept_in_memory(relay: Inbound, signer: RealSigner) -> None:
    """Nobody judges them, and twenty packages may unpack to gigabytes of them."""
    plain, encrypted = signer.package(), await signer.encrypted(signer.package())
    blobs, signers = relay.deps.blobs, relay.deps.signer
    packages = LetterPackages(blobs, signers, ByteBudget(10_000_000), max_bytes=10_000_000)
    digests = [(await blobs.put(content, limit=10_000_000)).sha256 for content in (plain, encrypted)]
    for asked, kept in ((digests[:1], True), (digests[1:], True), (digests, False)):
        for sha256, seen in await packages.look(asked):
            opened = await packages.open(sha256, seen, SENDER_NO, alone=kept)
            assert opened.degree.stated is SecurityCode.UNCLASSIFIED
            assert bool(opened.components) is kept
            assert bool(seen.components) is (kept and not seen.encrypted)


async def test_an_update_inside_an_envelope_is_judged_on_every_level(relay: Inbound, signer: RealSigner) -> None:
    update = signer.update(signer.package(), SecurityCode.RESTRICTED)
    await relay.take_in(signer.mail(("a.eyps", await signer.encrypted(update, outside=signer.package()))), uid=1)
    row = await only(relay)
    (verdict,) = await verdicts(relay)
    names = [item.component for item in verdict.components]
    assert names[2:] == ["inner-seal", "inner-original-signature", "inner-original-seal"]
    assert (row.state, row.security_code, row.opening) == ("available", "restricted", "opened")


async def test_a_signer_that_is_away_is_waited_for(relay: Inbound, signer: RealSigner, clock: FixedClock) -> None:
    package = await signer.encrypted(signer.package())
    signer.line.down = True
    await relay.take_in(signer.mail(("a.eyps", package)), uid=1)
    row = await only(relay)
    assert (row.state, row.opening) == ("parsed", None)
    signer.line.down = False
    clock.moment += timedelta(seconds=20)
    await relay.sweep()
    await relay.run_jobs()
    assert (await only(relay)).opening == "opened"


def by_triple_des(holder: Holder) -> bytes:
    key = bytes(32)
    sealed = cbc([transported(holder, key)], key)
    sealed.cipher = algorithm("1.2.840.113549.3.7", octets(bytes(8)))
    return sealed.dump()
