"""Encryption certificates and EYP versions of one institution (detsis.md 5.4)."""

from __future__ import annotations

from services.detsis_sync import translate
from services.detsis_sync.rows import CertificateRow
from services.detsis_sync.soap import wire
from services.detsis_sync.soap.client.calling import Caller
from shared.domain.identifiers import DetsisNumber


class CertificateCalls(Caller):
    """Small calls about how a package for an institution is written and encrypted."""

    async def certificates_of(self, number: DetsisNumber) -> list[CertificateRow]:
        """Every certificate of one institution, active or not; those that cannot be read are left out and logged."""
        return await self._usable_list(
            wire.certificates_of_unit_call(number), wire.CERTIFICATE.from_reply, translate.certificate_row
        )

    async def eyp_versions(self, number: DetsisNumber) -> list[str]:
        """The EYP versions one institution accepts, as DETSİS words them."""
        return await self._usable_list(
            wire.eyp_versions_call(number), wire.EYP_VERSION.from_reply, translate.eyp_version
        )

    async def eyp_version_changes(self) -> list[DetsisNumber]:
        """The institutions whose EYP version changed, each once, in the order of the answer."""
        call = wire.Call(wire.Operation.EYP_VERSION_CHANGES)
        found = await self._usable_list(call, wire.eyp_version_changes_from_reply, translate.changed_institution)
        return list(dict.fromkeys(found))
