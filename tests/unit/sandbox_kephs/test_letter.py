from __future__ import annotations

import shutil
import subprocess
from email import message_from_bytes
from hashlib import sha256
from pathlib import Path

import pytest
from lxml import etree
from signxml import InvalidSignature, SignatureConfiguration, XMLVerifier
from signxml.exceptions import InvalidDigest
from signxml.xades import XAdESSignatureConfiguration, XAdESVerifier

from services.sandbox.faults import Fault
from services.sandbox.kephs.envelope import open_envelope
from shared.domain.evidence import evidence_code
from tests.unit.sandbox_kephs.conftest import A, B, C, Kephs, eventually

REM = "{http://uri.etsi.org/02640/v2#}"


def local_name(element: etree._Element) -> str:
    return etree.QName(element).localname


async def test_letter_is_delivered_with_its_bytes_unchanged_and_proven(kephs: Kephs) -> None:
    """10, 20 and 40 come to A, the envelope to B holds A's message byte for byte, reading it gives 60 once."""
    letter = kephs.letter()
    answer = await kephs.submit(letter)
    await kephs.codes(letter, 10, 20, 40)
    assert letter.message_id in answer
    (sent,) = kephs.providers.messages(A, "Sent")
    assert (sent.message_id, sent.sha256, sent.seen) == (letter.message_id, letter.sha256, True)
    (mail,) = kephs.delivered(letter)
    assert mail.original_sha256 == letter.sha256

    client = await kephs.imap(B)
    assert (await client.select("INBOX"))[0] == "OK"
    result, lines = await client.uid("fetch", str(mail.uid), "(UID FLAGS RFC822.SIZE BODY.PEEK[])")
    assert result == "OK"
    envelope = bytes(lines[1])
    assert sha256(envelope).hexdigest() == mail.sha256
    assert open_envelope(envelope).original == letter.raw
    assert not kephs.delivered(letter)[0].seen, "peeking is not reading"

    for change in ("+FLAGS", "-FLAGS", "+FLAGS"):
        result, _ = await client.uid("store", str(mail.uid), change, "(\\Seen)")
        assert result == "OK"
    await kephs.codes(letter, 10, 20, 40, 60)


async def test_reading_without_peek_is_proven_too(kephs: Kephs) -> None:
    letter = kephs.letter()
    await kephs.submit(letter)
    await eventually(lambda: len(kephs.delivered(letter)) == 1)
    client = await kephs.imap(B)
    await client.select("INBOX")
    await client.uid("fetch", str(kephs.delivered(letter)[0].uid), "BODY[]")
    await kephs.codes(letter, 10, 20, 40, 60)


async def test_no_relay_evidence_between_accounts_of_one_provider(kephs: Kephs) -> None:
    letter = kephs.letter(recipient=C)
    await kephs.submit(letter, C)
    await kephs.codes(letter, 10, 40)
    assert kephs.delivered(letter, C)[0].original_sha256 == letter.sha256
    kephs.providers.mark_seen(C, kephs.delivered(letter, C)[0].uid)
    await kephs.codes(letter, 10, 40, 60)


async def test_a_message_sent_twice_is_delivered_twice(kephs: Kephs) -> None:
    """The sandbox must not hide a double submission."""
    letter = kephs.letter()
    await kephs.submit(letter)
    await kephs.submit(letter)
    await eventually(lambda: len(kephs.evidence_mails(letter)) == 6)
    assert len(kephs.delivered(letter)) == 2
    assert len(kephs.providers.messages(A, "Sent")) == 2


async def test_evidence_is_per_recipient(kephs: Kephs) -> None:
    letter = kephs.letter()
    await kephs.submit(letter, B, "full@hs99.kep.tr", C)
    await eventually(lambda: len(kephs.evidence_mails(letter)) == 6)
    issued = {(evidence.code, evidence.recipients) for evidence in kephs.providers.evidence(letter.message_id)}
    assert issued == {
        (10, (B, "full@hs99.kep.tr", C)),
        (20, (B,)), (40, (B,)), (20, ("full@hs99.kep.tr",)), (41, ("full@hs99.kep.tr",)), (40, (C,)),
    }  # fmt: skip


