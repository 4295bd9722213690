"""A document system that writes packages over REST, with a signer behind the gateway that holds a sealing key."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from services.signer.app import build as build_signer
from services.signer.settings import Settings as SignerSettings
from shared.clock import FixedClock
from tests.support.gateway import TOKENS, RunningGateway, serving
from tests.support.pki import NOW, PASSWORD, Pki
from tests.unit.signer.signing import signed_data, signer_info

SENDER, RECIPIENT, OTHER = 10000001, 10000002, 10000003
ANNEX = "11111111-2222-4333-8444-555555555555"
UNSIGNED_ANNEX = "11111111-2222-4333-8444-666666666666"
COVER = b"%PDF-1.4 a letter"
FILES = {ANNEX: b"annex one", UNSIGNED_ANNEX: b"a;b\n1;2\n"}
FINAL = {
    "document_no": "E-10000001-000-1",
    "date": "2026-03-02T09:30:00Z",
    "signatories": [{"person": {"first_name": "Deneme", "last_name": "İMZACI", "duty": "Başkan"}}],
}
UPDATE = {
    "subject": "Gizlilik derecesi değişikliği", "new_degree": "restricted", "changed_at": "2026-04-01T09:30:00Z",
    "explanation": "Derece verildi", "decision_document_no": "E-10000001-000-77",
    "decision_document_id": "77777777-2222-4333-8444-000000000001",
}  # fmt: skip


def letter(**changes: Any) -> dict[str, Any]:
    """Metadata of a letter with a signed and an unsigned annex, to one recipient."""
    return {
        "subject": "Ğüzel bir deneme",
        "security_code": "unclassified",
        "originator": {"kind": "organisation", "detsis_no": SENDER, "name": "Örnek Belediyesi"},
        "distributions": [to(RECIPIENT)],
        "cover_letter": {"file_name": "Üst yazı.pdf"},
        "verification_address": "https://dogrulama.example.org/belge",
        "annexes": [
            {"kind": "file", "id": ANNEX, "file_name": "Çizim (1).txt", "media_type": "text/plain", "name": "Çizim"},
            {"kind": "file", "id": UNSIGNED_ANNEX, "file_name": "liste.csv", "media_type": "text/csv",
             "name": "Liste", "signed": False},
        ],
    } | changes  # fmt: skip


def older_letter(**changes: Any) -> dict[str, Any]:
    """Metadata as 1.3 has it."""
    return letter(verification_address=None, document_no="123-4", date="2026-03-02T09:30:00Z") | changes


def to(number: int, *withheld: str) -> dict[str, Any]:
    """A recipient, and the annexes it does not get."""
    recipient = {"kind": "organisation", "detsis_no": number, "name": f"Kurum {number}"}
    return {"recipient": recipient, "withheld_annexes": list(withheld)}


def signed_by(pki: Pki, content: bytes, *serials: int, sealing: bool = False) -> bytes:
    """An attached signature of as many signers as ``serials`` names; the same serial gives the same one."""
    holder = pki.sealer if sealing else pki.signer
    infos = [signer_info(holder, content, digest=("sha256", "sha384", "sha512")[number]) for number in serials or (0,)]
    return signed_data(infos, list(holder.chain_der), content)


@dataclass
class Writer:
    """One document system with its key."""

    gateway: RunningGateway
    key: str
    pki: Pki

    async def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"X-Api-Key": self.key, **options.pop("headers", {})}
        return await self.gateway.http.request(method, f"/v1{path}", headers=headers, **options)

    async def begin(self, metadata: dict[str, Any] | None = None, *, key: str | None = None, **more: Any) -> Any:
        body = {"version": "2.0", "metadata": letter() if metadata is None else metadata} | more
        headers = {"Idempotency-Key": key or str(uuid4())}
        return done(await self.call("POST", "/packages", json=body, headers=headers), 201)

    async def begin_update(self, original: bytes, *, key: str | None = None, **changes: Any) -> httpx.Response:
        files = {
            "message": (None, json.dumps(UPDATE | changes), "application/json"),
            "package": ("original.eyp", original),
        }
        headers = {"Idempotency-Key": key or str(uuid4())}
        return await self.call("POST", "/package-updates", files=files, headers=headers)

    async def read(self, package: str) -> Any:
        return done(await self.call("GET", f"/packages/{package}"))

    async def put(self, package: str, what: str, content: bytes, **headers: str) -> httpx.Response:
        return await self.call("PUT", f"/packages/{package}/{what}", content=content, headers=headers)

    async def fill(self, package: str, annexes: dict[str, bytes] | None = None) -> Any:
        """Upload the cover letter and the annexes."""
        answer = await self.put(package, "cover-letter", COVER)
        for annex, content in (FILES if annexes is None else annexes).items():
            done(answer)
            answer = await self.put(package, f"annexes/{annex}/content", content)
        return done(answer)

    async def to_be_signed(self, package: str, step: str) -> bytes:
        answer = await self.call("GET", f"/packages/{package}/to-be-signed", params={"step": step})
        assert answer.status_code == 200, answer.text
        return answer.content

    async def sign(self, package: str, step: str = "signature", *serials: int) -> Any:
        """Sign as a person with a smart card does."""
        cms = signed_by(self.pki, await self.to_be_signed(package, step), *serials, sealing=step == "seal")
        return done(await self.put(package, step, cms))

    async def number(self, package: str, **changes: Any) -> Any:
        final = {name: value for name, value in (FINAL | changes).items() if value is not None}
        return done(await self.call("PUT", f"/packages/{package}/final-metadata", json=final))

    async def seal(self, package: str, **body: Any) -> httpx.Response:
        return await self.call("POST", f"/packages/{package}/seal", json=body)

    async def unsealed(self, metadata: dict[str, Any] | None = None, **more: Any) -> str:
        """A letter that only waits for its seal."""
        package = str((await self.begin(metadata, **more))["package_id"])
        await self.fill(package)
        await self.sign(package)
        older = more.get("version") == "1.3"
        await self.number(package, **({"document_no": None, "date": None} if older else {}))
        return package

    async def finished(self, metadata: dict[str, Any] | None = None, **more: Any) -> str:
        package = await self.unsealed(metadata, **more)
        done(await self.seal(package))
        return package

    async def content(self, package: str, **parameters: str) -> bytes:
        answer = await self.call("GET", f"/packages/{package}/content", params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.content


def done(answer: httpx.Response, status: int = 200) -> Any:
    """The body of an answer with that status."""
    assert answer.status_code == status, answer.text
    return answer.json()


def refused(answer: httpx.Response) -> tuple[int, str]:
    """Status and problem code of an answer."""
    return answer.status_code, answer.json()["code"]


@asynccontextmanager
async def sealing_signer(pki: Pki, directory: Path, *key_ids: str) -> AsyncIterator[str]:
    """A signer whose keys seal for the sending institution; its URL."""
    lists = directory / "lists"
    lists.mkdir()
    for number, encoded in enumerate(pki.crls()):
        (lists / f"{number}.crl").write_bytes(encoded)
    (directory / "password").write_bytes(PASSWORD)
    pki.sealer.write_pkcs12(directory / "seal.p12")
    keys = [
        {"key_id": key_id, "institution_no": SENDER, "purposes": ["package-seal"], "pkcs12": "seal.p12",
         "password_file": "password"}
        for key_id in key_ids
    ]  # fmt: skip
    (directory / "keys.json").write_text(json.dumps(keys))
    settings = SignerSettings.model_validate(
        {"port": 0, "ops_port": 0, "service_tokens": TOKENS,
         "trust_directory": pki.write_trust(directory / "trust"), "revocation_directory": lists,
         "keys_file": directory / "keys.json"}
    )  # fmt: skip
    service = await build_signer(settings, FixedClock(NOW))
    async with service.resources, serving(service.app) as url:
        yield url
