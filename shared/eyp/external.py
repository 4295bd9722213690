"""Annexes that stay outside the package: their digests in the metadata and, marked external, in the package digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from shared.errors import DomainError, ErrorCode, Fault
from shared.eyp.container import part_key
from shared.eyp.digests import DigestAlgorithm, algorithm_of, compute
from shared.eyp.model import Annex, AnnexDigest, AnnexKind, Metadata
from shared.eyp.packaging import PartSource, open_source

ExternalEntries = tuple[tuple[str, Mapping[DigestAlgorithm, bytes]], ...]
"""Address and digests of each external file, as a manifest lists it."""


def digested_externals(
    metadata: Metadata, files: Mapping[str, PartSource], algorithms: tuple[DigestAlgorithm, ...]
) -> tuple[Metadata, ExternalEntries]:
    """Read each external file once; the metadata with the longest digest where an annex states none.

    ``files`` maps ids of annexes of kind EXTERNAL to what lies at their address. Raises VALIDATION_FAILED for other
    annexes, an address that is missing, used twice or that of a part, and a file that is not the one an annex's digest was taken of.
    """
    sources = {annex_id.upper(): source for annex_id, source in files.items()}
    known = {annex.id: annex for annex in metadata.annexes if annex.kind is AnnexKind.EXTERNAL and annex.uri}
    faults = [
        Fault("/annexes", f"there is no external annex {name} with an address") for name in sources.keys() - known
    ]
    entries: dict[str, Mapping[DigestAlgorithm, bytes]] = {}
    annexes = []
    for annex in metadata.annexes:
        if annex.id in sources and annex.id in known:
            with open_source(sources[annex.id]) as stream:
                digests = compute(stream, algorithms)
            if (annex.uri or "") in entries:
                faults.append(Fault("/annexes", "two external annexes have one address"))
            if part_key(annex.uri or "").startswith("/"):
                faults.append(Fault("/annexes", "an external annex has an address inside the package"))
            entries[annex.uri or ""] = digests
            if not _fits(annex, digests):
                faults.append(Fault("/annexes", f"the file of external annex {annex.id} differs from its digest"))
            annexes.append(_with_digest(annex, digests))
        else:
            annexes.append(annex)
    if faults:
        raise DomainError(ErrorCode.VALIDATION_FAILED, "the files do not fit the metadata", faults=faults[:50])
    return replace(metadata, annexes=tuple(annexes)), tuple(entries.items())


def _fits(annex: Annex, digests: Mapping[DigestAlgorithm, bytes]) -> bool:
    """Unless the stated digest is of an algorithm that is not taken here."""
    algorithm = algorithm_of(annex.digest.algorithm or "") if annex.digest else None
    taken = digests.get(algorithm) if algorithm else None
    return annex.digest is None or taken is None or annex.digest.value == taken


def _with_digest(annex: Annex, digests: Mapping[DigestAlgorithm, bytes]) -> Annex:
    if annex.digest is not None:
        return annex
    algorithm, value = max(digests.items(), key=lambda item: len(item[1]))
    return replace(annex, digest=AnnexDigest(algorithm.uri, value))
