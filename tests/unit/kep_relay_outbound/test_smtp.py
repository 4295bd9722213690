"""Submission against a real SMTP server: every failure is classified by where it happened."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from services.kep_relay.drivers.protocol import (
    Accepted,
    Blocked,
    Envelope,
    MailboxAccount,
    OutcomeUnknown,
    PermanentFailure,
    SubmissionOutcome,
    TemporaryFailure,
)
from services.kep_relay.drivers.smtp_imap.smtp import SmtpSubmission, SmtpTimes, dots_doubled
from shared.contracts.mailboxes import ServerAddress
from shared.domain.identifiers import KepAddress
from shared.errors import DomainError, ErrorCode
from tests.support.smtp_server import SubmissionServer, submission_server

ENVELOPE = Envelope(KepAddress("kurum.a@hs98.kep.tr"), KepAddress("kurum.b@hs99.kep.tr"), "<1@hs98.kep.tr>")
MAIL = b"Subject: x\r\n\r\n.leading dot\r\n..two\r\nnormal\r\n.\r\nend\r\n"


async def content(raw: bytes, size: int = 7) -> AsyncIterator[bytes]:
    for start in range(0, len(raw), size):
        yield raw[start : start + size]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[SubmissionServer]:
    async with submission_server(tmp_path) as running:
        yield running


@pytest.fixture
async def smtp() -> AsyncIterator[SmtpSubmission]:
    submission = SmtpSubmission(SmtpTimes(connect=3, command=3, data=1, idle=20), client_name="client.test")
    yield submission
    await submission.aclose()


def account(server: SubmissionServer, *, password: str = "right", tls="implicit", revision=1) -> MailboxAccount:
    address = ServerAddress(host="127.0.0.1", port=server.port, tls=tls, ca_file=str(server.ca_file))
    return MailboxAccount(
        mailbox_id="a-1", institution_no=10000001, address=KepAddress("kurum.a@hs98.kep.tr"), username="kurum.a",
        password=SecretStr(password), smtp=address, imap=address, inbox_folder="INBOX", sent_folder="Sent",
        revision=revision,
    )  # fmt: skip


async def send(smtp: SmtpSubmission, mailbox: MailboxAccount, raw: bytes = MAIL) -> SubmissionOutcome:
    return await smtp.submit(mailbox, ENVELOPE, content(raw), size=len(raw))


async def test_the_bytes_arrive_unchanged(smtp: SmtpSubmission, server: SubmissionServer) -> None:
    assert await send(smtp, account(server)) == Accepted("250 queued")
    assert server.received == [MAIL]
    assert server.sizes == [str(len(MAIL))]


async def test_starttls(smtp: SmtpSubmission, tmp_path: Path) -> None:
    async with submission_server(tmp_path, tls="starttls") as server:
        assert isinstance(await send(smtp, account(server, tls="starttls")), Accepted)
        assert server.received == [MAIL]


async def test_a_session_is_kept_and_used_again(smtp: SmtpSubmission, server: SubmissionServer) -> None:
    for _ in range(3):
        assert isinstance(await send(smtp, account(server)), Accepted)
    assert (server.connections, server.logins) == (1, 1)
    assert len(server.received) == 3


async def test_parallel_submissions_use_sessions_of_their_own(smtp: SmtpSubmission, server: SubmissionServer) -> None:
    outcomes = await asyncio.gather(*(send(smtp, account(server)) for _ in range(4)))
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert server.connections == 4


async def test_a_kept_session_that_died_is_replaced_unnoticed(smtp: SmtpSubmission, server: SubmissionServer) -> None:
    await send(smtp, account(server))
    server.hang_up_all()
    await asyncio.sleep(0.05)
    assert isinstance(await send(smtp, account(server)), Accepted)
    server.faults.append("at_mail")
    assert isinstance(await send(smtp, account(server)), Accepted)
    assert len(server.received) == 3


async def test_an_idle_session_is_given_up(server: SubmissionServer) -> None:
    smtp = SmtpSubmission(SmtpTimes(idle=0), client_name="client.test")
    await send(smtp, account(server))
    await send(smtp, account(server))
    assert server.connections == 2
    await smtp.aclose()


@pytest.mark.parametrize("fault", ["at_mail", "before_data", "in_data"])
async def test_a_link_that_breaks_before_the_final_dot(smtp: SmtpSubmission, server: SubmissionServer, fault) -> None:
    server.faults.append(fault)

    async def slowly() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield MAIL
            await asyncio.sleep(0.01)

    outcome = await smtp.submit(account(server), ENVELOPE, slowly(), size=20 * len(MAIL))
    assert isinstance(outcome, TemporaryFailure)
    assert (outcome.reason_code, outcome.unreachable) == ("provider-unavailable", True)
    assert server.received == []
    assert isinstance(await send(smtp, account(server)), Accepted)


@pytest.mark.parametrize("fault", ["after_data", "after_data_silent"])
async def test_no_answer_after_the_final_dot_is_unknown(smtp: SmtpSubmission, server: SubmissionServer, fault) -> None:
    server.faults.append(fault)
    assert isinstance(await send(smtp, account(server)), OutcomeUnknown)
    assert server.received == [MAIL]
    assert isinstance(await send(smtp, account(server)), Accepted)
    assert server.connections == 2


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        ("451 try later", TemporaryFailure, "provider-unavailable"),
        ("421 going down", TemporaryFailure, "provider-unavailable"),
        ("550 refused", PermanentFailure, "provider-refused"),
        ("552 too big", PermanentFailure, "too-large"),
        ("250 2.0.0 taken", Accepted, None),
    ],
)
async def test_replies_after_the_final_dot(smtp: SmtpSubmission, server: SubmissionServer, reply, kind, code) -> None:
    server.replies.append(reply)
    outcome = await send(smtp, account(server))
    assert isinstance(outcome, kind)
    assert getattr(outcome, "reason_code", None) == code
    assert isinstance(await send(smtp, account(server)), Accepted)


@pytest.mark.parametrize(
    ("reply", "kind"), [("450 mailbox busy", TemporaryFailure), ("550 no such user", PermanentFailure)]
)
async def test_replies_to_the_recipient(smtp: SmtpSubmission, server: SubmissionServer, reply, kind) -> None:
    server.recipient_replies.append(reply)
    outcome = await send(smtp, account(server))
    assert isinstance(outcome, kind)
    assert outcome.reason == reply
    assert server.received == []


async def test_a_refused_login_is_tried_once_until_the_configuration_changes(
    smtp: SmtpSubmission, server: SubmissionServer
) -> None:
    outcomes = await asyncio.gather(*(send(smtp, account(server, password="wrong")) for _ in range(4)))
    assert all(isinstance(outcome, Blocked) and outcome.stop_account for outcome in outcomes)
    assert "wrong" not in repr(outcomes)
    assert server.logins == 1
    assert isinstance(await send(smtp, account(server, revision=2)), Accepted)
    assert server.logins == 2


async def test_an_older_configuration_is_not_tried_once_there_is_a_newer_one(
    smtp: SmtpSubmission, server: SubmissionServer
) -> None:
    """A letter claimed before the password was corrected must not get the corrected one refused."""
    assert isinstance(await send(smtp, account(server, revision=2)), Accepted)
    server.hang_up_all()
    await asyncio.sleep(0.05)
    late = await send(smtp, account(server, password="wrong", revision=1))
    assert isinstance(late, TemporaryFailure)
    assert not late.unreachable
    assert isinstance(await send(smtp, account(server, revision=2)), Accepted)
    assert server.logins == 2


async def test_a_kept_session_that_is_dismissed_is_replaced_unnoticed(
    smtp: SmtpSubmission, server: SubmissionServer
) -> None:
    await send(smtp, account(server))
    server.sender_replies.append("421 idle for too long")
    assert isinstance(await send(smtp, account(server)), Accepted)
    assert server.connections == 2
    server.sender_replies.append("421 shutting down")
    server.hang_up_all()
    await asyncio.sleep(0.05)
    fresh = await send(smtp, account(server))
    assert isinstance(fresh, TemporaryFailure)
    assert fresh.unreachable


async def test_a_greeting_of_554_says_nothing_about_the_letter(smtp: SmtpSubmission, server: SubmissionServer) -> None:
    server.faults.append("greeting_554")
    outcome = await send(smtp, account(server))
    assert isinstance(outcome, TemporaryFailure)
    assert "554 127.0.0.1: not today" in outcome.reason


async def test_nobody_listens(smtp: SmtpSubmission, server: SubmissionServer) -> None:
    mailbox = account(server)
    closed = ServerAddress(host="127.0.0.1", port=1, ca_file=str(server.ca_file))
    nowhere = MailboxAccount(**{**mailbox.__dict__, "smtp": closed})
    outcome = await send(smtp, nowhere)
    assert isinstance(outcome, TemporaryFailure)
    assert outcome.unreachable
    with pytest.raises(DomainError) as error:
        await smtp.probe(nowhere)
    assert error.value.code == ErrorCode.PROVIDER_UNAVAILABLE
    await smtp.probe(mailbox)


async def test_an_untrusted_certificate_is_never_spoken_to(smtp: SmtpSubmission, server: SubmissionServer) -> None:
    mailbox = account(server)
    system = ServerAddress(host="127.0.0.1", port=server.port)
    outcome = await send(smtp, MailboxAccount(**{**mailbox.__dict__, "smtp": system}))
    assert isinstance(outcome, TemporaryFailure)
    assert "certificate is not trusted" in outcome.reason
    assert server.logins == 0


async def test_an_unusable_file_of_authorities_blocks(smtp: SmtpSubmission, server: SubmissionServer, tmp_path) -> None:
    mailbox = account(server)
    missing = ServerAddress(host="127.0.0.1", port=server.port, ca_file=str(tmp_path / "none.pem"))
    outcome = await send(smtp, MailboxAccount(**{**mailbox.__dict__, "smtp": missing}))
    assert isinstance(outcome, Blocked)
    assert not outcome.stop_account


async def test_content_shorter_than_announced_is_never_completed(
    smtp: SmtpSubmission, server: SubmissionServer
) -> None:
    outcome = await smtp.submit(account(server), ENVELOPE, content(MAIL), size=len(MAIL) + 1)
    assert isinstance(outcome, TemporaryFailure)
    await asyncio.sleep(0.05)
    assert server.received == []


async def test_a_store_that_fails_midway_is_not_a_submission(smtp: SmtpSubmission, server: SubmissionServer) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield MAIL
        raise DomainError(ErrorCode.DURABILITY_UNAVAILABLE, "disk gone")

    outcome = await smtp.submit(account(server), ENVELOPE, broken(), size=10_000)
    assert outcome == TemporaryFailure("durability-unavailable", "disk gone")
    await asyncio.sleep(0.05)
    assert server.received == []


@given(st.lists(st.sampled_from([b".", b"\r\n", b"a", b"..", b"\r", b"\n", b"\r\n."]), max_size=30), st.integers(1, 5))
def test_dots_are_doubled_wherever_the_chunks_are_cut(pieces: list[bytes], size: int) -> None:
    raw = b"".join(pieces)

    async def run() -> bytes:
        return b"".join([chunk async for chunk in dots_doubled(content(raw, size))])

    expected = (b"\r\n" + raw).replace(b"\r\n.", b"\r\n..")[2:]
    assert asyncio.run(run()) == expected
