"""Ground that Postfix and Dovecot share in the tests: may they run here, where, and with which certificate."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.support.pki import make_root, usage

HOST = "127.0.0.1"
MAIL_USER = "mail"
"""Owns the mailboxes. Every Debian has it."""
_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))


def program(name: str) -> str:
    """Path of an installed program; skips the test, with the reason, where the servers cannot run."""
    found = shutil.which(name, path=_PATH)
    if found is None:
        pytest.skip(f"{name} is not installed (make test installs it where it is root on Debian)")
    if os.geteuid() != 0:
        pytest.skip(f"{name} changes to other users, which only root may do")
    return found


@dataclass(frozen=True)
class PeerGround:
    """A directory that both servers' users can enter, with a certificate for 127.0.0.1."""

    directory: Path
    certificate: Path
    key: Path
    ca_file: Path

    @property
    def mail(self) -> Path:
        """Where the mailboxes are, one Maildir an account."""
        return self.directory / "mail"

    @classmethod
    def make(cls) -> PeerGround:
        # Short and outside pytest's own directory: that one is closed to other users, and UNIX sockets need short paths.
        directory = Path(tempfile.mkdtemp(prefix="kepgw-peer-", dir="/tmp"))
        directory.chmod(0o755)
        now = datetime.now(UTC)  # noqa: TID251 - a certificate for servers that go by the machine's clock
        root = make_root("Test mail server root", now=now)
        server = root.issue(
            "mail.hs01.kep.tr",
            now=now,
            key_usage=usage(digital_signature=True),
            extensions=(
                (x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(HOST))]), False),
                (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
            ),
        )
        ground = cls(directory, directory / "server.pem", directory / "server.key", directory / "ca.pem")
        ground.certificate.write_bytes(server.pem)
        ground.key.write_bytes(server.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        ground.key.chmod(0o600)
        ground.ca_file.write_bytes(root.certificate.public_bytes(Encoding.PEM))
        ground.mail.mkdir()
        owner = pwd.getpwnam(MAIL_USER)
        os.chown(ground.mail, owner.pw_uid, owner.pw_gid)
        return ground

    def remove(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)


@asynccontextmanager
async def running_server(command: Sequence[str], log_file: Path, ports: Sequence[int]) -> AsyncIterator[None]:
    """Run a server in the foreground until the block ends; fails with its log if it does not come up.

    ``command`` must become the server itself, not start it.
    """
    with log_file.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        for port in ports:
            await _until_it_listens(process, port, log_file)
        yield
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 10)
            except TimeoutError:
                process.kill()
                await process.wait()
        # What the server left running ends as well: its processes share one group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


async def _until_it_listens(process: asyncio.subprocess.Process, port: int, log_file: Path) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(20):
            while process.returncode is None:
                with contextlib.suppress(OSError):
                    _reader, writer = await asyncio.open_connection(HOST, port)
                    writer.close()
                    return
                await asyncio.sleep(0.05)
    pytest.fail(f"nothing listens on port {port}:\n{log_file.read_text(errors='replace')[-4000:]}")
