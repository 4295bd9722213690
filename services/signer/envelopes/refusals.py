"""The exceptions of this package, and the edge where a reader's failure becomes one of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from services.signer.findings import CheckFailed
from shared.contracts.envelopes import EnvelopeRefusal, RecipientFault


class EnvelopeRefused(Exception):  # noqa: N818 - names the decision
    """An envelope is not read or not opened: the reason of a closed list and a sentence without secrets."""

    def __init__(self, reason: EnvelopeRefusal, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class UnfitCertificate:
    """Why nothing is encrypted for one certificate; ``index`` is its place in the list that was given."""

    index: int
    fault: RecipientFault
    detail: str


class RecipientsUnfit(Exception):  # noqa: N818 - names the decision
    """At least one recipient certificate is not fit; every unfit one is named."""

    def __init__(self, unfit: tuple[UnfitCertificate, ...]) -> None:
        super().__init__("; ".join(f"certificate {item.index}: {item.detail}" for item in unfit))
        self.unfit = unfit


def refused_algorithm(name: str) -> EnvelopeRefused:
    """The refusal of an algorithm that is weak, unknown or does not belong where it stands."""
    return EnvelopeRefused(EnvelopeRefusal.ALGORITHM_REFUSED, f"{name} is not accepted")


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn the reader's ``CheckFailed`` into ``EnvelopeRefused`` (MALFORMED)."""
    try:
        yield
    except CheckFailed as error:
        raise EnvelopeRefused(EnvelopeRefusal.MALFORMED, f"{what}: {error.text.en}") from error
