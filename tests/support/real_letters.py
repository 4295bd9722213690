"""Incoming letters that a real signer finds good: signed mails, sealed packages, envelopes for the institution's key."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from services.signer.app import build as build_signer
from services.signer.settings import Settings as SignerSettings
from shared.clients.signer import SignerClient
from shared.clock import FixedClock
from shared.eyp import DegreeChange, SecurityCode
from tests.support.gateway import TOKENS, serving
from tests.support.inbound import SENDER_NO
from tests.support.mails import dispatch, letter
from tests.support.neighbours import Line
from tests.support.pki import PASSWORD, Holder, Pki
from tests.unit.eyp import letters, wrappers
from tests.unit.signer.enveloping import Recipients
from tests.unit.signer.signing import sign

DECRYPTION_KEY = "decrypt-1"


@dataclass
class RealSigner:
    """signer on a line that tests may cut, or lead to one that holds other keys."""

    url: str
    line: Line
    pki: Pki
    recipients: Recipients
    clock: FixedClock
    directory: Path
    stack: AsyncExitStack

    async def hold(self, *holders: Holder, institution_no: int = SENDER_NO) -> None:
        """From now on the institution's decryption keys are these."""
        keys = []
        for number, holder in enumerate(holders):
            holder.write_pkcs12(self.directory / f"{number}.p12")
            keys.append(
                {"key_id": f"decrypt-{number}", "institution_no": institution_no, "purposes": ["package-decryption"],
                 "pkcs12": f"{number}.p12", "password_file": "password"}
            )  # fmt: skip
        (self.directory / "keys.json").write_text(json.dumps(keys))
        settings = SignerSettings.model_validate(
            {"port": 0, "ops_port": 0, "service_tokens": TOKENS, "trust_directory": self.directory / "trust",
             "revocation_directory": self.directory / "lists", "keys_file": self.directory / "keys.json"}
        )  # fmt: skip
        service = await build_signer(settings, self.clock)
        await self.stack.enter_async_context(service.resources)
        self.line.app = service.app

    async def encrypted(self, content: bytes, *holders: Holder, outside: bytes | None = None) -> bytes:
        """An .eyps with ``content`` in its envelope; ``outside``: the letter whose manifest stands around it."""
        client = SignerClient(self.url, SecretStr(TOKENS["kep_relay"]))
        try:
            certificates = [holder.der for holder in holders or (self.recipients.rsa,)]
            async with client.encrypt(content, certificates) as stream:
                envelope = b"".join([block async for block in stream])
        finally:
            await client.aclose()
        return wrappers.encrypted(outside or content, envelope=envelope)

    def package(self, **changes: Any) -> bytes:
        """A letter with a real signature and a real seal."""
        started = letters.draft(**changes)
        signed = started.with_signature(sign(self.pki.signer, started.digest_to_be_signed()))
        unsealed = signed.with_final_metadata(letters.FINAL, created=letters.MOMENT)
        return unsealed.with_seal(sign(self.pki.sealer, unsealed.seal_to_be_signed())).to_bytes()

    def update(self, original: bytes, degree: SecurityCode, *, forged: bool = False) -> bytes:
        """An update that gives ``original`` another degree; ``forged``: its seal is nobody's."""
        change = DegreeChange(**{**vars(wrappers.CHANGE), "new_degree": degree})
        if forged:
            return wrappers.update(original, change)
        unsealed = wrappers.unsealed(original, change)
        return unsealed.with_seal(sign(self.pki.sealer, unsealed.seal_to_be_signed())).to_bytes()

    def mail(self, *packages: tuple[str, bytes], subject: str = "Konu", message_id: str = "<letter@a>") -> bytes:
        """A KEP message with these attachments, signed by its sender and by the provider."""
        original = letter(
            *packages, subject=subject, message_id=message_id,
            sign=lambda content: sign(self.pki.signer, content, attached=False),
        )  # fmt: skip
        return dispatch(original, sign=lambda content: sign(self.pki.transaction, content, attached=False))


@asynccontextmanager
async def real_signer(
    pki: Pki, recipients: Recipients, directory: Path, clock: FixedClock, *, keys: Sequence[Holder] = ()
) -> AsyncIterator[RealSigner]:
    """signer with the anchors and lists of ``pki`` and these decryption keys of ``SENDER_NO``."""
    lists = directory / "lists"
    lists.mkdir(parents=True)
    for number, encoded in enumerate(pki.crls(clock.moment, hours=24 * 30)):
        (lists / f"{number}.crl").write_bytes(encoded)
    (directory / "password").write_bytes(PASSWORD)
    pki.write_trust(directory / "trust")
    async with AsyncExitStack() as stack:
        line = Line(_nothing)
        url = await stack.enter_async_context(serving(line))
        signer = RealSigner(url, line, pki, recipients, clock, directory, stack)
        await signer.hold(*keys)
        yield signer


async def _nothing(_scope: Any, _receive: Any, _send: Any) -> None:
    raise AssertionError("signer is not there yet")
