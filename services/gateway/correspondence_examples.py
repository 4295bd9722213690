"""Example of a letter's data for the OpenAPI document. Made-up institutions; every value has the real form."""

from __future__ import annotations

from datetime import UTC, datetime

from services.gateway.schemas.correspondence import CorrespondenceBody
from shared.contracts.directory import (
    AddresseeLine,
    AnswerSource,
    CertificateHolder,
    ClosingKind,
    ClosingPhrase,
    ContactLine,
    ContactLines,
    CorrespondenceData,
    DirectoryWarning,
    DistributionLine,
    DistributionList,
    EncryptionCertificate,
    Freshness,
    ItemSource,
    Letterhead,
    LetterKepAddress,
    LetterRecipient,
    LetterSenderContact,
    LetterSignatory,
    MissingItem,
    MissingReason,
    NumberUnit,
    Origin,
    ResolutionLevel,
    ResolutionProblem,
    Signatories,
    SourcedText,
    WarningCode,
)

_NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
_SENDER, _UNIT, _FIRST, _SECOND = 10000001, 10000011, 10000002, 10000003
_CERTIFICATE = (
    "MIIBIDCByKADAgECAgQAobLDMAoGCCqGSM49BAMCMBYxFDASBgNVBAMMC8OWcm5layBFU0hTMB4XDTI1MDYwMTAwMDAwMFoXDTI4"
    "MDUzMTAwMDAwMFowHDEaMBgGA1UEAwwRw5ZybmVrIEJlbGVkaXllc2kwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQ3xTX/u+v5"
    "VW1QVfiyYQPu9yCy6UJCNQpoeCSbvIX4VZXSFYpPziNeh2Og2WgwG0EY8D4NYToKEvkvFjiiKJlMMAoGCCqGSM49BAMCA0cAMEQC"
    "IAo8N3kE/BhwmkbjmruWkJ9Ugh1J0gy1W0R3kZeHhLAmAiApphtwCPN/VFkB49d/SeWO6gnX38opRS0GJetHLBNzCA=="
)
_CERTIFICATE_SHA256 = "dd37885d22108f39fe30295878275409cf88eea159283a08fb7f42fab7550d6c"

_PACKAGE = ItemSource(
    origin=Origin.LIVE, operation="CORRESPONDENCE_PACKAGE", as_of=_NOW, stale=False, rule="live.eYazismaPaketi"
)
_CONTACTS = ItemSource(origin=Origin.LIVE, operation="CONTACTS", as_of=_NOW, stale=False, rule="live.contacts")
_MIRROR = ItemSource(
    origin=Origin.MIRROR, as_of=datetime(2026, 3, 2, 0, 41, 7, tzinfo=UTC), stale=False, rule="mirror.name"
)


def _given(text: str) -> SourcedText:
    return SourcedText(text=text, source=_PACKAGE)


BODY = CorrespondenceBody(institution_no=_SENDER, sender_no=_UNIT, recipients=[_FIRST, _SECOND], mode="live")
DATA = CorrespondenceData(
    institution_no=_SENDER,
    sender_no=_UNIT,
    source=AnswerSource.LIVE,
    rule="live.eYazismaPaketi",
    freshness=Freshness(as_of=_NOW, stale=False, snapshot_id=None, source=AnswerSource.LIVE),
    letterhead=Letterhead(lines=["T.C.", "ÖRNEK BAKANLIĞI", "Personel Genel Müdürlüğü"], source=_PACKAGE),
    number_unit_no=NumberUnit(detsis_no=_UNIT, text=str(_UNIT), source=_PACKAGE),
    addressee_line=AddresseeLine(text="DAĞITIM YERLERİNE", distribution=True, source=_PACKAGE),
    closing_phrase=ClosingPhrase(text="Arz ve rica ederim.", kind=ClosingKind.ARZ_RICA, source=_PACKAGE),
    signatories=Signatories(
        people=[
            LetterSignatory(
                manager_code=480117, given_name="ÖRNEK", surname="KİŞİ", title="Genel Müdür", acting_kind=None,
                unit_no=_UNIT,
            ),
            LetterSignatory(
                manager_code=480092, given_name="BAŞKA", surname="KİŞİ", title="Bakan Yardımcısı",
                acting_kind="Vekaleten", unit_no=_SENDER,
            ),
        ],
        source=_PACKAGE,
    ),
    distribution_list=DistributionList(
        lines=[
            DistributionLine(detsis_no=_FIRST, text="ÖRNEK BELEDİYE BAŞKANLIĞINA"),
            DistributionLine(detsis_no=_SECOND, text="DENEME VALİLİĞİNE"),
        ],
        given_text="ÖRNEK BELEDİYE BAŞKANLIĞINA\nDENEME VALİLİĞİNE",
        source=_PACKAGE,
    ),
    sender_contact=LetterSenderContact(
        postal_address=_given("Örnek Mah. Deneme Cad. No: 1 Ankara"), phone=_given("0 000 000 00 00"),
        fax=_given("0 000 000 00 01"), email=_given("personel@bakanlik.example"),
        website=_given("https://bakanlik.example"),
    ),
    recipients=[
        LetterRecipient(
            detsis_no=_FIRST,
            name=SourcedText(text="ÖRNEK BELEDİYE BAŞKANLIĞI", source=_MIRROR),
            addressee=_given("ÖRNEK BELEDİYE BAŞKANLIĞINA"),
            kep_address=LetterKepAddress(
                address="ornek.belediyesi@hs02.example.kep.tr", kind_text="1", source=_PACKAGE
            ),
            encryption_certificate=EncryptionCertificate(
                der_base64=_CERTIFICATE, sha256=_CERTIFICATE_SHA256, holder=CertificateHolder.OWN, holder_no=_FIRST,
                subject="CN=Örnek Belediyesi", issuer="CN=Örnek ESHS", serial="a1b2c3",
                not_before=datetime(2025, 6, 1, tzinfo=UTC), not_after=datetime(2028, 5, 31, tzinfo=UTC),
                source=_PACKAGE,
            ),
            postal_address=_given("Belediye Cad. No: 1 Örnek / Ankara"),
            phones=ContactLines(values=[ContactLine(value="0 000 000 00 02", label="Telefon")], source=_CONTACTS),
            faxes=ContactLines(values=[], source=_CONTACTS),
        ),
        LetterRecipient(
            detsis_no=_SECOND,
            name=SourcedText(text="DENEME VALİLİĞİ", source=_MIRROR),
            addressee=_given("DENEME VALİLİĞİNE"),
            postal_address=_given("Valilik Meydanı No: 1 Deneme"),
            phones=ContactLines(values=[ContactLine(value="0 000 000 00 03", label="Telefon")], source=_CONTACTS),
            faxes=ContactLines(values=[ContactLine(value="0 000 000 00 04", label="Faks")], source=_CONTACTS),
            problem=ResolutionProblem.KEP_INACTIVE,
            level=ResolutionLevel.ERROR,
            warnings=[
                DirectoryWarning(
                    code=WarningCode.CERTIFICATE_ONLY_IN_MIRROR,
                    detail="DETSİS gave no encryption certificate; the nightly copy has one of 10000003",
                )
            ],
        ),
    ],
    missing=[
        MissingItem(item="j.fax", detsis_no=_FIRST, reason=MissingReason.NOT_LISTED),
        MissingItem(item="h.kep_address", detsis_no=_SECOND, reason=MissingReason.NOT_IN_ANSWER),
        MissingItem(item="i.encryption_certificate", detsis_no=_SECOND, reason=MissingReason.NOT_IN_ANSWER),
    ],
)  # fmt: skip
