"""The driver ``eyws`` on a real database, against the sandbox's SOAP service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from prometheus_client import Gauge
from pydantic import SecretStr

from services.kep_relay.drivers.eyws.codes import Codes
from services.kep_relay.drivers.eyws.desk import EywsDesk
from services.kep_relay.drivers.eyws.driver import EywsDriver
from services.kep_relay.drivers.eyws.numbers import NumberBook
from services.kep_relay.drivers.eyws.transport import EywsTimes, EywsTransport
from services.kep_relay.drivers.protocol import Envelope, MailboxAccount, SubmissionOutcome
from services.kep_relay.mailboxes import AddressBook, Mailboxes
from shared.clock import Clock, SystemClock
from shared.contracts.mailboxes import EywsService, MailboxConfiguration
from shared.db.session import Database
from shared.domain.identifiers import KepAddress
from shared.secrets import SecretBox
from tests.support.eyws_provider import A, B, C, EywsProviders, WrittenLetter
from tests.support.schemas import bring_up

NUMBERS = {A: 10000001, B: 10000002, C: 10000003}
IDS = {A: "a-1", B: "b-1", C: "c-1"}
TIMES = EywsTimes(connect=5, call=20, transfer=20, turn=20, closed=0.2)


def soap_configuration(providers: EywsProviders, address: str, **changes: Any) -> MailboxConfiguration:
    """A mailbox that is reached over the service; ``changes`` named ``eyws_...`` go into that part."""
    account = providers.accounts[address]
    service = {
        "url": account.url, "ca_file": str(account.ca_file), "agent_no": account.agent_no,
        "second_password": account.second_password,
    }  # fmt: skip
    service |= {name[5:]: value for name, value in changes.items() if name.startswith("eyws_")}
    fields: dict[str, Any] = {
        "institution_no": NUMBERS[address], "address": address, "driver": "eyws", "password": account.password,
        "eyws": EywsService.model_validate(service), "signing_key_id": "key", "poll_interval_seconds": 0.2,
    }  # fmt: skip
    fields |= {name: value for name, value in changes.items() if not name.startswith("eyws_")}
    return MailboxConfiguration.model_validate(fields)


@dataclass
class SoapDesk:
    """The driver and the accounts it is used for. ``security_ids`` are by mailbox."""

    driver: EywsDriver
    providers: EywsProviders
    database: Database
    mailboxes: Mailboxes
    security_ids: dict[str, SecretStr] = field(default_factory=dict)

    async def account(self, address: str = A, **changes: Any) -> MailboxAccount:
        """Configured through the database, as the relay does."""
        configuration = soap_configuration(self.providers, address, **changes)
        async with self.database.unit_of_work() as work:
            row, _ = await self.mailboxes.put(work, IDS[address], configuration)
            return self.mailboxes.account(row)

    async def submit(self, mailbox: MailboxAccount, letter: WrittenLetter, *, recipient: str = B) -> SubmissionOutcome:
        envelope = Envelope(mailbox.address, KepAddress(recipient), letter.message_id)
        return await self.driver.submit(mailbox, envelope, pieces(letter.raw), size=len(letter.raw))


async def pieces(content: bytes, size: int = 10_000) -> AsyncIterator[bytes]:
    """As the blob store gives a message."""
    for start in range(0, len(content), size):
        yield content[start : start + size]


def soap_driver(
    database: Database,
    *,
    clock: Clock | None = None,
    security_ids: Mapping[str, SecretStr] | None = None,
    codes: Path | None = None,
    max_file_bytes: int = 8_000_000,
    times: EywsTimes = TIMES,
    differences: Gauge | None = None,
) -> EywsDriver:
    """The driver with limits fit for tests."""
    clock, ids = clock or SystemClock(), {} if security_ids is None else security_ids

    async def security_id(mailbox: MailboxAccount) -> SecretStr | None:
        return ids.get(mailbox.mailbox_id)

    transport = EywsTransport(times, max_file_bytes=max_file_bytes, codes=Codes.load(codes))
    return EywsDriver(EywsDesk(transport, clock), NumberBook(database, clock), security_id, differences)


@asynccontextmanager
async def soap_desk(database_url: str, providers: EywsProviders, **options: Any) -> AsyncIterator[SoapDesk]:
    """A database with kep_relay's schema, and the driver on it."""
    await asyncio.to_thread(bring_up, database_url, "kep_relay")
    database, ids = Database(database_url, schema="kep_relay"), dict[str, SecretStr]()
    mailboxes = Mailboxes(
        SecretBox(SecretStr(Fernet.generate_key().decode())), AddressBook(["hs[0-9][0-9].kep.tr"]), SystemClock()
    )
    driver = soap_driver(database, security_ids=ids, **options)
    try:
        yield SoapDesk(driver, providers, database, mailboxes, ids)
    finally:
        await driver.aclose()
        await database.aclose()
