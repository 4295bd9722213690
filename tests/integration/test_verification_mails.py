"""Verification mails of DETSİS in kep_relay: never a letter, shown with warnings, settled by a person."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from services.kep_relay.inbound.verification_news import VerificationAnnouncements
from shared.clock import FixedClock
from shared.contracts.directory.registrations import VerificationNotice
from shared.contracts.signatures import SignatureFormat
from shared.domain.verdict import Conclusion
from shared.errors import DomainError, ErrorCode
from tests.support.gateway import serving
from tests.support.inbound import SENDER_NO, Inbound, ScriptedSigner, running_inbound, scripted_signer
from tests.support.mails import dispatch, multipart, part, signed

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MINE = {"institution": SENDER_NO}
STRANGER = {"institution": 10000006}
DETSIS = "detsis@hs01.kep.tr"
LINK = "https://yetkili.detsis.gov.tr/onay?anahtar=1"
LEASE = {"client_id": "ebys", "institution_nos": [SENDER_NO], "max": 10, "seconds": 60, "wait": 0}


def mail_of_detsis(text: str = f"Onaylamak icin: {LINK}", *, sender: str = DETSIS, number: int = 1) -> bytes:
    """As the circular describes it: an ordinary KEP mail with a link inside."""
    headers = {
        "From": f"<{sender}>", "To": "<a@hs98.kep.tr>", "Subject": "KEP adresi doğrulama",
        "Message-ID": f"<dogrulama-{number}@detsis>",
    }  # fmt: skip
    return dispatch(signed(headers, multipart("mixed", [part("text/plain; charset=utf-8", text.encode())])))


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
async def signer_and_url() -> AsyncIterator[tuple[ScriptedSigner, str]]:
    async with scripted_signer() as pair:
        yield pair


@pytest.fixture
def signer(signer_and_url: tuple[ScriptedSigner, str]) -> ScriptedSigner:
    return signer_and_url[0]


@pytest.fixture
async def told() -> AsyncIterator[tuple[list[VerificationNotice], str]]:
    """Stands where detsis_sync stands, and hears what it is told."""
    notices: list[VerificationNotice] = []
    app = FastAPI()

    @app.post("/internal/v1/registrations/verification-mails")
    async def hear(notice: VerificationNotice) -> VerificationNotice:
        notices.append(notice)
        return notice

    async with serving(app) as url:
        yield notices, url


@pytest.fixture
async def relay(
    database_url: str,
    tmp_path: Path,
    clock: FixedClock,
    signer_and_url: tuple[ScriptedSigner, str],
    told: tuple[list[VerificationNotice], str],
) -> AsyncIterator[Inbound]:
    changes: dict[str, Any] = {"detsis_verification_senders": [DETSIS], "detsis_sync_url": told[1]}
    async with running_inbound(database_url, tmp_path, signer_url=signer_and_url[1], clock=clock, **changes) as inbound:
        await inbound.put_mailbox("a-1", SENDER_NO, "a@hs98.kep.tr", imap={"host": "127.0.0.1", "port": 1})
        yield inbound


async def listed(relay: Inbound, **more: Any) -> list[dict[str, Any]]:
    answer = await relay.http.get("/verification-mails", params=MINE | more)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["mails"])


async def test_it_is_shown_and_can_never_be_had_as_a_letter(relay: Inbound) -> None:
    await relay.take_in(mail_of_detsis(), uid=1)
    (mail,) = await listed(relay)
    assert mail["links"] == [{"url": LINK, "host": "yetkili.detsis.gov.tr", "warnings": []}]
    assert (mail["envelope"], mail["warnings"]) == ("passed", [])
    assert (mail["sender_address"], mail["subject"]) == (DETSIS, "KEP adresi doğrulama")
    leased = await relay.http.post("/inbound-messages/leases", params=MINE, json=LEASE)
    assert leased.json()["messages"] == []
    for step in ("ack", "nack", "renew", "redrive"):
        body = {"lease_token": "x" * 20, "registry_no": "1", "reason": "x", "seconds": 60}
        wanted = {"ack": {"lease_token", "registry_no"}, "nack": {"lease_token", "reason"}}
        fields = wanted.get(step, {"lease_token", "seconds"})
        answer = await relay.http.post(
            f"/inbound-messages/{mail['message_id']}/{step}",
            params=MINE,
            json={name: value for name, value in body.items() if name in fields},
        )
        assert answer.status_code == 409, (step, answer.text)
    (row,) = await relay.letters()
    assert (row.state, row.acknowledge_at, row.provider_acknowledged_at) == ("quarantined", None, None)
    assert await relay.ledger_imbalance() == 0


async def test_verifying_it_again_leaves_it_where_it_is(
    relay: Inbound, signer: ScriptedSigner, clock: FixedClock
) -> None:
    signer.conclusions[SignatureFormat.SMIME] = Conclusion.INDETERMINATE
    await relay.take_in(mail_of_detsis(), uid=1)
    assert (await listed(relay))[0]["warnings"] == ["envelope-pending"]
    signer.conclusions.clear()
    clock.moment += timedelta(days=2)
    await relay.sweep()
    await relay.run_jobs()
    assert (await listed(relay))[0]["warnings"] == []
    (row,) = await relay.letters()
    assert (row.state, row.reason_code) == ("quarantined", "detsis-verification")


async def test_while_signer_is_away_it_is_shown_as_not_yet_judged(relay: Inbound, signer: ScriptedSigner) -> None:
    signer.away = True
    await relay.take_in(mail_of_detsis(), uid=1)
    (mail,) = await listed(relay)
    assert (mail["envelope"], mail["warnings"]) == (None, ["envelope-pending"])


@pytest.mark.parametrize("how", ["forged", "unsigned"])
async def test_a_forged_one_is_flagged(relay: Inbound, signer: ScriptedSigner, how: str) -> None:
    if how == "forged":
        signer.conclusions[SignatureFormat.SMIME] = Conclusion.FAILED
    else:
        signer.unsigned.add(SignatureFormat.SMIME)
    await relay.take_in(mail_of_detsis("https://detsis.gov.tr@evil.example/onay http://evil.example:8080/"), uid=1)
    (mail,) = await listed(relay)
    assert mail["envelope"] == "failed"
    assert mail["warnings"] == ["envelope-not-verified", "no-expected-link"]
    assert [link["warnings"] for link in mail["links"]] == [
        ["unexpected-host", "user-info"],
        ["unexpected-host", "not-encrypted", "unusual-port"],
    ]


async def test_hostile_text_is_bounded(relay: Inbound) -> None:
    text = "javascript:alert(1) " + " ".join(f"https://r{number}.example/{'a' * 1500}" for number in range(1000))
    await relay.take_in(mail_of_detsis(f"{text} https://detsis.gov.tr/{'b' * 100_000} {LINK}"), uid=1)
    answer = await relay.http.get("/verification-mails", params=MINE)
    assert len(answer.content) < 60_000
    (mail,) = answer.json()["mails"]
    assert len(mail["links"]) == 20
    assert {"links-left-out"} <= set(mail["warnings"])
    assert all(link["url"].startswith("https://") for link in mail["links"])


async def test_a_hint_is_shown_and_stays_a_letter(relay: Inbound) -> None:
    await relay.take_in(mail_of_detsis(sender="baska@hs01.kep.tr"), uid=1)
    (mail,) = await listed(relay)
    assert (mail["recognised_by"], mail["warnings"]) == ("hint", ["sender-not-configured"])
    leased = (await relay.http.post("/inbound-messages/leases", params=MINE, json=LEASE)).json()["messages"]
    assert [item["message_id"] for item in leased] == [mail["message_id"]]
    settled = await relay.http.post(
        f"/verification-mails/{mail['message_id']}/settlement", params=MINE, json={"settled_by": "A. Yetkili"}
    )
    assert settled.status_code == 200, settled.text
    assert (await relay.letters())[0].state == "leased"


async def test_settling_archives_it_and_the_older_ones(relay: Inbound, clock: FixedClock) -> None:
    for number in (1, 2, 3):
        await relay.take_in(mail_of_detsis(number=number), uid=number)
        clock.moment += timedelta(minutes=1)
    newest, second, oldest = await listed(relay, waiting="true")
    await relay.sweep()
    assert relay.registry.get_sample_value("kepgw_verification_mails_waiting", {"recognised_by": "sender"}) == 3
    path = f"/verification-mails/{second['message_id']}/settlement"
    first = (await relay.http.post(path, params=MINE, json={"settled_by": "A. Yetkili"})).json()
    clock.moment += timedelta(minutes=1)
    again = (await relay.http.post(path, params=MINE, json={"settled_by": "Baskasi"})).json()
    assert first == again
    assert first["settled_by"] == "A. Yetkili"
    assert [item["message_id"] for item in await listed(relay, waiting="true")] == [newest["message_id"]]
    states = {str(row.message_id): row.state for row in await relay.letters()}
    assert states == {
        newest["message_id"]: "quarantined", second["message_id"]: "archived", oldest["message_id"]: "archived",
    }  # fmt: skip
    await relay.sweep()
    assert relay.registry.get_sample_value("kepgw_verification_mails_waiting", {"recognised_by": "sender"}) == 1
    assert await relay.ledger_imbalance() == 0


async def test_other_institutions_see_nothing_of_it(relay: Inbound) -> None:
    await relay.take_in(mail_of_detsis(), uid=1)
    (mail,) = await listed(relay)
    one = f"/verification-mails/{mail['message_id']}"
    assert (await relay.http.get("/verification-mails", params=STRANGER)).json() == {"mails": []}
    assert (await relay.http.get(one, params=STRANGER)).status_code == 404
    refused = await relay.http.post(f"{one}/settlement", params=STRANGER, json={"settled_by": "x"})
    assert refused.status_code == 404
    assert (await listed(relay))[0]["settled_at"] is None


async def test_the_directory_is_told_until_it_has_heard(
    relay: Inbound, told: tuple[list[VerificationNotice], str], clock: FixedClock
) -> None:
    notices, _url = told
    await relay.take_in(mail_of_detsis(), uid=1)
    await relay.take_in(mail_of_detsis(sender="baska@hs01.kep.tr", number=2), uid=2)
    for _ in range(2):
        await relay.sweep()
        clock.moment += timedelta(minutes=1)
    (mail,) = [item for item in await listed(relay) if item["recognised_by"] == "sender"]
    assert [(str(item.message_id), item.kep_address) for item in notices] == [(mail["message_id"], "a@hs98.kep.tr")]


async def test_a_forged_one_is_told_to_nobody(
    relay: Inbound, told: tuple[list[VerificationNotice], str], signer: ScriptedSigner, clock: FixedClock
) -> None:
    signer.conclusions[SignatureFormat.SMIME] = Conclusion.FAILED
    await relay.take_in(mail_of_detsis(), uid=1)
    signer.away = True
    await relay.take_in(mail_of_detsis(number=2), uid=2)
    await relay.sweep()
    assert told[0] == []
    signer.away = False
    signer.conclusions.clear()
    clock.moment += timedelta(minutes=1)
    await relay.sweep()
    await relay.run_jobs()
    clock.moment += timedelta(minutes=1)
    await relay.sweep()
    assert [str(item.message_id) for item in told[0]] == [(await listed(relay))[0]["message_id"]]


async def test_a_mail_that_could_not_be_told_of_is_told_later(
    database_url: str, tmp_path: Path, clock: FixedClock, signer_and_url: tuple[ScriptedSigner, str]
) -> None:
    notices: list[VerificationNotice] = []
    away = True

    async def announce(notice: VerificationNotice) -> None:
        if away:
            raise DomainError(ErrorCode.DIRECTORY_UNAVAILABLE, "away")
        notices.append(notice)

    async with running_inbound(
        database_url, tmp_path, signer_url=signer_and_url[1], clock=clock, detsis_verification_senders=[DETSIS]
    ) as relay:
        await relay.put_mailbox("a-1", SENDER_NO, "a@hs98.kep.tr", imap={"host": "127.0.0.1", "port": 1})
        await relay.take_in(mail_of_detsis(), uid=1)
        news = VerificationAnnouncements(relay.deps.database, announce, clock)
        await news.sweep()
        away = False
        await news.sweep()
        assert notices == []
        clock.moment += timedelta(minutes=1)
        await news.sweep()
        await news.sweep()
        assert len(notices) == 1


async def intake(relay: Inbound, address: str) -> dict[str, Any]:
    answer = await relay.http.get("/intake", params=MINE | {"address": address})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_intake_says_what_is_missing_before_others_send(relay: Inbound, clock: FixedClock) -> None:
    unknown = await intake(relay, "yok@hs98.kep.tr")
    assert (unknown["address_allowed"], unknown["mailbox_id"]) == (True, None)
    assert [item["id"] for item in unknown["checks"] if not item["ok"]] == ["mailbox"]
    assert (await intake(relay, "a@gmail.com"))["address_allowed"] is False
    unread = await intake(relay, "A@hs98.kep.tr")
    assert [item["id"] for item in unread["checks"] if not item["ok"]] == ["polling"]
    await relay.execute("UPDATE kep_relay.mailboxes SET last_successful_poll_at = :now", now=clock.now())
    assert all(item["ok"] for item in (await intake(relay, "a@hs98.kep.tr"))["checks"])
    clock.moment += timedelta(hours=1)
    assert not all(item["ok"] for item in (await intake(relay, "a@hs98.kep.tr"))["checks"])
