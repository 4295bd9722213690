"""Operations over raw HTTP: names and shapes of kep.md 2.2 and 2.8, and what is refused."""

from __future__ import annotations

import base64
from datetime import timedelta
from email import message_from_bytes, policy
from typing import cast

import pytest
from asn1crypto import cms
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from services.sandbox.kephs.cms import sign_detached
from services.sandbox.kephs.eyws import endpoint
from services.sandbox.kephs.eyws.refusals import RefusalCode
from services.sandbox.pki.identity import Identity
from shared.clock import SystemClock
from tests.support.eyws_provider import A, B, C, EywsProviders, WrittenLetter, eventually
from tests.unit.sandbox_kephs.eyws_calls import A_NAMESPACE, X_NAMESPACE, envelope, holder
from tests.unit.sandbox_kephs.eyws_fixtures import Callers, callers, eyws

__all__ = ["callers", "eyws"]


def qualified(*names: str) -> list[str]:
    return [f"{{{X_NAMESPACE}}}{name}" for name in names]


async def test_wrappers_and_their_children_have_the_published_names(eyws: EywsProviders, callers: Callers) -> None:
    """Request and answer as a working client sends and reads them: wrapper and ``param0`` in A, all below in X."""
    caller, letter = callers(), eyws.letter()
    answer = await caller("Yukle", ("ePaket", letter.raw), ("ePaketTur", "EYazisma"))
    wrapper = answer.root[0][0]
    assert wrapper.tag == f"{{{A_NAMESPACE}}}YukleResponse"
    assert [child.tag for child in wrapper] == [f"{{{A_NAMESPACE}}}return"]
    assert [child.tag for child in wrapper[0]] == qualified("durum", "kepId")
    await eyws.issued(letter, 40)
    listed = (await callers(B)("PaketSorgula")).root[0][0][0]
    assert [child.tag for child in listed] == qualified(
        "durum", "kepId", "OrgMesajId", "kepSiraNo", "from", "fromKep", "konu", "tur", "turId", "hataaciklama"
    )


@pytest.mark.parametrize(
    ("operation", "wrapper", "children"),
    [
        ("PaketSorgula2", "PaketSorgulaResponse2", ["iletiler", "durum"]),
        ("PaketSorgula3", "PaketSorgulaResponse3", ["iletiler", "durum"]),
        ("PaketDetayDelilSorgula", "PaketDetayDelilSorgulaResponse", ["DelilSonuc", "durum"]),
    ],
)
async def test_answers_without_a_return_element(
    eyws: EywsProviders, callers: Callers, operation: str, wrapper: str, children: list[str]
) -> None:
    caller, letter = callers(), eyws.letter(recipient="nodelil@hs99.kep.tr")
    await caller("Yukle", ("ePaket", letter.raw), ("ePaketTur", "EYazisma"))
    await eyws.issued(letter, 10)
    await eventually(lambda: eyws.providers.unfinished() == 0)
    which = ("kepId", letter.message_id) if operation.startswith("PaketDetay") else ("dizin", "INBOX.Sent")
    answer = (await caller(operation, which)).root[0][0]
    assert answer.tag == f"{{{A_NAMESPACE}}}{wrapper}"
    assert [child.tag for child in answer] == [f"{{{A_NAMESPACE}}}{name}" for name in children]


async def test_answers_that_are_a_plain_value(callers: Callers) -> None:
    caller = callers()
    for operation, child in (("KotaSorgula", "return"), ("IstatistikSorgula", "sonuc"), ("DizinSorgula", "return")):
        answer = (await caller.flat(operation)).root[0][0]
        assert answer.tag == f"{{{A_NAMESPACE}}}{operation}Response"
        assert {one.tag for one in answer} == {f"{{{A_NAMESPACE}}}{child}"}
        assert answer[0].text


async def test_nothing_found_is_one_nil_in_every_list(callers: Callers) -> None:
    answer = await callers()("PaketSorgula")
    for name in ("durum", "kepId", "kepSiraNo", "konu", "hataaciklama"):
        assert answer.texts(name) == [None]
    newer = await callers()("PaketSorgula2")
    assert newer.texts("iletiler") == []
    assert newer.text("durum") == "0"


