"""Letters that arrive more secret than KEP may carry: sealed, whatever lies around them, and nobody's to read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from services.kep_relay.tables import ClassifiedIncidentRow, InboundMessageRow, InboundPartRow
from shared.clock import FixedClock
from shared.contracts.inbound import InboundVerification
from shared.eyp import SecurityCode
from tests.support.gateway import TOKENS
from tests.support.inbound import SENDER_NO, Inbound, running_inbound
from tests.support.packages import degree
from tests.support.pki import NOW, Pki, build_pki
from tests.support.real_letters import RealSigner, real_signer
from tests.unit.eyp import letters
from tests.unit.signer.enveloping import Recipients, build_recipients

SECRET, TOP_SECRET, PLAIN = SecurityCode.SECRET, SecurityCode.TOP_SECRET, SecurityCode.UNCLASSIFIED
MINE, THEIRS = {"institution": SENDER_NO}, {"institution": 10000002}
SUBJECT, NAME = "Çok gizli konu", "çok gizli ad"
LEASE = {"institution_nos": [SENDER_NO], "client_id": "ebys"}
DECISION = {"decision": "Kopya tutanakla imha edilecek", "decided_by": "Güvenlik görevlisi"}


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
async def relay(database_url: str, tmp_path: Path, clock: FixedClock, signer: RealSigner) -> AsyncIterator[Inbound]:
    async with running_inbound(
        database_url, tmp_path / "blobs", signer_url=signer.url, signer_token=TOKENS["kep_relay"], clock=clock
    ) as inbound:
        await inbound.put_mailbox(
            "a-1", SENDER_NO, "a@hs98.kep.tr", imap={"host": "127.0.0.1", "port": 1}, read_policy="on_ack"
        )
        yield inbound


async def only(relay: Inbound) -> InboundMessageRow:
    (row,) = await relay.letters()
    return row


async def incidents(relay: Inbound) -> list[ClassifiedIncidentRow]:
    async with relay.deps.database.reading() as session:
        return list(await session.scalars(select(ClassifiedIncidentRow)))


async def parts(relay: Inbound) -> list[InboundPartRow]:
    async with relay.deps.database.reading() as session:
        return list(await session.scalars(select(InboundPartRow)))


async def wrapped(signer: RealSigner, how: str) -> tuple[tuple[str, bytes], ...]:
    """Attachments of a letter that must be sealed."""
    secret, plain = signer.package(security_code=SECRET), signer.package()
    made = {
        "plain": lambda: secret,
        "1.3": lambda: degree("CGZ", letters.first_generation_package()),
        "raised": lambda: signer.update(plain, SECRET),
        "lowered-by-nobody": lambda: signer.update(secret, PLAIN, forged=True),
        "lowered-then-raised": lambda: signer.update(signer.update(secret, PLAIN), TOP_SECRET),
        "annex": lambda: letters.changed(plain, liste=lambda _content: secret),
    }
    if how == "second-of-several":
        return (f"{NAME} 1.eyp", plain), (f"{NAME} 2.zip", secret)
    if how == "envelope":
        return ((f"{NAME}.eyps", await signer.encrypted(secret)),)
    if how == "update-in-envelope":
        return ((f"{NAME}.eyps", await signer.encrypted(signer.update(plain, SECRET), outside=plain)),)
    return ((f"{NAME}.eyp", made[how]()),)


@pytest.mark.parametrize(
    ("how", "found_in"),
    [
        ("plain", "package"), ("1.3", "package"), ("raised", "package"), ("lowered-by-nobody", "package"),
        ("lowered-then-raised", "package"), ("annex", "annex"), ("second-of-several", "package"),
        ("envelope", "envelope"), ("update-in-envelope", "envelope"),
    ],
)  # fmt: skip
async def test_a_classified_letter_is_sealed(
    relay: Inbound, signer: RealSigner, how: str, found_in: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No lease, no name, no content, for nobody; an incident instead; accepted and accounted for."""
    raw = signer.mail(*await wrapped(signer, how), subject=SUBJECT)
    await relay.take_in(raw, uid=1)
    row = await only(relay)
    assert (row.state, row.reason_code, row.subject, row.package_filename) == ("sealed", "classified", None, None)
    assert (row.document_id, row.document_no, row.opened_sha256) == (None, None, None)
    assert [part.filename for part in await parts(relay)] == [None] * len(await parts(relay))
    (incident,) = await incidents(relay)
    assert (incident.message_id, incident.found_in, incident.rule) == (row.message_id, found_in, "L.27")
    assert (incident.raw_sha256, incident.sender_address) == (row.raw_sha256, "a@hs98.kep.tr")
    assert incident.degree == row.security_code in {"secret", "top-secret"}
    shown = await relay.http.get("/inbound-messages", params=MINE)
    assert (shown.json()["messages"][0]["subject"], shown.json()["messages"][0]["parts"]) == (None, [])
    path = f"/inbound-messages/{row.message_id}"
    for what in ("package", "raw", "parts/1"):
        refused = await relay.http.get(f"{path}/{what}", params=MINE)
        assert (refused.status_code, refused.json()["code"]) == (403, "classified-sealed")
        assert (await relay.http.get(f"{path}/{what}", params=THEIRS)).status_code == 404
    assert (await relay.http.post("/inbound-messages/leases", params=MINE, json=LEASE)).json()["messages"] == []
    verdict = InboundVerification.model_validate_json(
        (await relay.http.get(f"{path}/verification", params=MINE)).content
    )
    assert ([item.component for item in verdict.components], verdict.findings) == (["envelope", "sender-signature"], [])
    assert (row.conclusion, row.verify_at) == ("passed", None)
    assert await relay.ledger_imbalance() == 0
    said = shown.text + verdict.model_dump_json() + "".join(capsys.readouterr())
    assert SUBJECT not in said
    assert NAME not in said
    assert await relay.deps.blobs.get(incident.raw_sha256, limit=10_000_000) == raw


