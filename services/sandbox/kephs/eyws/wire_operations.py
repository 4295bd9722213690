"""What each operation answers, in the shapes of kep.md 2.8: the state stands somewhere else in almost every one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeAlias

from services.sandbox.kephs.evidence import EvidenceFacts
from services.sandbox.kephs.eyws.login import Credentials
from services.sandbox.kephs.eyws.messages import Handed, ListedMessage
from services.sandbox.kephs.eyws.refusals import RefusalCode, RefusedCall
from services.sandbox.kephs.eyws.sending import Draft
from services.sandbox.kephs.eyws.service import SoapService
from services.sandbox.kephs.eyws.wire_requests import Binary, Call
from services.sandbox.kephs.plan import Account, LoginPolicy
from services.sandbox.kephs.standing import KILOBYTE
from services.sandbox.kephs.store import INBOX, MailRow
from shared.domain.identifiers import ascii_lower

Values: TypeAlias = Mapping[str, Any]
_Carrier: TypeAlias = Callable[[SoapService, Account, Call], Awaitable[Values]]
_PACKAGE_KINDS = {"Standart": "standart", "ETEbligat": "eTebligat", "EYazisma": "eYazisma"}
_CREDIT_UNIT = "Kontör"
_UNLIMITED_QUOTA = 1024 * 1024
"""Kilobytes told for an account without a quota."""
_SKEW_SECONDS = 300.0
_NUMBER_OF_COPIES = 1000
"""Between the numbers of a message that is listed twice."""


async def carry_out(service: SoapService, call: Call) -> Values:
    """The children of the answer's wrapper. What the service refuses is an answer as well, never an exception."""
    try:
        account = service.login.authenticate(_credentials(call))
        _refuse_if_ordered(service, account, call, "eyws.rate_limited", RefusalCode.TOO_MANY_CALLS)
        return await _CARRIERS[call.operation](service, account, call)
    except RefusedCall as refused:
        return _refusal(call.operation, refused)


def address_of(call: Call) -> str:
    """The KEP address that calls."""
    return _credentials(call).address


def _credentials(call: Call) -> Credentials:
    values = _holder(call)
    return Credentials(*((values.get(name) or "") for name in ("kepHesap", "tcno", "parola", "sifre")))


def _holder(call: Call) -> Values:
    """``kepHesap`` is an object that holds a ``kepHesap``, except where it is the whole parameter."""
    inner = call.values.get("kepHesap")
    if isinstance(inner, str):
        return call.values
    return inner or {}


def _refusal(operation: str, refused: RefusedCall) -> Values:
    code, text = int(refused.code), refused.text
    match operation:
        case "Giris" | "GuvenliGiris" | "MimeYap":
            return {"return": {"durum": "1", "hataaciklama": text}}
        case "PaketSorgula" | "PaketDelilSorgula":
            return {"return": {"durum": [code], "hataaciklama": [text]}}
        case "PaketSorgula2" | "PaketSorgula3" | "PaketDetayDelilSorgula":
            return {"durum": code, "hataaciklama": text}
        case "KontorSorgula":
            return {"return": {"cins": text}}
        case "KotaSorgula":
            return {"return": None}
        case "DizinSorgula":
            return {"return": [None]}
        case "IstatistikSorgula":
            return {"sonuc": text}
        case _:
            return {"return": {"durum": code, "hataaciklama": text}}


# Logging in


async def _log_in(service: SoapService, account: Account, call: Call) -> Values:
    challenge = service.login.begin(account, LoginPolicy(call.values["girisTur"] or "BASE"))
    values: dict[str, Any] = {"durum": "0"}
    if challenge is not None:
        values["eGuvenlikId"] = challenge.security_id
        if challenge.text:
            values |= {"eMetin": challenge.text, "eHash": challenge.digest}
    return {"return": values}


async def _log_in_safely(service: SoapService, account: Account, call: Call) -> Values:
    values = call.values
    opened = service.login.confirm(
        account,
        LoginPolicy(values["girisTur"] or "BASE"),
        values["eGuvenlikId"] or "",
        sms_key=values["smsKey"] or "",
        signature=_content(values["eCadesBes"]),
    )
    return {"return": {"durum": "0", "eGuvenlikId": opened}}


# Sending


async def _upload(service: SoapService, account: Account, call: Call) -> Values:
    _refuse_if_ordered(service, account, call, "eyws.credit_exhausted", RefusalCode.NO_CREDIT)
    if service.faults.take("eyws.outer_ok_inner_failed", **service.scope(call.operation, account.address)):
        return {"return": {"durum": 0, "hataaciklama": RefusedCall(RefusalCode.INNER_FAILURE).text}}
    kind = _PACKAGE_KINDS[call.values["ePaketTur"] or "Standart"]
    message_id = service.sending.upload(account, _content(call.values["ePaket"]), kind)
    return {"return": {"durum": 0, "kepId": message_id}}


