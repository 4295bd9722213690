"""What a worker says would help, as text and back."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from services.signer.certificates import Certificate, load_certificate
from services.signer.checks.wanted import Wanted, WantedIssuer, WantedList, WantedResponse
from services.signer.findings import CheckFailed
from services.signer.workers.vocabulary import MOST_WANTED, Reason, WantedItem, WantedKind, WorkerFailed


def told(wanted: Sequence[Wanted]) -> list[WantedItem]:
    """As text; what is more than ``MOST_WANTED`` is left out."""
    return [_told(item) for item in wanted[:MOST_WANTED]]


def _told(item: Wanted) -> WantedItem:
    certificate = _text(item.certificate)
    match item:
        case WantedList():
            return WantedItem(
                kind=WantedKind.LIST,
                certificate=certificate,
                issuer=_text(item.issuer),
                others=[_text(other) for other in item.others],
                fresher=item.fresher,
            )
        case WantedResponse():
            return WantedItem(kind=WantedKind.RESPONSE, certificate=certificate, issuer=_text(item.issuer))
        case WantedIssuer():
            return WantedItem(kind=WantedKind.ISSUER, certificate=certificate)


def understood(items: Sequence[WantedItem]) -> tuple[Wanted, ...]:
    """What was told; raises ``WorkerFailed`` (DIED) when it is not about certificates."""
    try:
        return tuple(map(_understood, items[:MOST_WANTED]))
    except (binascii.Error, ValueError, CheckFailed) as error:
        raise WorkerFailed(Reason.DIED, "wants what there is not") from error


def _understood(item: WantedItem) -> Wanted:
    certificate = _certificate(item.certificate)
    if item.kind is WantedKind.ISSUER:
        return WantedIssuer(certificate)
    issuer = _certificate(item.issuer or "")
    if item.kind is WantedKind.RESPONSE:
        return WantedResponse(certificate, issuer)
    return WantedList(certificate, issuer, tuple(map(_certificate, item.others)), item.fresher)


def _text(certificate: Certificate) -> str:
    return base64.b64encode(certificate.der).decode()


def _certificate(text: str) -> Certificate:
    return load_certificate(base64.b64decode(text, validate=True))
