"""The service as a SOAP library and a raw caller see it: WSDL, namespaces, shapes of answers."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import pytest
import zeep
from zeep.transports import Transport

from services.sandbox.kephs.eyws.refusals import RefusalCode
from services.sandbox.kephs.eyws.wire_contract import OPERATIONS
from tests.support.eyws_provider import A, B, C, EywsAccount, EywsProviders, eventually
from tests.unit.sandbox_kephs.eyws_fixtures import eyws

__all__ = ["eyws"]


def credentials(account: EywsAccount, **other: str) -> dict[str, str]:
    return {
        "kepHesap": account.address, "tcno": account.agent_no, "parola": account.password,
        "sifre": account.second_password, **other,
    }  # fmt: skip


class Caller:
    """zeep on the WSDL that the service itself offers, as one account; calls run in a thread."""

    def __init__(self, account: EywsAccount) -> None:
        import requests

        session = requests.Session()
        session.verify = str(account.ca_file)
        session.trust_env = False
        self.account = account
        self.client = zeep.Client(
            account.url + "?wsdl", transport=Transport(session=session, timeout=60, operation_timeout=60)
        )
        self.service = self.client.create_service("{http://ws.apache.org/axis2}eyServisSOAPBinding", account.url)

    async def __call__(self, operation: str, /, flat: bool = False, **values: Any) -> Any:
        holder = credentials(self.account)
        parameter = holder if flat else {"kepHesap": holder, **values}
        return await asyncio.to_thread(getattr(self.service, operation), param0=parameter)


def binary(content: bytes) -> dict[str, Any]:
    return {"_value_1": content, "contentType": "application/octet-stream"}


async def test_a_letter_goes_out_and_comes_in_over_the_service(eyws: EywsProviders) -> None:
    sender = await asyncio.to_thread(Caller, eyws.accounts[A])
    recipient = await asyncio.to_thread(Caller, eyws.accounts[B])
    letter = eyws.letter(reference="ref-7")
    sent = await sender("Yukle", ePaket=binary(letter.raw), ePaketTur="EYazisma")
    assert (sent.durum, sent.kepId, sent.hataaciklama) == (0, letter.message_id, None)

    await eyws.issued(letter, 10, 20, 40)
    listed = await recipient("PaketSorgula")
    (mail,) = eyws.mails(B)
    assert listed.durum == [0]
    assert listed.kepId == [mail.message_id]
    assert listed.OrgMesajId == [letter.message_id]
    assert listed.kepSiraNo == [mail.uid]
    assert (listed.fromKep, listed.konu, listed.tur, listed.turId) == ([A], ["Görüş talebi"], ["eYazisma"], ["ref-7"])
    assert listed.hataaciklama == [None]

    whole = await recipient("Indir", kepId=mail.message_id)
    assert whole.durum == 0
    # zeep takes line breaks off both ends of a part in binary transfer encoding
    assert whole.ePaket[0]["_value_1"] == eyws.providers.content(B, "INBOX", mail.uid).strip(b"\r\n")
    assert not eyws.mails(B)[0].seen
    original = await recipient("Indir", kepId=mail.message_id, ePart="ORGM")
    assert original.ePaket[0]["_value_1"] == letter.raw.strip(b"\r\n")
    parts = await recipient("Indir", kepId=mail.message_id, ePart="ORGMATTACH")
    assert [part["fileName"] for part in parts.ePaket] == ["belge.eyp", "smime.p7s"]
    assert parts.ePaket[0]["_value_1"] == b"PK\x03\x04 paket"

    assert (await recipient("AlindiOnay", kepId=mail.message_id)).durum == 0
    await eyws.issued(letter, 60)
    await eventually(lambda: len(eyws.providers.evidence(letter.message_id)) == 4)


async def test_every_operation_of_the_wsdl_can_be_called(eyws: EywsProviders) -> None:
    """A SOAP library builds each request from the WSDL alone and reads each answer by it."""
    caller = await asyncio.to_thread(Caller, eyws.accounts[A])
    letter = eyws.letter(recipient=C)
    assert (await caller("Giris", girisTur="BASE")).durum == "0"
    await caller("Yukle", ePaket=binary(letter.raw), ePaketTur="EYazisma")
    await eyws.delivered(letter, C)
    await eventually(lambda: eyws.providers.unfinished() == 0)
    credit = await caller("KontorSorgula", flat=True)
    assert (credit.miktar, credit.cins) == (999_999, "Kontör")
    assert await caller("DizinSorgula", flat=True) == ["INBOX", "INBOX.Sent"]
    assert await caller("KotaSorgula", flat=True) == 1024 * 1024
    assert await caller("IstatistikSorgula", flat=True) == "INBOX=0;INBOX.Sent=1"
    window = {"ilktarih": datetime(2020, 1, 1), "sontarih": datetime(2100, 1, 1), "dizin": "INBOX.Sent"}  # noqa: DTZ001
    assert (await caller("PaketSorgula", **window)).kepId == [letter.message_id]
    for operation in ("PaketSorgula2", "PaketSorgula3"):
        listed = await caller(operation, **window)
        assert listed.durum == 0
        assert [one.kepId for one in listed.iletiler] == [[letter.message_id]]
    evidence = await caller("PaketDelilSorgula", kepId=letter.message_id)
    assert evidence.delilTurId == [10, 40]
    assert all(moment.tzinfo is None for moment in evidence.tarih)
    detailed = await caller("PaketDetayDelilSorgula", kepId=letter.message_id)
    assert [(one.delilTurId, one.alici) for one in detailed.DelilSonuc] == [(10, C), (40, C)]
    document = await caller("PaketDelilIndir", delilId=evidence.delilId[0])
    assert document.eDelil["_value_1"].startswith(b"<?xml")
    assert document.eDelil["fileName"] == f"Delil-{evidence.delilId[0]}.xml"
    built = await caller("MimeYap", ePaketTur="Standart", kime=B, konu="Konu", icerik="Metin", eIcerikTur="TEXT",
                         ekler=[binary(b"PK")], eOzetAlg="SHA256")  # fmt: skip
    assert (built.durum, len(built.eHash)) == ("0", 44)
    refused = await caller("SmimeGonder", mesajid=built.mesajid, imza=binary(b"no signature"))
    assert refused.durum == int(RefusalCode.BAD_MESSAGE)
    assert (await caller("GuvenliGiris", girisTur="OTP", smsKey="1", eGuvenlikId="x")).durum == "1"
    found = await caller("Indir", kepId=letter.message_id, dizin="INBOX.Sent")
    assert found.ePaket[0]["_value_1"].startswith(b"From: ")
    assert (await caller("AlindiOnay", kepId=letter.message_id, dizin="INBOX.Sent")).durum == 0
    assert (await caller("PaketSil", kepId=letter.message_id, dizin="INBOX.Sent")).durum == 0
    for operation in ("YukleTebligat", "TevdiListesiOlustur", "TevdiListesiSil", "YetkiliKayit", "YetkiliSil"):
        with pytest.raises(zeep.exceptions.Fault, match="not offered"):
            await caller(operation)
    offered = set(caller.client.wsdl.bindings["{http://ws.apache.org/axis2}eyServisSOAPBinding"]._operations)
    assert offered == set(OPERATIONS)
    assert len(offered) == 23
