"""Keys that lie on a token: the ports over a pool of its sessions, and the proof that key and certificate match."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import structlog
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from services.signer.certificates import Certificate
from services.signer.findings import CheckFailed
from services.signer.keys.port import DIGEST_BY_CURVE
from services.signer.tokens.pool import TokenPool
from services.signer.tokens.vocabulary import FaultKind, KeySelector, Operation, TokenFault
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)

_AWAY_SECONDS = 30
_LEAST_RSA_BITS = 2048
_NEEDS_SOMEONE = {
    FaultKind.PIN_REFUSED: "the token refused the PIN; it is not tried again before the PIN file changes",
    FaultKind.PIN_LAST_TRY: "the token has one attempt at its PIN left, or none; it is not used up here",
    FaultKind.PIN_UNANSWERED: "logins ended without an answer; no more are made before the PIN file changes",
    FaultKind.TOKEN_AMBIGUOUS: "several tokens have this name",
    FaultKind.MODULE_UNUSABLE: "the PKCS#11 module cannot be loaded",
    FaultKind.KEY_ABSENT: "the token holds no such private key",
    FaultKind.KEY_AMBIGUOUS: "the token holds several private keys of this name",
    FaultKind.NOT_POSSIBLE: "the token does not do this with the key",
}


_OF_THE_KEY = frozenset({FaultKind.KEY_ABSENT, FaultKind.KEY_AMBIGUOUS, FaultKind.NOT_POSSIBLE})
"""What is wrong with one key and not with its token."""


class KeyUnfit(Exception):  # noqa: N818 - reads as what was found
    """The key on the token is not what its entry says; the message holds nothing secret."""


def fault_text(fault: TokenFault) -> str:
    """A fault for people; the module's own word for it goes to the log only."""
    return _NEEDS_SOMEONE.get(fault.kind, f"the token cannot be used now ({fault.kind.value})")


class TokenBoundKey(ABC):
    """What keys on a token have in common. ``fault`` says why this one cannot be used now; None when it can."""

    def __init__(self, key_id: str, pool: TokenPool, selector: KeySelector, certificate: Certificate) -> None:
        self.key_id = key_id
        self.pool = pool
        self._public = certificate.public_key()
        self._fields = {"key_label": selector.label, "key_id_hex": selector.id_hex}
        self._proving = threading.Lock()
        self._proved_in: int | None = None
        self._own_fault: str | None = None

    @property
    def fault(self) -> str | None:
        """Why the key cannot be used now; None when it can as far as is known."""
        fault = self.pool.fault  # read once: another thread may take it back
        return self._own_fault or (None if fault is None else fault_text(fault))

    def prove(self) -> None:
        """Have the key prove, once for each time its token came back, that it belongs to the certificate.

        Raises ``TokenFault``, and ``KeyUnfit`` for a key of another kind, without the permission or with
        another public part.
        """
        with self._proving:
            epoch = self.pool.epoch
            if self._proved_in == epoch:
                return
            try:
                try:
                    self._check_kind(self.ask(Operation.DESCRIBE))
                except (KeyError, ValueError, TypeError) as error:
                    raise _out_of_form() from error
                log.info("key_proof", audit=True, key_id=self.key_id, token=str(self.pool.address))
                self._prove_possession()
            except KeyUnfit as error:
                log.error("token_key_unfit", key_id=self.key_id, reason=str(error))  # noqa: TRY400 - the reason says it all
                self._own_fault = str(error)
                raise
            except TokenFault as fault:
                self._own_fault = fault_text(fault) if fault.kind in _OF_THE_KEY else None
                raise
            self._own_fault = None
            self._proved_in = epoch

    def used(self, work: Callable[[], bytes]) -> bytes:
        """What one use of the key gives; raises ``DomainError`` as ``refusal`` has it.

        Proved before, and once more when the token was lost on the way: another one may have answered.
        """
        try:
            self.prove()
            made = work()
            self.prove()
        except KeyUnfit as error:
            self._own_fault, self._proved_in = str(error), None
            raise self.refusal(error) from error
        except TokenFault as error:
            raise self.refusal(error) from error
        return made

    def ask(self, operation: Operation, **fields: Any) -> dict[str, Any]:
        """The token's answer about this key; raises ``TokenFault``."""
        return self.pool.ask(operation, **self._fields, **fields)

    def value(self, operation: Operation, **fields: Any) -> bytes:
        """The octets the token answers with; raises ``TokenFault``."""
        try:
            return bytes.fromhex(self.ask(operation, **fields)["value"])
        except (KeyError, ValueError, TypeError) as error:
            raise _out_of_form() from error

    def refusal(self, error: TokenFault | KeyUnfit) -> DomainError:
        """A failure as callers are told it: SIGNING_KEY_UNAVAILABLE needs somebody, SERVICE_UNAVAILABLE passes."""
        if isinstance(error, KeyUnfit):
            return DomainError(ErrorCode.SIGNING_KEY_UNAVAILABLE, f"key {self.key_id!r}: {error}")
        log.warning("token_key_unavailable", key_id=self.key_id, fault=str(error))
        text = f"key {self.key_id!r}: {fault_text(error)}"
        if error.kind in _NEEDS_SOMEONE:
            return DomainError(ErrorCode.SIGNING_KEY_UNAVAILABLE, text)
        return DomainError(ErrorCode.SERVICE_UNAVAILABLE, text, retry_after_seconds=_AWAY_SECONDS)

    def _check_kind(self, described: dict[str, Any]) -> None:
        kind = "rsa" if isinstance(self._public, RSAPublicKey) else "ec"
        if described["kind"] != kind:
            raise KeyUnfit(f"the certificate is for a key of kind {kind}, the token's is {described['kind']}")
        if described["pin_at_each_use"]:
            raise KeyUnfit("the key wants its PIN at each use (CKA_ALWAYS_AUTHENTICATE)")
        modulus = described["modulus"]
        if isinstance(self._public, RSAPublicKey) and modulus and int(modulus, 16) != self._public.public_numbers().n:
            raise KeyUnfit("the key does not belong to the certificate")
        if not described[self._permission()]:
            raise KeyUnfit(f"the token does not permit it: the key lacks {_ATTRIBUTES[self._permission()]}")

    @abstractmethod
    def _permission(self) -> str:
        """Which permission of the private key is needed."""

    @abstractmethod
    def _prove_possession(self) -> None:
        """Use the key once and check with the certificate's public key; raises as ``prove`` does."""


_ATTRIBUTES = {"signs": "CKA_SIGN", "decrypts": "CKA_DECRYPT", "derives": "CKA_DERIVE"}


def check_certificate(certificate: Certificate) -> None:
    """Raise ``KeyUnfit`` for a certificate with a key that is not used here."""
    try:
        key = certificate.public_key()
    except CheckFailed as error:
        raise KeyUnfit("the certificate's key is of an unsupported kind") from error
    if isinstance(key, EllipticCurvePublicKey) and key.curve.name not in DIGEST_BY_CURVE:
        raise KeyUnfit(f"curve {key.curve.name} is not supported")
    if isinstance(key, RSAPublicKey) and key.key_size < _LEAST_RSA_BITS:
        raise KeyUnfit(f"RSA of {key.key_size} bits is too short")


def _out_of_form() -> TokenFault:
    return TokenFault(FaultKind.DIED, "answer out of form")


def random_octets() -> bytes:
    """What a proof is made about."""
    return os.urandom(32)
