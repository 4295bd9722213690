"""The directory: one module for each topic, joined under one router."""

from __future__ import annotations

from fastapi import APIRouter

from services.gateway.routes.directory import addresses, certificates, codes, feed, letters, search, units

router = APIRouter()
for topic in (search, units, addresses, certificates, codes, feed, letters):
    router.include_router(topic.router)
