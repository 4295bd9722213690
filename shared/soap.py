"""zeep on contracts that are bundled: it writes and reads envelopes and never touches the network.

Bytes travel through our own clients, so neither an address in a WSDL nor zeep's logging of whole envelopes
(passwords included) can come into play.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zeep import Client, Settings
from zeep.exceptions import TransportError
from zeep.transports import Transport


class _OfflineTransport(Transport):
    """Reads the bundled WSDL from disk and refuses everything else."""

    def _load_remote_data(self, url: str) -> bytes:
        raise TransportError(f"refused to fetch {url}: contracts are bundled")  # type: ignore[no-untyped-call]

    def post(self, address: str, *_: object) -> object:
        raise TransportError(f"refused to use {address}: requests go through our own client")  # type: ignore[no-untyped-call]

    get = post


def bundled_contract(wsdl: Path, *, service: str, port: str) -> Any:
    """Client of a contract on disk, strict and closed to everything outside it. Loading takes a while."""
    return Client(  # type: ignore[no-untyped-call]
        str(wsdl),
        transport=_OfflineTransport(),  # type: ignore[no-untyped-call]
        service_name=service,
        port_name=port,
        settings=Settings(strict=True, forbid_dtd=True, forbid_entities=True, forbid_external=True),
    )
