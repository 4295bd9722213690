"""Writing answers: rows, result wrappers, envelopes and faults, as text pieces that can be streamed."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from xml.sax.saxutils import escape

from services.sandbox.detsis.register import KepEntry, Unit
from services.sandbox.detsis.wire_contract import NAMESPACE, OPERATIONS, all_fields, is_complex
from services.sandbox.detsis.wire_requests import SOAP_11, SOAP_12

Value = str | int | bool | bytes | None | Mapping[str, "Value"] | Iterable["Value"]
"""Content of an element: text, a record by field name, or the items of a list."""

NOT_FOUND_ENTRY = KepEntry(0, "", active=False, status="")


def envelope(operation: str, soap: str, content: Iterable[str], *, failure: str | None = None) -> Iterator[str]:
    """The whole answer around the pieces of ``Sonuclar``. ``failure`` makes it an in-band error instead."""
    yield (
        '<?xml version="1.0" encoding="utf-8"?>'
        f'<soap:Envelope xmlns:soap="{soap}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xmlns:xsd="http://www.w3.org/2001/XMLSchema"><soap:Body>'
        f'<{operation}Response xmlns="{NAMESPACE}"><{operation}Result>'
        f"<SonucHatali>{_boolean(failure is not None)}</SonucHatali>"
    )
    if failure is not None:
        if OPERATIONS[operation].result == "SonucOOfKepBilgileriWs":
            yield from ("<Sonuclar>", entry_fields(NOT_FOUND_ENTRY), "</Sonuclar>")
        yield f"<HataMsj>{escape(failure)}</HataMsj>"
    else:
        yield "<Sonuclar>"
        yield from content
        yield "</Sonuclar>"
    yield f"</{operation}Result></{operation}Response></soap:Body></soap:Envelope>"


def contradiction(operation: str, soap: str, content: Iterable[str] | None) -> Iterator[str]:
    """An answer at odds with itself: failed, yet with ``content``; or, without, successful, yet with a message."""
    failed = _boolean(content is not None)
    for piece in envelope(operation, soap, content or ()):
        if content is None and piece in {"<Sonuclar>", "</Sonuclar>"}:
            continue
        if piece.startswith("</") and piece.endswith("Envelope>"):
            yield "<HataMsj>Kayıtların bir bölümü okunamadı.</HataMsj>"
        yield piece.replace("<SonucHatali>false<", f"<SonucHatali>{failed}<")


def fault(soap: str, reason: str, *, sender: bool) -> str:
    """A soap:Fault as ASMX words it; it goes out with HTTP 500."""
    if soap == SOAP_12:
        code = "Sender" if sender else "Receiver"
        inside = (
            f"<soap:Code><soap:Value>soap:{code}</soap:Value></soap:Code>"
            f'<soap:Reason><soap:Text xml:lang="en">{escape(reason)}</soap:Text></soap:Reason><soap:Detail />'
        )
    else:
        code = "Client" if sender else "Server"
        inside = f"<faultcode>soap:{code}</faultcode><faultstring>{escape(reason)}</faultstring><detail />"
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        f'<soap:Envelope xmlns:soap="{soap if soap == SOAP_12 else SOAP_11}"><soap:Body>'
        f"<soap:Fault>{inside}</soap:Fault></soap:Body></soap:Envelope>"
    )


def unit_element(unit: Unit) -> str:
    """One ``KurumBirimWS``, written by hand because lists have hundreds of thousands."""
    place = f">{unit.place_id}</Fk_BulunduguYerID>" if unit.place_id is not None else ' xsi:nil="true" />'
    kinds = ""
    if unit.kind is not None:
        kinds = (
            f"<KurumBirimTip3ler><KurumBirimTip3WS><ID>{unit.number % 100_000}</ID><DETSISNo>{unit.number}</DETSISNo>"
            f"<Fk_KurumBirimTip3ID>{unit.category_id * 10}</Fk_KurumBirimTip3ID><TipAdi>{unit.kind}</TipAdi>"
            "</KurumBirimTip3WS></KurumBirimTip3ler>"
        )
    # Real paths are joined with uneven spaces.
    path = escape((" >" if unit.number % 2 else " > ").join(unit.path))
    return (
        f"<KurumBirimWS><DETSISNo>{unit.number}</DETSISNo><Ad>{escape(unit.name)}</Ad>"
        f"<ParentIdareKimlikKodu>{unit.parent_no}</ParentIdareKimlikKodu>"
        f"<AnaKurumIdareKimlikKodu>{unit.main_no}</AnaKurumIdareKimlikKodu><Fk_BulunduguYerID{place}"
        f"<Fk_KurumBirimTipID1>{unit.category_id}</Fk_KurumBirimTipID1>"
        f"<Fk_KurumBirimTipID2>{unit.status_id}</Fk_KurumBirimTipID2>"
        f"<KurumHiyerarsik>{path}</KurumHiyerarsik><Aktifmi>{unit.active}</Aktifmi>{kinds}"
        f"<ParentIdareKimlikKodu2>{unit.second_parent_no}</ParentIdareKimlikKodu2>"
        f"<FaalOlupOlmadigi>{_boolean(unit.operating)}</FaalOlupOlmadigi><Seviye>{unit.level}</Seviye>"
        f"<DisYazismaMuhatabiOlupOlmadigi>{_boolean(unit.external_addressee)}</DisYazismaMuhatabiOlupOlmadigi>"
        f"{_optional('Adres', unit.postal_address)}{_optional('YerAdi', unit.place_name)}</KurumBirimWS>"
    )


def entry_fields(entry: KepEntry) -> str:
    """The children of one ``KepBilgileriWs``."""
    return (
        f"<KurumDetsisNo>{entry.number}</KurumDetsisNo>{_optional('KepAdresi', entry.address or None)}"
        f"<Aktifmi>{_boolean(entry.active)}</Aktifmi>{_optional('Durum', entry.status or None)}"
    )


def entry_element(entry: KepEntry) -> str:
    """One ``KepBilgileriWs`` as a list item."""
    return f"<KepBilgileriWs>{entry_fields(entry)}</KepBilgileriWs>"


def record_pieces(kind: str, record: Mapping[str, Value]) -> Iterator[str]:
    """The children of one record, in the contract's order. Raises ``ValueError`` for a field it does not have."""
    known = all_fields(kind)
    if unknown := record.keys() - {field.name for field in known}:
        raise ValueError(f"{kind} has no {sorted(unknown)}")
    for field in known:
        value = record.get(field.name)
        for item in _list(value) if field.repeated else (value,):
            yield from _element(field.name, field.type, item, required=not field.optional)


def _element(name: str, kind: str, value: Value, *, required: bool) -> Iterator[str]:
    if value is None:
        if required:
            yield f'<{name} xsi:nil="true" />'
    elif is_complex(kind):
        yield f"<{name}>"
        if isinstance(value, Mapping):
            yield from record_pieces(kind, value)
        else:
            yield from record_pieces(kind, {all_fields(kind)[0].name: value})
        yield f"</{name}>"
    else:
        yield f"<{name}>{_text(value)}</{name}>"


def _list(value: Value) -> Iterable[Value]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str | int | bytes | Mapping) else value


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return _boolean(value)
    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else escape(str(value))


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _optional(name: str, text: str | None) -> str:
    return "" if text is None else f"<{name}>{escape(text)}</{name}>"
