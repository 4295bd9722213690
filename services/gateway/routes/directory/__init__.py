"""The directory: one module for each topic, joined under one router."""

from __future__ import annotations

from fastapi import APIRouter

from services.gateway.routes.directory import addresses, certificates, codes, details, feed, letters, search, units

router = APIRouter()
# details first: by-former-number must not be taken for the number of a unit
for topic in (details, search, units, addresses, certificates, codes, feed, letters):
    router.include_router(topic.router)