async def test_a_proven_update_lowers_a_degree(relay: Inbound, signer: RealSigner) -> None:
    await relay.take_in(
        signer.mail(("a.eypg", signer.update(signer.package(security_code=SECRET), SecurityCode.RESTRICTED))), uid=1
    )
    row = await only(relay)
    assert (row.state, row.reason_code, row.security_code) == ("available", None, "restricted")
    answer = await relay.http.get(f"/inbound-messages/{row.message_id}/verification", params=MINE)
    assert answer.json()["findings"][0]["rule"] == "L.27.degree-lowered"
    assert await incidents(relay) == []


@pytest.mark.parametrize(
    ("token", "code", "finding"),
    [("OZL", "restricted", "L.27.degree-retired"), ("XYZ", None, "L.27.degree-unknown"), ("HZO", "restricted", None)],
)
async def test_what_is_not_classified_is_offered_and_what_is_odd_is_flagged(
    relay: Inbound, signer: RealSigner, token: str, code: str | None, finding: str | None
) -> None:
    await relay.take_in(signer.mail(("a.eyp", degree(token))), uid=1)
    row = await only(relay)
    assert (row.state, row.security_code, row.subject) == ("available", code, "Konu")
    answer = await relay.http.get(f"/inbound-messages/{row.message_id}/verification", params=MINE)
    flags = [item["rule"] for item in answer.json()["findings"] if item["rule"].startswith("L.27")]
    assert flags == ([finding] if finding else [])


async def test_a_signer_that_is_away_keeps_no_classified_letter_in_the_open(
    relay: Inbound, signer: RealSigner, clock: FixedClock
) -> None:
    signer.line.down = True
    await relay.take_in(signer.mail(*await wrapped(signer, "plain"), subject=SUBJECT), uid=1)
    row = await only(relay)
    assert (row.state, row.subject, row.conclusion) == ("sealed", None, None)
    signer.line.down = False
    clock.moment += timedelta(seconds=20)
    await relay.sweep()
    await relay.run_jobs()
    row = await only(relay)
    assert (row.state, row.conclusion, row.reason_code) == ("sealed", "passed", "classified")
    assert len(await incidents(relay)) == 1


