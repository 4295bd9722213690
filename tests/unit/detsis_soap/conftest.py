from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from services.detsis_sync.soap.account import DetsisAccount, DetsisHttpSettings
from services.detsis_sync.soap.client import DetsisClient
from services.sandbox import world
from services.sandbox.detsis.app import PATH, build_detsis_app
from services.sandbox.detsis.register import PinnedUnit, Register, generate_register
from services.sandbox.faults import Fault, FaultBoard
from shared.clock import FixedClock
from shared.domain.identifiers import DetsisNumber
from tests.support.ports import listening_socket

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
A, A_UNIT, B, SILENT = (DetsisNumber(number) for number in (10000001, 10000011, 10000002, 10000003))
PASSWORD = "Gizli&<Parola>-çğıİ"
PINNED = (
    PinnedUnit(A, "ÖRNEK A KURUMU BAŞKANLIĞI", kep_address="Kurum.A@HS91.kep.example"),
    PinnedUnit(A_UNIT, "YAZI İŞLERİ DAİRESİ BAŞKANLIĞI", parent_no=A),
    PinnedUnit(
        B, "ÇINARALTI ÜNİVERSİTESİ REKTÖRLÜĞÜ", kep_address="kurum.b@hs92.kep.example", encryption_certificate=b"DER"
    ),
    PinnedUnit(SILENT, "IŞIKSIZ VALİLİĞİ", active=False, operating=False),
)


@dataclass(frozen=True)
class Authority:
    """A throw-away CA with one server certificate for 127.0.0.1."""

    ca_file: Path
    key_file: Path
    certificate_file: Path


def make_authority(directory: Path) -> Authority:
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Throw-away CA")])
    start = datetime(2020, 1, 1, tzinfo=UTC)

    def certificate(subject: x509.Name, public_key: ec.EllipticCurvePublicKey, *, ca: bool) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca_name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + timedelta(days=36500))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        )
        if ca:
            usage = x509.KeyUsage(
                digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False,
                key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
            )  # fmt: skip
            builder = builder.add_extension(usage, critical=True)
        else:
            names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(ca_key, hashes.SHA256())

    pem = serialization.Encoding.PEM
    found = Authority(directory / "ca.pem", directory / "key.pem", directory / "server.pem")
    found.ca_file.write_bytes(certificate(ca_name, ca_key.public_key(), ca=True).public_bytes(pem))
    server_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    found.certificate_file.write_bytes(certificate(server_name, key.public_key(), ca=False).public_bytes(pem))
    found.key_file.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return found


@contextmanager
def served(app: Any, authority: Authority) -> Iterator[int]:
    """Serve ``app`` over TLS in a thread of its own; gives the port."""
    listener = listening_socket()  # who calls before the server is up waits for it
    config = uvicorn.Config(
        app,
        ssl_certfile=str(authority.certificate_file),
        ssl_keyfile=str(authority.key_file),
        log_level="critical",
        lifespan="off",
        timeout_graceful_shutdown=1,
        timeout_keep_alive=30,
    )
    server = uvicorn.Server(config)
    thread = Thread(target=lambda: asyncio.run(server.serve([listener])), daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()


@dataclass
class Detsis:
    """The running look-alike and everything needed to call it."""

    register: Register
    faults: FaultBoard
    authority: Authority
    port: int
    settings: DetsisHttpSettings
    account: DetsisAccount
    clock: FixedClock = field(default_factory=lambda: FixedClock(NOW))

    @asynccontextmanager
    async def client(self, *, password: str = PASSWORD, **settings: Any) -> AsyncIterator[DetsisClient]:
        account = replace(self.account, password=SecretStr(password))
        async with DetsisClient(account, replace(self.settings, **settings), self.clock) as client:
            yield client

    def order(self, name: str, **order: Any) -> None:
        self.faults.order(Fault(name, **order))


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def _running(authority: Authority) -> Iterator[Detsis]:
    register = generate_register(2000, 7, PINNED)
    faults = FaultBoard()
    accounts = (world.DetsisAccount(A, "10000001", PASSWORD),)
    with served(build_detsis_app(register, accounts, faults, FixedClock(NOW)), authority) as port:
        yield Detsis(
            register=register,
            faults=faults,
            authority=authority,
            port=port,
            settings=DetsisHttpSettings(
                ca_file=authority.ca_file,
                connect_seconds=5,
                call_seconds=10,
                bulk_idle_seconds=10,
                bulk_total_seconds=30,
            ),
            account=DetsisAccount(A, "10000001", SecretStr(PASSWORD), f"https://localhost:{port}{PATH}"),
        )


@pytest.fixture
def detsis(_running: Detsis) -> Iterator[Detsis]:
    yield _running
    _running.faults.clear()