async def test_windows_are_naive_turkish_time(eyws: EywsProviders, callers: Callers) -> None:
    """A window in UTC without a zone is three hours early; a start behind the end is empty, not an error."""
    letter = eyws.letter(recipient=C)
    await callers()("Yukle", ("ePaket", letter.raw), ("ePaketTur", "EYazisma"))
    mail = await eyws.delivered(letter, C)
    local = mail.received_at + timedelta(hours=3)

    async def found(start: timedelta, end: timedelta, zone: str = "") -> bool:
        window = [(local + shift).strftime("%Y-%m-%dT%H:%M:%S") + zone for shift in (start, end)]
        answer = await callers(C)("PaketSorgula", ("ilktarih", window[0]), ("sontarih", window[1]), ("dizin", "INBOX"))
        return answer.texts("kepId") == [mail.message_id]

    minute = timedelta(minutes=1)
    assert await found(-minute, minute)
    assert await found(-minute, minute, "+03:00")
    assert not await found(-minute, minute, "Z")
    assert not await found(minute, -minute)


async def test_sent_folder_knows_our_message_id_and_reference(eyws: EywsProviders, callers: Callers) -> None:
    letter = eyws.letter(reference="dispatch-9", recipient="nodelil@hs99.kep.tr")
    await callers()("Yukle", ("ePaket", letter.raw), ("ePaketTur", "EYazisma"))
    answer = await callers()("PaketSorgula", ("dizin", "INBOX.Sent"))
    assert answer.texts("kepId") == answer.texts("OrgMesajId") == [letter.message_id]
    assert (answer.text("tur"), answer.text("turId")) == ("eYazisma", "dispatch-9")
    assert eyws.mails(A, "Sent")[0].sha256 == letter.sha256
    unknown = await callers()("PaketSorgula", ("dizin", "OUTBOX"))
    assert unknown.texts("kepId") == []
    assert unknown.text("durum") == str(int(RefusalCode.NO_SUCH_FOLDER))


async def test_binaries_come_beside_the_xml_or_inside(eyws: EywsProviders, callers: Callers) -> None:
    letter = eyws.letter(attachment=bytes(range(256)) * 5000)
    await callers()("Yukle", ("ePaket", letter.raw), ("ePaketTur", "EYazisma"))
    mail = await eyws.delivered(letter)
    whole = await callers(B)("Indir", ("kepId", mail.message_id))
    assert whole.content_type.startswith("multipart/related")
    assert whole.binaries("ePaket") == [eyws.providers.content(B, "INBOX", mail.uid)]
    eyws.order("eyws.inline", count=1)
    inline = await callers(B)("Indir", ("kepSiraNo", str(mail.uid)), ("ePart", "ORGM"))
    assert inline.content_type.startswith("text/xml")
    assert inline.binaries("ePaket") == [letter.raw]
    gone = await callers(B)("Indir", ("kepId", "<nobody@hs99.kep.tr>"))
    assert gone.binaries("ePaket") == [b""]


async def test_a_request_with_parts_is_taken(eyws: EywsProviders, callers: Callers) -> None:
    """MTOM, as the vendor's own library sends it; the Content-ID is escaped in the reference."""
    caller, letter = callers(), eyws.letter()
    include = '<i:Include xmlns:i="http://www.w3.org/2004/08/xop/include" href="cid:mail%40client"/>'
    content = f"<x:kepHesap>{holder(caller.account)}</x:kepHesap><x:ePaket>{include}</x:ePaket>"
    document = envelope("Yukle", content + "<x:ePaketTur>EYazisma</x:ePaketTur>")
    kind = b'Content-Type: application/xop+xml; type="text/xml"\r\nContent-ID: <root>\r\n\r\n'
    body = (
        b"--b\r\n" + kind + document + b"\r\n--b\r\nContent-ID: <mail@client>\r\n\r\n" + letter.raw + b"\r\n--b--\r\n"
    )
    answer = await caller.send(body, 'multipart/related; boundary=b; start="<root>"; type="application/xop+xml"')
    assert answer.text("kepId") == letter.message_id
    assert eyws.mails(A, "Sent")[0].sha256 == letter.sha256
    cut = await caller.send(body[:-8], 'multipart/related; boundary=b; start="<root>"')
    assert "boundary" in cut.fault
    assert len(eyws.mails(A, "Sent")) == 1


