"""Passwords at rest: encrypted with a rotatable key from a file (design decision 16)."""

from __future__ import annotations

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import SecretStr

from shared.errors import DomainError, ErrorCode


class SecretBox:
    """Encrypts with the first key, decrypts with any: put a new key on top to rotate.

    ``keys`` is the text of the key file: one urlsafe base64 Fernet key a line. Raises ``ValueError``
    if there is none or one is malformed.
    """

    def __init__(self, keys: SecretStr) -> None:
        lines = [line.strip() for line in keys.get_secret_value().splitlines() if line.strip()]
        if not lines:
            raise ValueError("the encryption key file holds no key")
        self._fernet = MultiFernet([Fernet(line) for line in lines])

    def encrypt(self, secret: str) -> bytes:
        """The token to store."""
        return self._fernet.encrypt(secret.encode())

    def decrypt(self, token: bytes) -> SecretStr:
        """The secret; SERVICE_UNAVAILABLE when no key fits, because a person must provide it."""
        try:
            return SecretStr(self._fernet.decrypt(token).decode())
        except InvalidToken as error:
            raise DomainError(
                ErrorCode.SERVICE_UNAVAILABLE, "a stored secret cannot be decrypted with the configured keys"
            ) from error
