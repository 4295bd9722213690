"""Failure cases of kep.md section 7 against Postfix and Dovecot, as far as mail alone shows them."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from services.kep_relay.drivers.protocol import Accepted
from services.kep_relay.drivers.smtp_imap.imap_link import ImapLink
from services.kep_relay.drivers.smtp_imap.tls import client_context
from services.kep_relay.inbound.reading import read_mail
from shared.errors import ErrorCode
from tests.peers.conftest import MailServers
from tests.peers.test_mail_servers import LIMIT, arrived, code_of, letter, new_driver, raw, submit
from tests.support.smtp_server import tls_files_content

pytestmark = [
    pytest.mark.peers,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(120),
]


async def test_case_08_deleting_takes_one_mail_and_nothing_that_others_marked(servers: MailServers) -> None:
    r"""UID EXPUNGE: what somebody else marked as \Deleted stays, and a mail that is gone is no error."""
    account = servers.account()
    async with new_driver() as driver:
        for _ in range(3):
            assert isinstance(await submit(driver, account, await letter(account, account.address)), Accepted)
        async with driver.open_inbox(account) as inbox:
            first, marked, last = await arrived(inbox, 3)
            link = await _link(servers, account.username)
            await link.run(link.client.select("INBOX"), "SELECT")
            await link.run(link.client.uid("store", str(marked), "+FLAGS", r"(\Deleted)"), "STORE")
            await inbox.delete(first)
            await inbox.delete(first)
            assert list(await inbox.list_new(0)) == [marked, last]
            assert await inbox.fetch(last, limit=LIMIT)
            await link.log_out()


async def _link(servers: MailServers, username: str) -> ImapLink:
    server = servers.dovecot.imaps
    return await ImapLink.connect(
        server, await client_context(server), username=username, password=servers.password, connect_seconds=20,
        command_seconds=20,
    )  # fmt: skip


async def test_case_24_file_of_authorities_counts_when_it_is_replaced(servers: MailServers, tmp_path: Path) -> None:
    """The same driver, the same configuration: refused before, taken after, over IMAP and SMTP."""
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(tls_files_content()[0])
    imap, smtp = (
        server.model_copy(update={"ca_file": str(trusted)})
        for server in (servers.dovecot.imaps, servers.postfix.submission)
    )
    account = servers.account(imap=imap, smtp=smtp)
    async with new_driver() as driver:

        async def opened() -> None:
            async with driver.open_inbox(account):
                pass

        assert await code_of(opened()) is ErrorCode.PROVIDER_UNAVAILABLE
        assert not isinstance(await submit(driver, account, await letter(account, account.address)), Accepted)
        assert servers.dovecot.imaps.ca_file is not None
        shutil.copy(servers.dovecot.imaps.ca_file, trusted)
        assert isinstance(await submit(driver, account, await letter(account, account.address)), Accepted)
        async with driver.open_inbox(account) as inbox:
            await arrived(inbox, 1)


async def test_case_29_broken_mime_comes_through_and_is_read(servers: MailServers) -> None:
    """Bad charsets, 8-bit text, missing and wrong boundaries: delivered, fetched and read without a fault."""
    account = servers.account()
    bodies = [
        "Şğıİ KONU\r\n".encode("windows-1254"),
        b"--x\r\n\r\nno closing boundary\r\n",
        b"=?utf-8?b?QUJD\r\n\r\n--\r\n----\r\n",
        b"begin 644 winmail.dat\r\n#>)\\^\r\n`\r\nend\r\n",
    ]
    async with new_driver() as driver:
        for body in bodies:
            assert isinstance(await submit(driver, account, raw(account, account.address, body)), Accepted)
        async with driver.open_inbox(account) as inbox:
            found = [await inbox.fetch(uid, limit=LIMIT) for uid in await arrived(inbox, len(bodies))]
    assert sorted(mail.partition(b"\r\n\r\n")[2] for mail in found) == sorted(bodies)
    assert {read_mail(mail).kind.value for mail in found} == {"other"}


async def test_case_39_two_sessions_on_one_account(servers: MailServers) -> None:
    """Two readers see the same numbers and bytes, and what both mark as seen is seen: nothing is doubled by it."""
    account = servers.account()
    async with new_driver() as driver, AsyncExitStack() as stack:
        for _ in range(5):
            assert isinstance(await submit(driver, account, await letter(account, account.address)), Accepted)
        inboxes = [await stack.enter_async_context(driver.open_inbox(account)) for _ in range(2)]
        listed = [await arrived(inbox, 5) for inbox in inboxes]
        assert listed[0] == listed[1]
        bytes_of = [[await inbox.fetch(uid, limit=LIMIT) for uid in listed[0]] for inbox in inboxes]
        assert bytes_of[0] == bytes_of[1]
        await asyncio.gather(*(inbox.mark_seen(uid) for inbox, uid in zip(inboxes, listed[0][:2], strict=True)))
        for inbox in inboxes:
            await inbox.mark_seen(listed[0][0])
            assert list(await inbox.list_new(0)) == listed[0]
