"""What an encrypted and an update package say about themselves, in English types."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shared.eyp.model import SecurityCode


@dataclass(frozen=True)
class EncryptionNote:
    """How the content was encrypted, as the sender puts it: names and addresses of guides, nothing to compute with."""

    method: str | None
    version: str | None
    links: tuple[str, ...]


@dataclass(frozen=True)
class DegreeChange:
    """A new degree of confidentiality, and the commission's decision behind it."""

    new_degree: SecurityCode | None
    changed_at: datetime | None
    explanation: str | None
    decision_document_no: str | None
    decision_document_id: str | None


@dataclass(frozen=True)
class UpdateNote:
    """What an update package changes (eyp.md 7)."""

    degree_changes: tuple[DegreeChange, ...]
    unknown_kinds: tuple[str, ...]
    """Kinds of update nobody has defined yet, as written; what they change is not known."""

    @property
    def new_degree(self) -> SecurityCode | None:
        """The degree this update gives; the highest one if it contradicts itself, None if it gives none."""
        given = [change.new_degree for change in self.degree_changes if change.new_degree is not None]
        order = list(SecurityCode)
        return max(given, key=order.index, default=None)
