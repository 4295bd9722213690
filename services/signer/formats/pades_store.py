"""The document security store: certificates, revocation lists and OCSP responses inside a PDF (EN 319 142-1, 5.4.2).

Material like that of any file: used once it is signed by whom it should be, wherever in the store it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.decode_limits import DecodePurpose
from pyhanko.pdf_utils.misc import PdfError

from services.signer.certificates import Certificate, load_certificate
from services.signer.facts import Embedded
from services.signer.findings import CheckFailed
from services.signer.formats.pades_reader import MeteredReader, entry_of
from services.signer.limits import Limits

_VRI_ENTRIES = 200
T = TypeVar("T")


def read_store(reader: MeteredReader, limits: Limits) -> Embedded:
    """What the store of the last revision holds, its entries for single signatures too; unreadable items are left out.

    More than the limits allow is left out as well. Raises ``Exhausted``, and what pyHanko raises on a malformed store.
    """
    store = entry_of(reader.root, "/DSS")
    if not isinstance(store, generic.DictionaryObject):
        return Embedded()

    def certificate(encoded: bytes) -> Certificate:
        return load_certificate(encoded, limits)

    most = limits.revocation_lists
    return Embedded(
        _items(store, ("/Certs", "/Cert"), DecodePurpose.CERTIFICATE, limits.certificates, certificate),
        _items(store, ("/CRLs", "/CRL"), DecodePurpose.CRL, most, bytes),
        _items(store, ("/OCSPs", "/OCSP"), DecodePurpose.OCSP_RESPONSE, most, bytes),
    )


def has_values(reader: MeteredReader, revision: int, limits: Limits) -> bool:
    """Whether the store of one revision, from 0, has certificates and words about them: an empty one proves nothing.

    Raises ``Exhausted``, and what pyHanko raises on a revision without a catalogue.
    """
    store = entry_of(reader.get_historical_resolver(revision).root, "/DSS")
    if not isinstance(store, generic.DictionaryObject):
        return False

    def any_of(keys: tuple[str, str]) -> bool:
        return next(_streams(store, keys, limits.certificates), None) is not None

    try:
        return any_of(("/Certs", "/Cert")) and (any_of(("/CRLs", "/CRL")) or any_of(("/OCSPs", "/OCSP")))
    except PdfError:
        return False


def _items(
    store: Any, keys: tuple[str, str], purpose: DecodePurpose, most: int, load: Callable[[bytes], T]
) -> tuple[T, ...]:
    found: dict[T, None] = {}
    for stream in _streams(store, keys, most):
        try:
            found[load(stream.read_data(purpose))] = None
        except (CheckFailed, PdfError):
            continue
    return tuple(found)


def _streams(store: Any, keys: tuple[str, str], most: int) -> Iterator[Any]:
    """At most so many different streams, those of the whole document first."""
    seen: set[tuple[int, int]] = set()
    for items in (entry_of(store, keys[0]), *_of_signatures(store, keys[1])):
        if not isinstance(items, generic.ArrayObject):
            continue
        for position in range(min(len(items), 2 * most)):
            item = items.raw_get(position)
            if not isinstance(item, generic.IndirectObject) or (item.idnum, item.generation) in seen:
                continue
            if len(seen) >= most:
                return
            seen.add((item.idnum, item.generation))
            stream = item.get_object()  # type: ignore[no-untyped-call]  # untyped library
            if isinstance(stream, generic.StreamObject):
                yield stream


def _of_signatures(store: Any, key: str) -> Iterator[Any]:
    entries = entry_of(store, "/VRI")
    if not isinstance(entries, generic.DictionaryObject):
        return
    for name in list(entries)[:_VRI_ENTRIES]:
        entry = entries[name]
        if isinstance(entry, generic.DictionaryObject):
            yield entry_of(entry, key)
