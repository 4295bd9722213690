"""The keys by id, bound to institution and purpose."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from services.signer.certificates import Certificate
from services.signer.envelopes.opening import DecryptionPort
from services.signer.keys.hardware import KeyUnfit, TokenBoundKey
from services.signer.keys.port import SigningPort
from services.signer.tokens.pool import TokenPool
from services.signer.tokens.vocabulary import TokenFault
from shared.contracts.signatures import SignatureLevel, SigningKey, SigningPurpose
from shared.errors import DomainError, ErrorCode


@dataclass(frozen=True)
class HeldKey:
    """A key's certificate, owner and what it may be used for."""

    key_id: str
    institution_no: int
    purposes: frozenset[SigningPurpose]
    certificate: Certificate

    def describe(self) -> SigningKey:
        """The contract's form."""
        parts = (self.certificate.subject_value(kind) for kind in ("common_name", "organization_name", "country_name"))
        return SigningKey(
            key_id=self.key_id,
            institution_no=self.institution_no,
            purposes=sorted(self.purposes),
            certificate_sha256=self.certificate.sha256,
            subject=", ".join(part for part in parts if part),
            not_after=self.certificate.not_after,
        )


@dataclass(frozen=True)
class LoadedKey(HeldKey):
    """A key that signs, with its chain."""

    chain: tuple[Certificate, ...]
    port: SigningPort
    seal_level: SignatureLevel = SignatureLevel.B
    """Of its seals."""


@dataclass(frozen=True)
class DecryptionKey(HeldKey):
    """A key that opens envelopes; also after its certificate has ended, because letters encrypted before still come."""

    port: DecryptionPort


class KeyRing:
    """All keys by id, and the tokens that some of them lie on."""

    def __init__(self, keys: Sequence[HeldKey], tokens: Sequence[TokenPool] = ()) -> None:
        self._keys = {key.key_id: key for key in keys}
        self.tokens = tuple(tokens)

    def __len__(self) -> int:
        return len(self._keys)

    def all(self) -> list[HeldKey]:
        """Every key, by id."""
        return [self._keys[key_id] for key_id in sorted(self._keys)]

    def faults(self) -> dict[str, str]:
        """Keys that cannot be used now, with the reason; a key in memory can always be used."""
        told = {key.key_id: self.fault(key.key_id) for key in self.all()}
        return {key_id: fault for key_id, fault in told.items() if fault is not None}

    def fault(self, key_id: str) -> str | None:
        """Why one of the keys cannot be used now; None when it can."""
        port = _on_token(self._keys[key_id])
        return None if port is None else port.fault

    def look(self) -> None:
        """See whether each token is there, and have keys whose token came back prove themselves; raises nothing."""
        for token in self.tokens:
            token.look()
        for key in self.all():
            port = _on_token(key)
            if port is not None and port.pool.fault is None:
                with suppress(TokenFault, KeyUnfit):
                    port.prove()

    def close(self) -> None:
        """End the sessions with every token."""
        for token in self.tokens:
            token.close()

    def take(self, key_id: str, purpose: SigningPurpose, institution_no: int | None = None) -> LoadedKey:
        """The key for one signature.

        Raises ``DomainError``: NOT_FOUND for an unknown id, INSTITUTION_FORBIDDEN for another
        purpose or another institution's key.
        """
        key = self._held(key_id, purpose, institution_no)
        if not isinstance(key, LoadedKey):
            raise DomainError(ErrorCode.INSTITUTION_FORBIDDEN, f"key {key_id!r} does not sign")
        return key

    def decryption_keys(self, institution_no: int, key_id: str | None = None) -> tuple[DecryptionKey, ...]:
        """The institution's decryption keys, or the one named; there are several after a change of certificates.

        Raises ``DomainError``: NOT_FOUND when there is none, else as ``take`` does.
        """
        purpose = SigningPurpose.PACKAGE_DECRYPTION
        candidates = self.all() if key_id is None else [self._held(key_id, purpose, institution_no)]
        found = tuple(
            key for key in candidates if isinstance(key, DecryptionKey) and key.institution_no == institution_no
        )
        if not found:
            raise DomainError(ErrorCode.NOT_FOUND, f"no decryption key for institution {institution_no}")
        return found

    def _held(self, key_id: str, purpose: SigningPurpose, institution_no: int | None) -> HeldKey:
        key = self._keys.get(key_id)
        if key is None:
            raise DomainError(ErrorCode.NOT_FOUND, f"no key {key_id!r}")
        if purpose not in key.purposes:
            raise DomainError(ErrorCode.INSTITUTION_FORBIDDEN, f"key {key_id!r} is not for {purpose}")
        if institution_no is not None and institution_no != key.institution_no:
            raise DomainError(ErrorCode.INSTITUTION_FORBIDDEN, f"key {key_id!r} belongs to another institution")
        return key


def _on_token(key: HeldKey) -> TokenBoundKey | None:
    port = key.port if isinstance(key, LoadedKey | DecryptionKey) else None
    return port if isinstance(port, TokenBoundKey) else None