async def test_header_and_package_kind_must_agree(eyws: EywsProviders, callers: Callers) -> None:
    caller, letter = callers(), eyws.letter()
    refused = await caller("Yukle", ("ePaket", letter.raw), ("ePaketTur", "Standart"))
    assert refused.text("durum") == str(int(RefusalCode.KIND_DISAGREES))
    assert refused.texts("kepId") == []
    wrong_case = await caller("Yukle", ("ePaket", letter.raw), ("ePaketTur", "eYazisma"))
    assert "eYazisma" in wrong_case.fault
    assert eyws.mails(A, "Sent") == []


@pytest.mark.parametrize("spoiled", ["From: c@hs98.kep.tr", "nothing signed", "no recipient"])
async def test_what_is_no_message_of_the_account_is_refused(
    eyws: EywsProviders, callers: Callers, spoiled: str
) -> None:
    raw = {
        "From: c@hs98.kep.tr": eyws.letter(sender=C).raw,
        "nothing signed": b"From: a@hs98.kep.tr\r\n\r\nMerhaba\r\n",
        "no recipient": eyws.letter(recipient="nobody").raw,
    }[spoiled]
    answer = await callers()("Yukle", ("ePaket", raw), ("ePaketTur", "EYazisma"))
    assert answer.text("durum") == str(int(RefusalCode.BAD_MESSAGE))
    assert answer.text("hataaciklama")
    assert eyws.mails(A, "Sent") == []


def signed_digest(digest: bytes, identity: Identity) -> bytes:
    """A detached CMS signature by someone who has seen the digest only."""
    assert isinstance(identity.key, ec.EllipticCurvePrivateKey)
    certificate = asn1_x509.Certificate.load(identity.certificate.public_bytes(Encoding.DER))
    attributes = cms.CMSAttributes(
        [
            cms.CMSAttribute({"type": "content_type", "values": ["data"]}),
            cms.CMSAttribute({"type": "message_digest", "values": [digest]}),
        ]
    )
    signer = cms.SignerInfo(
        {
            "version": "v1",
            "sid": cms.SignerIdentifier(
                "issuer_and_serial_number",
                cms.IssuerAndSerialNumber({"issuer": certificate.issuer, "serial_number": certificate.serial_number}),
            ),
            "digest_algorithm": {"algorithm": "sha256"},
            "signed_attrs": attributes,
            "signature_algorithm": {"algorithm": "sha256_ecdsa"},
            "signature": identity.key.sign(attributes.dump(), ec.ECDSA(hashes.SHA256())),
        }
    )
    signed = {
        "version": "v1", "digest_algorithms": [{"algorithm": "sha256"}], "encap_content_info": {"content_type": "data"},
        "certificates": [certificate], "signer_infos": [signer],
    }  # fmt: skip
    document: bytes = cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(signed)}).dump()
    return document


