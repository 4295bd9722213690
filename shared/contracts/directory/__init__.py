"""What detsis_sync is asked and what it answers."""

from __future__ import annotations

from shared.contracts.directory.accounts import RegisterAccount
from shared.contracts.directory.freshness import Freshness
from shared.contracts.directory.resolution import (
    AddressSource,
    ResolutionAnswer,
    ResolutionProblem,
    ResolutionRequest,
    ResolvedAddress,
)
from shared.contracts.directory.runs import DirectoryCount, DirectoryStatus, RefreshRun
from shared.contracts.directory.units import Unit, UnitAnswer, UnitKepAddress, UnitPage

__all__ = [
    "AddressSource",
    "DirectoryCount",
    "DirectoryStatus",
    "Freshness",
    "RefreshRun",
    "RegisterAccount",
    "ResolutionAnswer",
    "ResolutionProblem",
    "ResolutionRequest",
    "ResolvedAddress",
    "Unit",
    "UnitAnswer",
    "UnitKepAddress",
    "UnitPage",
]