async def _build(service: SoapService, account: Account, call: Call) -> Values:
    values = call.values
    draft = Draft(
        kind=_PACKAGE_KINDS[values["ePaketTur"] or "Standart"],
        reference=values["ePaketId"] or "",
        recipients=values["kime"] or "",
        subject=values["konu"] or "",
        text=values["icerik"] or "",
        is_html=values["eIcerikTur"] == "HTML",
        attachments=[Handed(one.content, one.media_type, one.file_name) for one in values["ekler"] if one],
        digest=values["eOzetAlg"] or "SHA256",
    )
    message_id, digest = service.sending.build(account, draft)
    return {"return": {"durum": "0", "eHash": digest, "mesajid": message_id}}


async def _send_built(service: SoapService, account: Account, call: Call) -> Values:
    _refuse_if_ordered(service, account, call, "eyws.credit_exhausted", RefusalCode.NO_CREDIT)
    if service.faults.take("eyws.outer_ok_inner_failed", **service.scope(call.operation, account.address)):
        return {"return": {"durum": 0, "hataaciklama": RefusedCall(RefusalCode.INNER_FAILURE).text}}
    service.sending.send_built(account, call.values["mesajid"] or "", _content(call.values["imza"]))
    return {"return": {"durum": 0}}


def _refuse_if_ordered(service: SoapService, account: Account, call: Call, fault: str, code: RefusalCode) -> None:
    if service.faults.take(fault, **service.scope(call.operation, account.address)):
        raise RefusedCall(code)


# Listing and downloading


async def _list(service: SoapService, account: Account, call: Call) -> Values:
    found = _listed(service, account, call)
    if not found or service.faults.take("eyws.nil_arrays", **service.scope(call.operation, account.address)):
        return {"return": {"durum": [None], **{name: [None] for name in _columns([])}, "hataaciklama": [None]}}
    return {"return": {"durum": [0] * len(found), **_columns(found), "hataaciklama": [None] * len(found)}}


async def _list_newly(service: SoapService, account: Account, call: Call) -> Values:
    found = _listed(service, account, call)
    if service.faults.take("eyws.nil_arrays", **service.scope(call.operation, account.address)):
        return {"iletiler": [{name: [None] for name in _columns([])}], "durum": 0}
    return {"iletiler": [_columns([one]) for one in found], "durum": 0}


def _listed(service: SoapService, account: Account, call: Call) -> list[ListedMessage]:
    scope = service.scope(call.operation, account.address)
    values = call.values
    # A start after the end is no error, only empty (kep.md 6.6).
    since, until = values["ilktarih"], values["sontarih"]
    if skew := service.faults.draw("eyws.clock_skew", **scope):
        ahead = timedelta(seconds=_SKEW_SECONDS if skew.value is None else skew.value)
        since, until = since and since - ahead, until and until - ahead
    found = service.shelf.listed(_key(account), values["dizin"] or INBOX, since, until)
    if service.faults.take("eyws.duplicate_entry", **scope):
        found = [copy for one in found for copy in (one, replace(one, number=one.number + _NUMBER_OF_COPIES))]
    if shift := service.faults.draw("eyws.renumber", **scope):
        found = [replace(one, number=one.number + int(shift.value or 1)) for one in found]
    return found


def _columns(found: Sequence[ListedMessage]) -> dict[str, list[Any]]:
    """Parallel lists; nil where a message has nothing to say."""
    return {
        "kepId": [one.message_id or None for one in found],
        "OrgMesajId": [one.original_message_id or None for one in found],
        "kepSiraNo": [one.number for one in found],
        "from": [one.sender or None for one in found],
        "fromKep": [one.sender_address or None for one in found],
        "konu": [one.subject or None for one in found],
        "tur": [one.kind or None for one in found],
        "turId": [one.reference or None for one in found],
    }


async def _download(service: SoapService, account: Account, call: Call) -> Values:
    service.login.require_second_factor(account, call.values["eGuvenlikId"] or "")
    scope = service.scope(call.operation, account.address)
    row = _named(service, account, call)
    if row is None or service.faults.take("eyws.empty_download", **scope):
        return {"return": {"durum": 0, "ePaket": [Binary(b"", "application/octet-stream")]}}
    if service.faults.take("eyws.wrong_content", **scope):
        files = [service.shelf.another(row)]
    else:
        files = _files(service, row, call.values["ePart"] or "ALL")
    if service.standings.of(account.address).read_by == "download":
        service.shelf.mark_taken(row)
    return {"return": {"durum": 0, "ePaket": [Binary(one.content, one.media_type, one.name) for one in files]}}


def _files(service: SoapService, row: MailRow, part: str) -> list[Handed]:
    if part == "ORGM":
        return [service.shelf.original(row)]
    if part == "ORGMATTACH":
        return service.shelf.attachments(row)
    return [service.shelf.whole(row)]


async def _confirm_receipt(service: SoapService, account: Account, call: Call) -> Values:
    row = _required(service, account, call)
    if service.standings.of(account.address).read_by == "confirmation":
        service.shelf.mark_taken(row)
    return {"return": {"durum": 0}}