async def test_a_message_built_by_the_provider(eyws: EywsProviders, callers: Callers) -> None:
    """MimeYap, a signature over the digest it gives, SmimeGonder; signed by someone else's digest it is not sent."""
    caller = callers()
    built = await caller(
        "MimeYap", ("ePaketTur", "Standart"), ("ePaketId", "42"), ("kime", B), ("konu", "Konu ş"), ("icerik", "Metin"),
        ("eIcerikTur", "TEXT"), ("ekler", b"PK"), ("eOzetAlg", "SHA256"),
    )  # fmt: skip
    message_id = built.text("mesajid")
    assert message_id is not None
    assert message_id.startswith("<EYWS{")
    assert (built.text("durum"), message_id.endswith(".pttkepMimeyap>")) == ("0", True)
    digest = base64.b64decode(built.text("eHash") or "")
    assert len(digest) == 32
    now = SystemClock().now()
    wrong = await caller("SmimeGonder", ("mesajid", message_id), ("imza", sign_detached(b"other", eyws.signer, now)))
    assert wrong.text("durum") == str(int(RefusalCode.BAD_MESSAGE))
    assert eyws.mails(A, "Sent") == []
    sent = await caller("SmimeGonder", ("mesajid", message_id), ("imza", signed_digest(digest, eyws.signer)))
    assert sent.text("durum") == "0"
    assert sent.texts("kepId") == []
    (mail,) = eyws.mails(A, "Sent")
    assert mail.message_id == message_id
    message = message_from_bytes(eyws.providers.content(A, "Sent", mail.uid), policy=policy.default)
    assert (message["X-TR-REM-iletiTip"], message["X-TR-REM-iletiID"], message["To"]) == ("standart", "42", B)
    assert message["Subject"] == "Konu ş"
    assert {one.code for one in await eyws.issued(cast("WrittenLetter", mail), 10, 20, 40)} == {10, 20, 40}
    again = await caller("SmimeGonder", ("mesajid", message_id), ("imza", b""))
    assert again.text("durum") == str(int(RefusalCode.NO_SUCH_MESSAGE))
    sha1 = await caller("MimeYap", ("kime", B), ("konu", "k"), ("icerik", "i"), ("eOzetAlg", "SHA1"))
    assert sha1.text("durum") == "1"


async def test_evidence_with_and_without_recipients(eyws: EywsProviders, callers: Callers) -> None:
    """The list of a letter to two people, its stable ids, and the signed documents behind them."""
    caller = callers()
    letter = eyws.letter(recipient=f"{B}, full@hs99.kep.tr")
    await caller("Yukle", ("ePaket", letter.raw), ("ePaketTur", "EYazisma"))
    issued = await eyws.issued(letter, 10, 20, 40, 41)
    await eventually(lambda: eyws.providers.unfinished() == 0)
    issued = eyws.providers.evidence(letter.message_id)
    plain = await caller("PaketDelilSorgula", ("kepId", letter.message_id))
    assert sorted(plain.texts("delilTurId"), key=str) == ["10", "20", "20", "40", "41"]
    assert set(plain.texts("delilId")) == {one.identifier for one in issued}
    assert all(text is not None and "+" not in text and "Z" not in text for text in plain.texts("tarih"))
    again = await caller("PaketDelilSorgula", ("kepId", letter.message_id))
    assert again.body == plain.body
    detailed = await caller("PaketDetayDelilSorgula", ("kepId", letter.message_id))
    pairs = set(zip(detailed.texts("delilTurId"), detailed.texts("alici"), strict=True))
    full = "full@hs99.kep.tr"
    assert pairs == {("10", B), ("10", full), ("20", B), ("20", full), ("40", B), ("41", full)}
    by_id = {one.identifier: one.xml for one in issued}
    for identifier in set(plain.texts("delilId")):
        document = await caller("PaketDelilIndir", ("delilId", identifier))
        assert document.binaries("eDelil") == [by_id[identifier or ""]]
    missing = await caller("PaketDelilIndir", ("delilId", "nothing"))
    assert missing.binaries("eDelil") == []
    assert missing.text("durum") == str(int(RefusalCode.NO_SUCH_EVIDENCE))
    assert eyws.mails(A) == [], "an account of the service gets no evidence by mail"
    nothing = await caller("PaketDelilSorgula", ("kepId", "<nobody@x>"))
    assert nothing.texts("durum") == nothing.texts("delilId") == []


async def test_evidence_comes_by_mail_as_well_if_the_account_wants_it(eyws: EywsProviders, callers: Callers) -> None:
    eyws.providers.change_standing(A, evidence_by_mail=True)
    letter = eyws.letter()
    await callers()("Yukle", ("ePaket", letter.raw), ("ePaketTur", "EYazisma"))
    await eventually(lambda: len(eyws.mails(A)) == 3)
    assert {mail.kind for mail in eyws.mails(A)} == {"evidence"}
    listed = await callers()("PaketDelilSorgula", ("kepId", letter.message_id))
    assert len(listed.texts("delilId")) == 3


