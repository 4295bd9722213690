"""Open DETSİS clients, one an account: building one reads the contract and opens connections."""

from __future__ import annotations

from services.detsis_sync.soap.account import DetsisAccount, DetsisHttpSettings
from services.detsis_sync.soap.client import DetsisClient
from services.detsis_sync.soap.codec import load_contract
from shared.clock import Clock


class DetsisClients:
    """Hands out the client of an account, and a new one when its endpoint or password has changed."""

    def __init__(self, settings: DetsisHttpSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._open: dict[int, tuple[DetsisAccount, DetsisClient]] = {}
        self._outdated: list[DetsisClient] = []
        load_contract(settings.soap_version)

    def of(self, account: DetsisAccount) -> DetsisClient:
        """The client that speaks for ``account``."""
        held = self._open.get(account.institution_no)
        if held is not None and held[0] == account:
            return held[1]
        if held is not None:
            # A call may be under way on it, so it is closed only at the end.
            self._outdated.append(held[1])
        client = DetsisClient(account, self._settings, self._clock)
        self._open[account.institution_no] = (account, client)
        return client

    async def aclose(self) -> None:
        """Close every client."""
        for client in [*self._outdated, *(client for _account, client in self._open.values())]:
            await client.aclose()
