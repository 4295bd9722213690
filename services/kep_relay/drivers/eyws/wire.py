"""The service's own names: operations, requests, enumerations (kep.md 2.2 to 2.6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from services.kep_relay.drivers.protocol import MailboxAccount
from shared.clock import ISTANBUL

WRAPPERS = "http://ws.apache.org/axis2"
SERVICE = "eyServis"
PORT = "eyServisSOAPport_http"
OCTETS = "application/octet-stream"
TYPE_HEADER = "X-TR-REM-iletiTip"
PACKAGE_TYPES = {"standart": "Standart", "eyazisma": "EYazisma", "etebligat": "ETEbligat"}
"""The header's value in lower case, and the enumeration that says the same (kep.md 2.6)."""
BINARY = frozenset({"ePaket", "eDelil"})
"""Elements of answers that hold files."""


class Operation(StrEnum):
    """What this driver calls."""

    LOGIN = "Giris"
    SECOND_LOGIN = "GuvenliGiris"
    UPLOAD = "Yukle"
    LIST = "PaketSorgula"
    DOWNLOAD = "Indir"
    CONFIRM = "AlindiOnay"
    DELETE = "PaketSil"
    LIST_EVIDENCE = "PaketDelilSorgula"
    LIST_EVIDENCE_IN_DETAIL = "PaketDetayDelilSorgula"
    DOWNLOAD_EVIDENCE = "PaketDelilIndir"
    CREDIT = "KontorSorgula"
    QUOTA = "KotaSorgula"
    FOLDERS = "DizinSorgula"


@dataclass(frozen=True)
class Call:
    """One operation with its parameter."""

    operation: Operation
    parameter: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"Call({self.operation})"  # the parameter holds passwords

    @property
    def secrets(self) -> tuple[str, ...]:
        """What the service may repeat of it and must show in no text, beside the account's own secrets."""
        return tuple(text for name in ("eGuvenlikId", "smsKey") if (text := self.parameter.get(name)))


def action(operation: Operation) -> str:
    """The SOAPAction."""
    return f"urn:{operation}"


def response_tag(operation: Operation) -> str:
    """Local name of the answer's wrapper."""
    return f"{operation}Response"


def secrets(mailbox: MailboxAccount) -> tuple[str, ...]:
    """What must show in no text about this account."""
    service = mailbox.eyws_service
    return (
        mailbox.password.get_secret_value(),
        service.second_password.get_secret_value(),
        service.agent_no.get_secret_value(),
    )


def _account(mailbox: MailboxAccount) -> dict[str, str]:
    service = mailbox.eyws_service
    return {
        "kepHesap": mailbox.address,
        "tcno": service.agent_no.get_secret_value(),
        "parola": mailbox.password.get_secret_value(),
        "sifre": service.second_password.get_secret_value(),
    }


def _login_kind(mailbox: MailboxAccount) -> str:
    return {"password": "BASE", "sms": "OTP", "signature": "EIMZA"}[mailbox.eyws_service.login]


def login(mailbox: MailboxAccount) -> Call:
    """The first step; it may send an SMS."""
    return Call(Operation.LOGIN, {"kepHesap": _account(mailbox), "girisTur": _login_kind(mailbox)})


def second_login(mailbox: MailboxAccount, security_id: str, answer: bytes) -> Call:
    """The second step: the SMS key as text, or the signature in DER."""
    parameter: dict[str, Any] = {
        "kepHesap": _account(mailbox),
        "girisTur": _login_kind(mailbox),
        "eGuvenlikId": security_id,
    }
    if mailbox.eyws_service.login == "sms":
        parameter["smsKey"] = answer.decode("ascii")
    else:
        parameter["eCadesBes"] = {"_value_1": answer, "contentType": OCTETS, "fileName": "signature.p7s"}
    return Call(Operation.SECOND_LOGIN, parameter)


def upload(mailbox: MailboxAccount, placeholder: bytes, package_type: str) -> Call:
    """A whole message; ``placeholder`` stands where its bytes go."""
    content = {"_value_1": placeholder, "contentType": OCTETS, "fileName": "message.eml"}
    return Call(
        Operation.UPLOAD, {"kepHesap": _account(mailbox), "ePaket": content, "ePaketTur": package_type}
    )  # fmt: skip


def list_messages(mailbox: MailboxAccount, folder: str, start: datetime, end: datetime) -> Call:
    """What a folder got between two moments, written as local times without zone (kep.md 2.9)."""
    return Call(
        Operation.LIST,
        {"kepHesap": _account(mailbox), "ilktarih": _local(start), "sontarih": _local(end), "dizin": folder},
    )


def download(mailbox: MailboxAccount, folder: str, message_id: str, security_id: str) -> Call:
    """A whole message. Only its id names it: the folder's numbers are used anew (kep.md 7.20)."""
    return Call(
        Operation.DOWNLOAD,
        {
            "kepHesap": _account(mailbox), "kepId": message_id, "ePart": "ALL", "eGuvenlikId": security_id,
            "dizin": folder,
        },
    )  # fmt: skip


def about_message(operation: Operation, mailbox: MailboxAccount, folder: str, message_id: str) -> Call:
    """Confirming, deleting, and asking for evidence."""
    return Call(operation, {"kepHesap": _account(mailbox), "kepId": message_id, "dizin": folder})


def download_evidence(mailbox: MailboxAccount, provider_id: str) -> Call:
    """One document."""
    return Call(Operation.DOWNLOAD_EVIDENCE, {"kepHesap": _account(mailbox), "delilId": provider_id})


def about_account(operation: Operation, mailbox: MailboxAccount) -> Call:
    """Credit, quota, folders."""
    return Call(operation, _account(mailbox))


def _local(moment: datetime) -> datetime:
    return moment.astimezone(ISTANBUL).replace(tzinfo=None, microsecond=0)