@pytest.mark.parametrize("reads", ["confirmation", "download"])
async def test_which_call_counts_as_reading_is_a_switch(eyws: EywsProviders, callers: Callers, reads: str) -> None:
    eyws.providers.change_standing(B, read_by=reads)
    letter = eyws.letter()
    await callers()("Yukle", ("ePaket", letter.raw), ("ePaketTur", "EYazisma"))
    mail = await eyws.delivered(letter)
    await callers(B)("Indir", ("kepId", mail.message_id))
    assert eyws.mails(B)[0].seen == (reads == "download")
    assert (await callers(B)("AlindiOnay", ("kepId", mail.message_id))).text("durum") == "0"
    await eyws.issued(letter, 60)


async def test_deletion(eyws: EywsProviders, callers: Callers) -> None:
    letter = eyws.letter()
    await callers()("Yukle", ("ePaket", letter.raw), ("ePaketTur", "EYazisma"))
    mail = await eyws.delivered(letter)
    assert (await callers(B)("PaketSil", ("kepSiraNo", str(mail.uid)))).text("durum") == "0"
    assert eyws.mails(B) == []
    again = await callers(B)("PaketSil", ("kepSiraNo", str(mail.uid)))
    assert again.text("durum") == str(int(RefusalCode.NO_SUCH_MESSAGE))


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "not well formed"),
        (b"<html/>", "envelope"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "document type"),
        (envelope("KontorSorgula", "<x:sifre>1</x:sifre><x:parola>1</x:parola>"), "parola"),
        (envelope("KontorSorgula", "<a:parola>1</a:parola>"), "parola"),
        (envelope("KontorSorgula", "<x:a>" * 50 + "</x:a>" * 50), "too deep"),
        (envelope("TumKontorSorgula", ""), "not offered"),
        (envelope("YetkiliSil", ""), "not offered"),
        (envelope("Nobody", ""), "no operation"),
        (envelope("AlindiOnay", "<x:kepSiraNo>2147483648</x:kepSiraNo>"), "out of range"),
        (envelope("PaketSorgula", "<x:ilktarih>yesterday</x:ilktarih>"), "dateTime"),
        (envelope("Yukle", "<x:ePaket>*</x:ePaket>"), "base64"),
        (
            envelope("Yukle", '<x:ePaket><i:Include xmlns:i="http://www.w3.org/2004/08/xop/include"/></x:ePaket>'),
            "part",
        ),
    ],
)
async def test_hostile_requests_get_a_fault(callers: Callers, body: bytes, told: str) -> None:
    assert told in (await callers().send(body)).fault


async def test_bodies_are_bounded(callers: Callers, monkeypatch: pytest.MonkeyPatch) -> None:
    assert endpoint.LARGEST_REQUEST == 64 * 1024 * 1024
    monkeypatch.setattr(endpoint, "LARGEST_REQUEST", 100_000)
    answer = await callers().send(b"<a>" + b" " * 100_000 + b"</a>")
    assert answer.status == 413
    wrong_type = await callers().send(b"{}", "application/json")
    assert "SOAP 1.1" in wrong_type.fault


async def test_megabytes_in_one_text(eyws: EywsProviders, callers: Callers) -> None:
    """Above the XML parser's own limit for a text of 10 million characters."""
    letter = eyws.letter(attachment=bytes(5_600_000), recipient="nodelil@hs99.kep.tr")
    assert len(base64.b64encode(letter.raw)) > 10_000_000
    answer = await callers()("Yukle", ("ePaket", letter.raw), ("ePaketTur", "EYazisma"))
    assert answer.text("durum") == "0"
    assert eyws.mails(A, "Sent")[0].sha256 == letter.sha256


async def test_wsdl_is_well_formed_and_distrusted(callers: Callers) -> None:
    root = etree.fromstring(await callers().wsdl(), etree.XMLParser(resolve_entities=False, no_network=True))
    address = root.find(".//{http://schemas.xmlsoap.org/wsdl/soap/}address")
    assert address is not None
    assert address.get("location", "").startswith("http://")
    schemas = root.findall(".//{http://www.w3.org/2001/XMLSchema}schema")
    assert [schema.get("elementFormDefault") for schema in schemas] == ["qualified"] * 3
