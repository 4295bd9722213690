"""The control API: steers the clock, faults and revocation, and shows what providers hold.

It has no authentication and must stay on the loopback interface.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated

from cryptography import x509
from fastapi import APIRouter, HTTPException, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from services.sandbox.clock import ShiftedClock
from services.sandbox.faults import Fault, FaultBoard, UnknownFaultError
from services.sandbox.pki.revocation import Reason
from services.sandbox.pki.store import Pki, UnknownIdentityError
from services.sandbox.world import WorldDocument

_LONGEST_SHIFT = 400 * 86_400
"""Seconds. Further away all certificates would have to be dated anew."""


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ClockReading(_Body):
    """The sandbox's time."""

    now: datetime
    shift_seconds: float


class ClockOrder(_Body):
    """Set the shift, or move it further by ``advance_seconds``; exactly one of the two."""

    shift_seconds: float | None = Field(default=None, ge=-_LONGEST_SHIFT, le=_LONGEST_SHIFT)
    advance_seconds: float | None = Field(default=None, ge=0, le=_LONGEST_SHIFT)


class FaultOrder(_Body):
    """A fault to put in force; see ``Fault`` for the meaning of each field."""

    name: str
    scope: dict[str, str] = Field(default_factory=dict, examples=[{"provider": "hs98"}])
    count: int | None = Field(default=None, ge=1)
    probability: float = Field(default=1.0, gt=0, le=1)
    value: float | None = Field(default=None, ge=0, le=_LONGEST_SHIFT)


class FaultReport(_Body):
    """What can go wrong and what does."""

    catalogue: dict[str, str]
    in_force: list[FaultOrder]


class RevocationOrder(_Body):
    """Revoke a certificate by its name (see ``GET /control/pki/certificates``)."""

    certificate: str
    reason: Reason = x509.ReasonFlags.unspecified
    revoked_at: AwareDatetime | None = None


class CertificateReport(_Body):
    """One issued certificate."""

    name: str
    subject: str
    serial: str
    """Hexadecimal."""
    not_after: datetime
    revoked: bool


def control_routes(world: Callable[[], WorldDocument], clock: ShiftedClock, faults: FaultBoard, pki: Pki) -> APIRouter:
    """The routes below ``/control`` that belong to the sandbox as a whole."""
    router = APIRouter(prefix="/control")

    @router.get("/world", tags=["world"])
    async def read_world() -> WorldDocument:
        """The content of ``world.json``."""
        return world()

    @router.get("/clock", tags=["clock"])
    async def read_clock() -> ClockReading:
        """The sandbox's time and how far it is from the machine's."""
        return ClockReading(now=clock.now(), shift_seconds=clock.shift.total_seconds())

    @router.post("/clock", tags=["clock"])
    async def move_clock(order: ClockOrder) -> ClockReading:
        """Move the providers' time; what was due in between happens now. Certificates keep the machine's time.

        The shift outlives a restart, as the letters under way do; orders to fail do not.
        """
        if (order.shift_seconds is None) == (order.advance_seconds is None):
            raise HTTPException(422, "give either shift_seconds or advance_seconds")
        if order.shift_seconds is not None:
            seconds = order.shift_seconds
        else:
            seconds = clock.shift.total_seconds() + (order.advance_seconds or 0)
        if abs(seconds) > _LONGEST_SHIFT:
            raise HTTPException(422, f"a shift of more than {_LONGEST_SHIFT} seconds is not possible")
        clock.move_to(timedelta(seconds=seconds))
        return await read_clock()

    @router.get("/faults", tags=["faults"])
    async def read_faults() -> FaultReport:
        """The catalogue of faults and the orders in force."""
        return _fault_report(faults)

    @router.post("/faults", tags=["faults"])
    async def order_fault(order: FaultOrder) -> FaultReport:
        """Put a fault in force, replacing an order of the same name and scope."""
        try:
            faults.order(Fault(order.name, order.scope, order.count, order.probability, order.value))
        except UnknownFaultError:
            raise HTTPException(422, f"no fault is called {order.name!r}; see GET /control/faults") from None
        except ValueError as error:
            raise HTTPException(422, f"{error}; see GET /control/faults") from None
        return _fault_report(faults)

    @router.delete("/faults", tags=["faults"])
    async def clear_faults(name: Annotated[str | None, Query()] = None) -> FaultReport:
        """Withdraw the orders called ``name``, or all of them."""
        faults.clear(name)
        return _fault_report(faults)

    @router.get("/pki/certificates", tags=["pki"])
    async def list_certificates() -> list[CertificateReport]:
        """Every certificate that can be revoked, by name."""
        return [_certificate_report(pki, name) for name in pki.names()]

    @router.post("/pki/revoke", tags=["pki"])
    async def revoke(order: RevocationOrder) -> CertificateReport:
        """Revoke a certificate; the next list and OCSP answer say so. The first revocation stands."""
        try:
            pki.revoke(order.certificate, order.reason, order.revoked_at)
        except UnknownIdentityError:
            raise HTTPException(404, f"no certificate is called {order.certificate!r}") from None
        except ValueError as error:
            raise HTTPException(422, str(error)) from None
        return _certificate_report(pki, order.certificate)

    return router


def _fault_report(faults: FaultBoard) -> FaultReport:
    in_force = [
        FaultOrder(
            name=fault.name,
            scope=dict(fault.scope),
            count=fault.count,
            probability=fault.probability,
            value=fault.value,
        )
        for fault in faults.in_force()
    ]
    return FaultReport(catalogue=faults.catalogue, in_force=in_force)


def _certificate_report(pki: Pki, name: str) -> CertificateReport:
    certificate = pki.certificate(name)
    return CertificateReport(
        name=name,
        subject=certificate.subject.rfc4514_string(),
        serial=f"{certificate.serial_number:x}",
        not_after=certificate.not_valid_after_utc,
        revoked=pki.is_revoked(certificate),
    )