async def test_evidence_document_follows_the_schema_and_its_signature_holds(kephs: Kephs) -> None:
    """Element order of TS 102 640-2 v2; XAdES-B over the whole document by the issuer's certificate."""
    letter = kephs.letter(subject="Şubat görüşü & <ekleri>")
    await kephs.submit(letter)
    issued = await kephs.codes(letter, 10, 20, 40)
    order = [
        "EventCode", "EvidenceIdentifier", "EvidenceIssuerDetails", "EventTime", "SenderDetails", "RecipientsDetails",
        "SenderMessageDetails", "Signature",
    ]  # fmt: skip
    for evidence in issued:
        root = etree.fromstring(evidence.xml)
        assert [local_name(child) for child in root] == order
        event = root.findtext(f"{REM}EventCode")
        assert evidence_code(local_name(root), event) == evidence.code
        assert root.findtext(f"{REM}EvidenceIdentifier") == evidence.identifier
        details = root.find(f"{REM}SenderMessageDetails")
        assert [child.text for child in details][:3] == [
            "Şubat görüşü & <ekleri>",
            letter.message_id,
            evidence.dispatch_id,
        ]
        assert [local_name(child) for child in details][3:] == ["DigestMethod", "DigestValue"]
        certificate = kephs.identities[evidence.issuer].certificate
        results = XAdESVerifier().verify(
            evidence.xml, x509_cert=certificate, expect_config=XAdESSignatureConfiguration(require_x509=True)
        )
        assert any(local_name(result.signed_xml) == local_name(root) for result in results)
    assert {evidence.issuer for evidence in issued} == {"hs98", "hs99"}
    assert len({evidence.identifier for evidence in issued}) == 3


async def test_rejected_evidence_carries_its_reason_in_place(kephs: Kephs) -> None:
    letter = kephs.letter()
    await kephs.submit(letter, "full@hs99.kep.tr")
    issued = await kephs.codes(letter, 10, 20, 41)
    root = etree.fromstring(issued[-1].xml)
    assert [local_name(child) for child in root][:3] == ["EventCode", "EventReasons", "EvidenceIdentifier"]
    assert root.findtext(f".//{REM}Code").endswith("#MailboxFull")


async def test_spoilt_evidence_fails_verification(kephs: Kephs) -> None:
    kephs.faults.order(Fault("evidence.bad_signature", {"code": "40"}))
    letter = kephs.letter()
    await kephs.submit(letter)
    issued = await kephs.codes(letter, 10, 20, 40)
    configuration = SignatureConfiguration(require_x509=True, expect_references=True)
    for evidence, holds in zip(issued, (True, True, False), strict=True):
        certificate = kephs.identities[evidence.issuer].certificate
        if holds:
            XMLVerifier().verify(evidence.xml, x509_cert=certificate, expect_config=configuration)
        else:
            with pytest.raises((InvalidDigest, InvalidSignature)):
                XMLVerifier().verify(evidence.xml, x509_cert=certificate, expect_config=configuration)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
async def test_openssl_verifies_every_envelope_and_the_letter_inside(kephs: Kephs, tmp_path: Path) -> None:
    """A second implementation accepts our S/MIME: RSA and EC providers, dispatch and evidence mails."""
    letter = kephs.letter()
    await kephs.submit(letter)
    await kephs.codes(letter, 10, 20, 40)
    mails = [kephs.providers.content(A, "INBOX", mail.uid) for mail in kephs.evidence_mails(letter)]
    mails.append(kephs.providers.content(B, "INBOX", kephs.delivered(letter)[0].uid))
    mails.append(letter.raw)
    anchor = tmp_path / "root.pem"
    anchor.write_bytes(kephs.root.certificate_pem)
    for number, mail in enumerate(mails):
        file = tmp_path / f"{number}.eml"
        file.write_bytes(mail)
        command = ["openssl", "cms", "-verify", "-in", file, "-CAfile", anchor, "-purpose", "any", "-out", "/dev/null"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    kinds = [message_from_bytes(mail)["X-REM-Msg-Type"] for mail in mails]
    assert kinds == ["Message", "Message", "Message", "Dispatch", None]
