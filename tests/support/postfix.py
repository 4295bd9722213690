"""A Postfix of one test's own: TLS submission with SASL, delivery into Dovecot's mailboxes, and nowhere else."""

from __future__ import annotations

import asyncio
import grp
import os
import pwd
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.contracts.mailboxes import ServerAddress
from tests.support.dovecot import Dovecot
from tests.support.peers import HOST, MAIL_USER, PeerGround, program, running_server
from tests.support.ports import free_port

MASTER = "/usr/lib/postfix/sbin/master"
"""The server itself; ``postfix start`` would leave it on its own."""
SERVICES = """
postlog   unix-dgram n  -       n       -       1       postlogd
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       60      1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
verify    unix  -       -       n       -       1       verify
proxymap  unix  -       -       n       -       -       proxymap
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
virtual   unix  -       n       n       -       -       virtual
anvil     unix  -       -       n       -       1       anvil
"""


@dataclass(frozen=True)
class Postfix:
    """A running server that takes mail from the accounts Dovecot knows, each only from its own address."""

    ground: PeerGround
    submission: ServerAddress
    """TLS from the first byte."""
    submission_starttls: ServerAddress
    log_file: Path


@asynccontextmanager
async def running_postfix(
    ground: PeerGround, dovecot: Dovecot, addresses: Sequence[str], *, size_limit: int = 30_000_000
) -> AsyncIterator[Postfix]:
    """Start it for these addresses; stop it afterwards. A copy of what an account sends goes to its Sent folder."""
    postfix = program("postfix")
    implicit, starttls = free_port(), free_port()
    configuration = ground.directory / "postfix"
    for directory in (configuration, ground.directory / "queue", ground.directory / "data"):
        directory.mkdir()
    owner = pwd.getpwnam("postfix")
    os.chown(ground.directory / "data", owner.pw_uid, grp.getgrnam("postfix").gr_gid)
    (configuration / "mailboxes").write_text(
        "".join(
            f"{address} {address}/Maildir/\n{_sent_copy(address)} {address}/Maildir/.Sent/\n" for address in addresses
        )
    )
    (configuration / "sent").write_text("".join(f"{address} {_sent_copy(address)}\n" for address in addresses))
    (configuration / "senders").write_text("".join(f"{address} {address}\n" for address in addresses))
    (configuration / "main.cf").write_text(_main(ground, configuration, dovecot, addresses, size_limit))
    (configuration / "master.cf").write_text(
        f"{HOST}:{implicit} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes\n"
        f"{HOST}:{starttls} inet n - n - - smtpd{SERVICES}"
    )
    log_file = ground.directory / "postfix.log"
    # "postfix start-fg" would put a shell between us and the server, which dies alone.
    check = await asyncio.create_subprocess_exec(
        postfix, "-c", str(configuration), "check", stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    _output, complaints = await check.communicate()
    if check.returncode != 0:
        pytest.fail(f"Postfix does not like its configuration:\n{complaints.decode(errors='replace')}")
    async with running_server([MASTER, "-c", str(configuration), "-s"], log_file, [implicit, starttls]):
        yield Postfix(
            ground,
            ServerAddress(host=HOST, port=implicit, tls="implicit", ca_file=str(ground.ca_file)),
            ServerAddress(host=HOST, port=starttls, tls="starttls", ca_file=str(ground.ca_file)),
            log_file,
        )


def _sent_copy(address: str) -> str:
    return address.replace("@", "+sent@")


def _main(ground: PeerGround, configuration: Path, dovecot: Dovecot, addresses: Sequence[str], size_limit: int) -> str:
    owner = pwd.getpwnam(MAIL_USER)
    domains = " ".join(sorted({address.partition("@")[2] for address in addresses}))
    return f"""
compatibility_level = 3.6
queue_directory = {ground.directory / "queue"}
data_directory = {ground.directory / "data"}
maillog_file = {ground.directory / "mail.log"}
maillog_file_prefixes = {ground.directory}
myhostname = smtp.hs01.kep.tr
mydestination =
inet_interfaces = {HOST}
inet_protocols = ipv4
smtpd_peername_lookup = no
default_transport = error:mail does not leave this machine
relay_transport = error:mail does not leave this machine
local_transport = error:there are no local users
alias_maps =
virtual_mailbox_domains = {domains}
virtual_mailbox_base = {ground.mail}
virtual_mailbox_maps = texthash:{configuration / "mailboxes"}
virtual_uid_maps = static:{owner.pw_uid}
virtual_gid_maps = static:{owner.pw_gid}
virtual_minimum_uid = 1
virtual_mailbox_limit = 0
sender_bcc_maps = texthash:{configuration / "sent"}
message_size_limit = {size_limit}
smtpd_tls_cert_file = {ground.certificate}
smtpd_tls_key_file = {ground.key}
smtpd_tls_security_level = encrypt
smtpd_tls_auth_only = yes
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {dovecot.auth_socket}
smtpd_sender_login_maps = texthash:{configuration / "senders"}
smtpd_sender_restrictions = reject_sender_login_mismatch
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = reject_unlisted_recipient, permit_sasl_authenticated, reject
"""