async def test_a_death_between_verdict_and_write_leaves_nothing_half_done(
    relay: Inbound, signer: RealSigner, clock: FixedClock
) -> None:
    """The incident cannot be written: then nothing is, nothing is offered, and the next try does all of it."""
    await relay.execute(
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'gone'; END $$"
    )
    await relay.execute("CREATE TRIGGER dies BEFORE INSERT ON classified_incidents EXECUTE FUNCTION die()")
    await relay.take_in(signer.mail(*await wrapped(signer, "envelope"), subject=SUBJECT), uid=1)
    assert (await only(relay)).state == "parsed"
    assert (await relay.http.post("/inbound-messages/leases", params=MINE, json=LEASE)).json()["messages"] == []
    assert await relay.ledger_imbalance() == 0
    await relay.execute("DROP TRIGGER dies ON classified_incidents")
    clock.moment += timedelta(seconds=20)
    await relay.sweep()
    await relay.run_jobs()
    row = await only(relay)
    assert (row.state, row.subject, len(await incidents(relay))) == ("sealed", None, 1)


async def test_a_classified_letter_that_comes_again_is_the_same_one(relay: Inbound, signer: RealSigner) -> None:
    raw = signer.mail(*await wrapped(signer, "plain"), subject=SUBJECT)
    for uid in (1, 2):
        await relay.take_in(raw, uid=uid)
    assert [item.state for item in await relay.raw_mails()] == ["ingested", "duplicate"]
    assert (len(await relay.letters()), len(await incidents(relay))) == (1, 1)
    assert (await only(relay)).subject is None


async def test_a_key_that_comes_late_may_show_that_a_letter_is_classified(
    relay: Inbound, signer: RealSigner, clock: FixedClock, recipients: Recipients
) -> None:
    """Then it is taken back even from whoever has it leased."""
    await signer.hold()
    await relay.take_in(signer.mail(*await wrapped(signer, "envelope"), subject=SUBJECT), uid=1)
    leased = (await relay.http.post("/inbound-messages/leases", params=MINE, json=LEASE)).json()
    (letter,) = leased["messages"]
    await signer.hold(recipients.rsa)
    path = f"/inbound-messages/{letter['message_id']}"
    await relay.http.post(f"{path}/verify", params=MINE)
    await relay.run_jobs()
    row = await only(relay)
    (incident,) = await incidents(relay)
    assert (row.state, row.lease_token, incident.state_before) == ("sealed", None, "leased")
    ack = {"lease_token": leased["lease_token"], "registry_no": "2026/1"}
    assert (await relay.http.post(f"{path}/ack", params=MINE, json=ack)).json()["code"] == "lease-lost"
    assert await relay.ledger_imbalance() == 0


async def test_an_incident_is_closed_once_and_its_letter_stays_sealed(relay: Inbound, signer: RealSigner) -> None:
    raw = signer.mail(*await wrapped(signer, "plain"), subject=SUBJECT)
    await relay.take_in(raw, uid=1)
    await relay.sweep()
    assert relay.registry.get_sample_value("kepgw_classified_incidents_open") == 1
    assert relay.registry.get_sample_value("kepgw_classified_letters_total", {"degree": "secret"}) == 1
    (incident,) = (await relay.http.get("/classified-incidents", params=MINE)).json()["incidents"]
    assert (await relay.http.get("/classified-incidents", params=THEIRS)).json()["incidents"] == []
    path = f"/classified-incidents/{incident['incident_id']}"
    assert (await relay.http.get(f"{path}/raw", params=MINE)).content == raw
    for what in (path, f"{path}/raw"):
        assert (await relay.http.get(what, params=THEIRS)).status_code == 404
    assert (await relay.http.post(f"{path}/close", params=THEIRS, json=DECISION)).status_code == 404
    assert (await only(relay)).acknowledge_at is None
    for _again in range(2):
        closed = await relay.http.post(f"{path}/close", params=MINE, json=DECISION)
        assert (closed.status_code, closed.json()["closing"]["decision"]) == (200, DECISION["decision"])
    other = await relay.http.post(f"{path}/close", params=MINE, json=DECISION | {"decision": "Başka"})
    assert (other.status_code, other.json()["code"]) == (409, "state-conflict")
    row = await only(relay)
    # Under this mailbox's policy the provider hears of a letter when a person has taken note of it.
    assert (row.state, row.acknowledge_at) == ("sealed", NOW)
    for closed_only, number in ((True, 1), (False, 0)):
        page = await relay.http.get("/classified-incidents", params=MINE | {"closed": closed_only})
        assert len(page.json()["incidents"]) == number
    await relay.sweep()
    assert relay.registry.get_sample_value("kepgw_classified_incidents_open") == 0
