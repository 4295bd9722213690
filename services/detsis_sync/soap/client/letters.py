"""The correspondence package of one letter (detsis.md 5.5 and 7)."""

from __future__ import annotations

from collections.abc import Sequence

from services.detsis_sync import translate
from services.detsis_sync.rows import CorrespondencePackage
from services.detsis_sync.soap import wire
from services.detsis_sync.soap.client.calling import Caller, broken
from services.detsis_sync.soap.failures import DirectoryCallError, FailureReason
from shared.domain.identifiers import DetsisNumber


class LetterCalls(Caller):
    """The call made for each letter."""

    async def correspondence_package(
        self, sender: DetsisNumber, recipients: Sequence[DetsisNumber]
    ) -> CorrespondencePackage:
        """What DETSİS says for one letter. Give all its recipients at once: the closing phrase depends on them all."""
        operation = wire.Operation.CORRESPONDENCE_PACKAGE
        answer = await self._call(
            wire.correspondence_package_call(sender, recipients), default_seconds=self._settings.correspondence_seconds
        )
        if answer.content is None:
            raise DirectoryCallError(FailureReason.MALFORMED, operation, "the answer holds no package")
        try:
            return translate.correspondence_package(
                wire.package_from_reply(answer.content),
                answered_at=self._clock.now(),
                unknown_elements=answer.unknown_elements,
            )
        except wire.WireRowError as fault:
            raise broken(operation, fault) from fault
