"""What a client sends to have a package encrypted; the answer is the file."""

from __future__ import annotations

from pydantic import Field, field_validator

from services.gateway.schemas.text import Body, StrictDetsisNo


class PackageEncryptionRequest(Body):
    """The part ``message`` of ``POST /v1/package-encryptions``."""

    institution_no: StrictDetsisNo | None = None
    """DETSİS number of the sending institution; may be left out when the API key is bound to one only."""
    recipients: list[StrictDetsisNo] = Field(min_length=1, max_length=500)
    """DETSİS numbers of those who are to open it; certificates that serve several of them count once."""

    @field_validator("recipients")
    @classmethod
    def _each_once(cls, numbers: list[int]) -> list[int]:
        if len(set(numbers)) != len(numbers):
            raise ValueError("a recipient is named twice")
        return numbers

    def pointer(self, detsis_no: int) -> str:
        """Where in the request this recipient stands."""
        return f"/message/recipients/{self.recipients.index(detsis_no)}"
