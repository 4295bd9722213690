"""Institution A's document system writes a letter: in steps over REST, signed outside the gateway, sealed by it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from services.cli.api import Api
from shared.clock import Clock
from shared.eyp.sample import sample_signatory
from shared.eyp.sample_letter import sample_cover_letter_pdf

Reached = Callable[[str, str], None]
SUBJECT = "Örnek yazı: KEP Gateway deneme gönderimi"
_VERIFICATION = "https://dogrulama.example.org"
_ANNEX = "Bu dosya deneme amaçlı bir ektir.\n".encode()


@dataclass(frozen=True)
class Composition:
    """A letter that is yet to be written."""

    sign: Callable[[bytes], bytes]
    """A person of the sending institution signs these bytes with a smart card: attached CAdES (DER)."""
    clock: Clock
    target: Path
    """Where the finished package is put, for whoever wants to send it by hand."""


@dataclass(frozen=True)
class Composed:
    """The finished package, by its id at the gateway and by its name."""

    package_id: str
    filename: str


def compose(
    api: Api, sender: tuple[int, str], recipient: tuple[int, str], letter: Composition, reached: Reached
) -> Composed:
    """Write, sign and seal a letter from and to these institutions (number, name). Raises ``ApiError``."""
    begun = _begin(api, sender[0], recipient[0])
    path = f"/packages/{begun['package_id']}"
    filled = sorted({item["origin"] for item in begun["filled"]})
    reached(
        "A begins a package",
        f"version {begun['version']} ({begun['version_reason']}), {len(begun['filled'])} values from {', '.join(filled)}",
    )
    cover = sample_cover_letter_pdf(
        [
            "T.C.", sender[1], "", f"Konu: {SUBJECT}", "", f"Sayın {recipient[1]},", "",
            "Bu yazı, kurumlar arası e-Yazışma sürecini göstermek için üretilmiş bir örnektir.",
            "Gerçek bir kurumu ya da kişiyi ilgilendirmez.", "", "Ek: Deneme dosyası (1 adet)",
        ],
        title=SUBJECT,
        code=begun["document_id"], address=_VERIFICATION,
    )  # fmt: skip
    _put(api, f"{path}/cover-letter", cover)
    annexes = [item["annex_id"] for item in begun["files"] if item["name"] == "annex"]
    for annex in annexes:
        _put(api, f"{path}/annexes/{annex}/content", _ANNEX)
    reached("A uploads cover letter and annex", f"{len(cover) + len(_ANNEX):,} bytes")
    digest = api.call("GET", f"{path}/to-be-signed", params={"step": "signature"}).content
    signed = _put(api, f"{path}/signature", letter.sign(digest))
    reached("a person of A signs outside", f"verdict {signed['signatures'][-1]['conclusion']}")
    now = letter.clock.now().replace(microsecond=0).isoformat()
    person = sample_signatory()
    final = {
        "document_no": f"E-{sender[0]}-000-{uuid4().int % 100_000}",
        "date": now,
        "signatories": [
            {
                "person": {"first_name": person.name.first, "last_name": person.name.last, "duty": person.duty},
                "signed_at": now,
            }
        ],
    }
    api.json("PUT", f"{path}/final-metadata", json=final)
    sealed = api.json("POST", f"{path}/seal", json={})
    reached(
        "signer seals, the package is finished",
        f"{final['document_no']}, seal {sealed['signatures'][-1]['conclusion']}, {len(sealed['findings'])} findings",
    )
    api.download(f"{path}/content", letter.target)
    return Composed(sealed["package_id"], sealed["package"]["file_name"])


def _begin(api: Api, sender_no: int, recipient_no: int) -> dict[str, Any]:
    metadata = {
        "subject": SUBJECT,
        "security_code": "unclassified",
        "annexes": [
            {"kind": "file", "file_name": "Deneme eki.txt", "media_type": "text/plain", "name": "Deneme dosyası"}
        ],
        "verification_address": _VERIFICATION,
    }
    body = {
        "institution_no": sender_no,
        # Number and date are not known before the signature, so it is a 2.x letter, whatever the recipient reads.
        "version": "2.0",
        "metadata": metadata,
        "correspondence": {"recipients": [recipient_no]},
    }
    begun: dict[str, Any] = api.json("POST", "/packages", json=body, headers={"Idempotency-Key": str(uuid4())})
    return begun


def _put(api: Api, path: str, content: bytes) -> dict[str, Any]:
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    headers = {"Content-Type": "application/octet-stream", "Repr-Digest": f"sha-256=:{digest}:"}
    answer: dict[str, Any] = api.json("PUT", path, content=content, headers=headers)
    return answer