async def _delete(service: SoapService, account: Account, call: Call) -> Values:
    await service.shelf.delete(_required(service, account, call))
    return {"return": {"durum": 0}}


def _named(service: SoapService, account: Account, call: Call) -> MailRow | None:
    values = call.values
    return service.shelf.find(_key(account), values["dizin"] or INBOX, values["kepId"], values["kepSiraNo"])


def _required(service: SoapService, account: Account, call: Call) -> MailRow:
    row = _named(service, account, call)
    if row is None:
        raise RefusedCall(RefusalCode.NO_SUCH_MESSAGE)
    return row


# Evidence


async def _list_evidence(service: SoapService, account: Account, call: Call) -> Values:
    found = _told(service, account, call)
    if service.faults.take("eyws.nil_arrays", **service.scope(call.operation, account.address)):
        columns = ("durum", "delilId", "delilTurId", "delilaciklama", "tarih", "kephs", "hataaciklama")
        return {"return": {name: [None] for name in columns}}
    if not found:
        return {"return": {}}
    return {
        "return": {
            "durum": [0] * len(found),
            "delilId": [one.identifier for one in found],
            "delilTurId": [one.code for one in found],
            "delilaciklama": [one.text for one in found],
            "tarih": [one.moment for one in found],
            "kephs": [one.issuer for one in found],
            "hataaciklama": [None] * len(found),
        }
    }


async def _list_evidence_by_recipient(service: SoapService, account: Account, call: Call) -> Values:
    found = _told(service, account, call)
    if service.faults.take("eyws.nil_arrays", **service.scope(call.operation, account.address)):
        return {"DelilSonuc": [None], "durum": 0}
    items = [
        {
            "durum": 0, "delilId": one.identifier, "delilTurId": one.code, "delilaciklama": one.text,
            "tarih": one.moment, "kephs": one.issuer, "alici": recipient,
        }
        for one in found
        for recipient in one.recipients or (None,)
    ]  # fmt: skip
    return {"DelilSonuc": items, "durum": 0}


def _told(service: SoapService, account: Account, call: Call) -> list[EvidenceFacts]:
    scope = service.scope(call.operation, account.address)
    message_id = call.values["kepId"]
    if not message_id:
        message_id = _required(service, account, call).message_id
    found = service.shelf.evidence(_key(account), message_id)
    if service.faults.take("eyws.duplicate_entry", **scope):
        found = [copy for one in found for copy in (one, one)]
    if service.faults.take("eyws.reorder_evidence", **scope):
        found.reverse()
    return found


async def _download_evidence(service: SoapService, account: Account, call: Call) -> Values:
    _refuse_if_ordered(service, account, call, "eyws.evidence_download_fails", RefusalCode.NO_SUCH_EVIDENCE)
    identifier = call.values["delilId"] or ""
    document = service.shelf.evidence_file(_key(account), identifier)
    return {"return": {"durum": 0, "eDelil": Binary(document, "application/xml", f"Delil-{identifier}.xml")}}


# The account


async def _credit(service: SoapService, account: Account, call: Call) -> Values:
    empty = service.faults.take("eyws.credit_exhausted", **service.scope(call.operation, account.address))
    credit = 0 if empty else service.standings.of(account.address).credit
    return {"return": {"miktar": f"{credit:f}".rstrip("0").rstrip(".") or "0", "cins": _CREDIT_UNIT}}


async def _quota(service: SoapService, account: Account, _call: Call) -> Values:
    room = service.standings.room(account.address)
    return {"return": _UNLIMITED_QUOTA if room is None else room // KILOBYTE}


async def _statistics(service: SoapService, account: Account, _call: Call) -> Values:
    counts = [
        f"{name}={len(service.shelf.listed(_key(account), name))}" for name in service.shelf.folders(_key(account))
    ]
    return {"sonuc": ";".join(counts)}


async def _folders(service: SoapService, account: Account, _call: Call) -> Values:
    return {"return": service.shelf.folders(_key(account))}


def _key(account: Account) -> str:
    return ascii_lower(account.address)


def _content(binary: Binary | None) -> bytes:
    return b"" if binary is None else binary.content


_CARRIERS: dict[str, _Carrier] = {
    "Giris": _log_in,
    "GuvenliGiris": _log_in_safely,
    "Yukle": _upload,
    "MimeYap": _build,
    "SmimeGonder": _send_built,
    "PaketSorgula": _list,
    "PaketSorgula2": _list_newly,
    "PaketSorgula3": _list_newly,
    "Indir": _download,
    "AlindiOnay": _confirm_receipt,
    "PaketSil": _delete,
    "PaketDelilSorgula": _list_evidence,
    "PaketDetayDelilSorgula": _list_evidence_by_recipient,
    "PaketDelilIndir": _download_evidence,
    "KontorSorgula": _credit,
    "KotaSorgula": _quota,
    "IstatistikSorgula": _statistics,
    "DizinSorgula": _folders,
}
