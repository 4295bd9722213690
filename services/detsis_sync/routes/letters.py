"""What a letter has to know about its recipients."""

from __future__ import annotations

from fastapi import APIRouter

from services.detsis_sync.live.correspondence import Correspondence
from services.detsis_sync.live.resolve import AddressResolver
from shared.contracts.directory import CorrespondenceData, CorrespondenceRequest, ResolutionAnswer, ResolutionRequest


def letter_routes(resolver: AddressResolver, correspondence: Correspondence) -> APIRouter:
    """``/resolutions`` and ``/correspondence-data``."""
    routes = APIRouter()

    @routes.post("/resolutions")
    async def resolve(request: ResolutionRequest) -> ResolutionAnswer:
        return await resolver.resolve(request)

    @routes.post("/correspondence-data")
    async def correspondence_data(request: CorrespondenceRequest) -> CorrespondenceData:
        return await correspondence.data(request)

    return routes
