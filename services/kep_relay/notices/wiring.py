"""Builds what takes orders for notices from what ``app.build`` made."""

from __future__ import annotations

from datetime import timedelta

from fastapi import APIRouter

from services.kep_relay.dependencies import Dependencies
from services.kep_relay.inbound.budget import ByteBudget
from services.kep_relay.inbound.packages import LetterPackages
from services.kep_relay.mailboxes import AddressBook
from services.kep_relay.notices.order import Notices
from services.kep_relay.outbound.jobs import OutboundJobs
from services.kep_relay.routes.acceptance import notice_routes
from services.kep_relay.settings import Settings


def notice_router(deps: Dependencies, addresses: AddressBook, jobs: OutboundJobs) -> APIRouter:
    """The route of the orders; one letter's packages at a time are looked into."""
    settings: Settings = deps.settings
    packages = LetterPackages(deps.blobs, deps.signer, ByteBudget(1), max_bytes=settings.max_mail_bytes)
    notices = Notices(
        database=deps.database,
        blobs=deps.blobs,
        clock=deps.clock,
        packages=packages,
        addresses=addresses,
        jobs=jobs,
        ttl=timedelta(hours=settings.message_ttl_hours),
    )
    return notice_routes(deps.database, notices)
