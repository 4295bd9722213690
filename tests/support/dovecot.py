"""A Dovecot of one test's own: configuration, mailboxes and run directory in a temporary directory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.kep_relay.drivers.protocol import MailboxAccount
from shared.contracts.mailboxes import ServerAddress
from tests.support.peers import HOST, MAIL_USER, PeerGround, program, running_server
from tests.support.ports import free_port


@dataclass(frozen=True)
class Dovecot:
    """A running server. Accounts log in by their address."""

    ground: PeerGround
    imaps: ServerAddress
    imap_starttls: ServerAddress
    auth_socket: Path
    """Where Postfix asks whether a login is right."""
    configuration: Path

    async def doveadm(self, *arguments: str) -> str:
        """Run an administrator's command; fails the test if it fails."""
        process = await asyncio.create_subprocess_exec(
            program("doveadm"), "-c", str(self.configuration), *arguments,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, errors = await process.communicate()
        if process.returncode != 0:
            pytest.fail(f"doveadm {' '.join(arguments)}: {errors.decode(errors='replace')}")
        return output.decode()

    async def save(self, account: MailboxAccount, content: bytes, folder: str = "INBOX") -> None:
        """Put a mail into a folder, as a delivery agent would."""
        process = await asyncio.create_subprocess_exec(
            program("doveadm"), "-c", str(self.configuration), "save", "-u", account.address, "-m", folder,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        _output, errors = await process.communicate(content)
        if process.returncode != 0:
            pytest.fail(f"doveadm save: {errors.decode(errors='replace')}")

    async def flags(self, account: MailboxAccount, folder: str = "INBOX") -> dict[int, set[str]]:
        """Flags of the folder's mails, by UID."""
        lines = await self.doveadm("-f", "tab", "fetch", "-u", account.address, "uid flags", "mailbox", folder, "all")
        rows = [line.partition("\t") for line in lines.splitlines()[1:]]
        return {int(uid): set(flags.split()) for uid, _tab, flags in rows}

    async def kick(self, account: MailboxAccount) -> None:
        """End the account's sessions. That there is none yet is no failure."""
        process = await asyncio.create_subprocess_exec(
            program("doveadm"), "-c", str(self.configuration), "kick", account.address,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        await process.wait()


@asynccontextmanager
async def running_dovecot(ground: PeerGround, passwords: Mapping[str, str]) -> AsyncIterator[Dovecot]:
    """Start it with these accounts; stop it afterwards."""
    binary = program("dovecot")
    imaps, starttls = free_port(), free_port()
    users = ground.directory / "dovecot.users"
    users.write_text("".join(f"{name}:{{PLAIN}}{password}\n" for name, password in passwords.items()))
    users.chmod(0o644)
    run = ground.directory / "run"
    configuration = ground.directory / "dovecot.conf"
    configuration.write_text(_configuration(ground, run, users, imaps, starttls))
    log_file = ground.directory / "dovecot.log"
    async with running_server([binary, "-F", "-c", str(configuration)], log_file, [imaps, starttls]):
        yield Dovecot(
            ground,
            ServerAddress(host=HOST, port=imaps, tls="implicit", ca_file=str(ground.ca_file)),
            ServerAddress(host=HOST, port=starttls, tls="starttls", ca_file=str(ground.ca_file)),
            run / "auth-for-postfix",
            configuration,
        )


def _configuration(ground: PeerGround, run: Path, users: Path, imaps: int, starttls: int) -> str:
    return f"""
base_dir = {run}
state_dir = {ground.directory / "state"}
log_path = {ground.directory / "dovecot.log"}
protocols = imap
listen = {HOST}
ssl = required
ssl_cert = <{ground.certificate}
ssl_key = <{ground.key}
auth_mechanisms = plain login
auth_failure_delay = 0
mail_location = maildir:~/Maildir
mail_uid = {MAIL_USER}
mail_gid = {MAIL_USER}
first_valid_uid = 1
mailbox_list_index = no
passdb {{
  driver = passwd-file
  args = username_format=%u {users}
}}
userdb {{
  driver = static
  args = uid={MAIL_USER} gid={MAIL_USER} home={ground.mail}/%u
}}
namespace inbox {{
  inbox = yes
  separator = .
  mailbox Sent {{
    auto = create
    special_use = \\Sent
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {starttls}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service auth {{
  unix_listener auth-for-postfix {{
    mode = 0666
  }}
}}
"""
