"""What a letter has to know about its recipients."""

from __future__ import annotations

from fastapi import APIRouter

from services.detsis_sync.live.resolve import AddressResolver
from shared.contracts.directory import ResolutionAnswer, ResolutionRequest


def letter_routes(resolver: AddressResolver) -> APIRouter:
    """``/resolutions``."""
    routes = APIRouter()

    @routes.post("/resolutions")
    async def resolve(request: ResolutionRequest) -> ResolutionAnswer:
        return await resolver.resolve(request)

    return routes
