"""What a judgement is made from, noted while it is made: enough to make it again from nothing else.

Whatever was genuine and about one of the certificates in question counts as such, also where something newer
decided: who repeats the judgement must not find another reason for lack of it.
"""

from __future__ import annotations

from collections.abc import Iterable

from services.signer.certificates import Certificate
from services.signer.checks.revocation_list import RevocationList


class Basis:
    """Certificates, lists and responses by fingerprint; the only state of a judgement."""

    def __init__(self) -> None:
        self.certificates: dict[str, Certificate] = {}
        self.lists: dict[str, RevocationList] = {}
        self.responses: dict[str, None] = {}

    def add_certificates(self, certificates: Iterable[Certificate]) -> None:
        """Of a path, whether or not it holds."""
        for item in certificates:
            self.certificates.setdefault(item.sha256, item)

    def add_list(self, item: RevocationList) -> None:
        """A list whose signature holds, and that is about a certificate in question."""
        self.lists.setdefault(item.sha256, item)

    def add_response(self, sha256: str) -> None:
        """A response of somebody who may speak, about a certificate in question."""
        self.responses.setdefault(sha256)
