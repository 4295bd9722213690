"""Examples for the OpenAPI document. Made-up institutions; every value has the real form."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from services.gateway.callers import Scope
from services.gateway.schemas.admin import (
    ApiKeyAnswer,
    ApiKeyBody,
    ApiKeyList,
    InstitutionAnswer,
    InstitutionBody,
    InstitutionPolicy,
    MailboxBody,
    NewApiKeyAnswer,
    RegisterAccountBody,
    ServerBody,
)
from services.gateway.schemas.directory import ResolveBody
from services.gateway.schemas.encryption import PackageEncryptionRequest
from services.gateway.schemas.inbound import (
    AcceptanceBody,
    AckBody,
    LeaseBody,
    NackBody,
    RefusalReasonBody,
    ReleaseBody,
    RenewBody,
)
from services.gateway.schemas.mailboxes import MailboxList, MailboxSummary
from services.gateway.schemas.outbound import AcceptedMessage, OutboundMessageRequest, RecipientRequest
from services.gateway.schemas.packages import (
    DigestAnswer,
    DistributionAnswer,
    PackageInspection,
    PackagePartAnswer,
    PartyAnswer,
    SignatureAnswer,
)
from shared.contracts.acceptance import Acceptance, AcceptanceState, RefusalReason
from shared.contracts.directory import (
    AddressSource,
    DirectoryCount,
    DirectoryStatus,
    DirectoryWarning,
    Freshness,
    RefreshRun,
    RegisterAccount,
    ResolutionAnswer,
    ResolutionLevel,
    ResolvedAddress,
    Unit,
    UnitAnswer,
    UnitKepAddress,
    UnitPage,
    WarningCode,
)
from shared.contracts.directory.units import UnitSighting
from shared.contracts.envelopes import PackageOpening
from shared.contracts.events import Event, EventPage, EventType
from shared.contracts.inbound import (
    ComponentVerification,
    InboundMessage,
    InboundPage,
    InboundPart,
    InboundVerification,
    Leased,
    PackageFinding,
)
from shared.contracts.mailboxes import Mailbox, MailboxReadiness, ReadinessCheck
from shared.contracts.outbound import (
    Cancellation,
    EncryptionCertificate,
    EvidenceRecord,
    LetterConfidentiality,
    LetterEncryption,
    OutboundEvent,
    OutboundMessage,
    OutboundPage,
    RecipientStatus,
)
from shared.contracts.signatures import (
    Maturity,
    Profile,
    SignatureFormat,
    SignatureReport,
    Signer,
    Text,
    VerificationReport,
    VerificationStep,
)
from shared.domain.message import InboundState, OutboundState
from shared.domain.verdict import Conclusion, Indication, StepResult
from shared.eyp import SecurityCode

_NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
_LETTER = UUID("0195578f-3a2b-7c4d-9e1f-2a3b4c5d6e7f")
_RECIPIENT = UUID("0195578f-3a2c-7d10-8b2a-6f7e8d9c0b1a")
_EVIDENCE = UUID("0195578f-6b11-7aa0-9c3d-112233445566")
_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_DOCUMENT = "3F2504E0-4F89-41D3-9A0C-0305E82C3301"
_SENDER, _ADDRESSEE = 10000001, 10000002
_ADDRESS = "ornek.belediyesi@hs02.example.kep.tr"

FRESHNESS = Freshness(as_of=_NOW - timedelta(hours=6), stale=False, snapshot_id=412)

SUBMISSION = OutboundMessageRequest(
    institution_no=_SENDER,
    recipients=[RecipientRequest(detsis_no=_ADDRESSEE)],
    client_ref="E-2026-004711",
    package_sha256=_SHA256,
)
ENCRYPTION = PackageEncryptionRequest(institution_no=_SENDER, recipients=[_ADDRESSEE])
CONFIDENTIALITY = LetterConfidentiality(
    degree=SecurityCode.RESTRICTED, declared=False, rule="L.26", rules_of=date(2022, 4, 26),
    encryption=LetterEncryption.GATEWAY,
    certificates=[
        EncryptionCertificate(
            recipient_nos=[_ADDRESSEE], holder_no=_ADDRESSEE, serial="a1b2c3d", sha256=_SHA256
        )
    ],
    inner_sha256=_SHA256, inner_size=95210,
)  # fmt: skip
ACCEPTED = AcceptedMessage(
    message_id=_LETTER, institution_no=_SENDER, client_ref="E-2026-004711", subject="Bilgi talebi",
    document_id=_DOCUMENT, document_no="E-12345678-100-4711", package_sha256=_SHA256, package_size=98304,
    package_filename="0195578F-3A2B-7C4D-9E1F-2A3B4C5D6E7F.eyps", state=OutboundState.QUEUED, state_counts={"queued": 1}, accepted_at=_NOW,
    updated_at=_NOW, expires_at=None, confidentiality=CONFIDENTIALITY,
    recipients=[
        RecipientStatus(
            recipient_id=_RECIPIENT, detsis_no=_ADDRESSEE, state=OutboundState.QUEUED,
            message_id_header="<0195578f-3a2c-7d10-8b2a-6f7e8d9c0b1a@kepgw.example>",
            rem_id="0195578f3a2c7d108b2a6f7e8d9c0b1a", attempts=0,
        )
    ],
)  # fmt: skip
OUTBOUND = OutboundMessage.model_validate(ACCEPTED.model_dump(exclude={"package_findings"})).model_copy(
    update={
        "state": OutboundState.DELIVERED,
        "state_counts": {"delivered": 1},
        "recipients": [
            ACCEPTED.recipients[0].model_copy(
                update={
                    "name": "Örnek Belediyesi", "state": OutboundState.DELIVERED, "kep_address": _ADDRESS,
                    "address_source": AddressSource.LIVE, "address_rule": "live.eYazismaPaketi",
                    "address_snapshot_id": 412, "resolved_at": _NOW, "attempts": 1,
                    "submitted_at": _NOW, "delivered_at": _NOW + timedelta(seconds=9), "evidence_codes": [10, 20, 40],
                }
            )
        ],
    }
)  # fmt: skip
OUTBOUND_PAGE = OutboundPage(messages=[OUTBOUND.model_copy()], next_cursor="MjAyNi0wMy0wMlQwOTowMDowMFosMDE5NTU3OGY")
EVENTS = [
    OutboundEvent(
        sequence=1, recipient_id=_RECIPIENT, at=_NOW, kind="handed_over", from_state=None,
        to_state=OutboundState.QUEUED,
    ),
    OutboundEvent(
        sequence=2, recipient_id=None, at=_NOW, kind="encrypted", from_state=None, to_state=None,
        detail=f"L.26 (rules of 2022-04-26): restricted; sha256 inside {_SHA256}, outside {_SHA256}; "
        f"certificates: a1b2c3d of {_ADDRESSEE} (sha256 {_SHA256})",
    ),
    OutboundEvent(
        sequence=4, recipient_id=_RECIPIENT, at=_NOW + timedelta(seconds=9), kind="evidence",
        from_state=OutboundState.RELAYED, to_state=OutboundState.DELIVERED, evidence_id=_EVIDENCE,
    ),
]  # fmt: skip
EVIDENCE = [
    EvidenceRecord(
        evidence_id=_EVIDENCE, message_id=_LETTER, recipient_id=_RECIPIENT, code=40,
        evidence_type="DeliveryNonDeliveryToRecipient", event="http://uri.etsi.org/02640/Event#Delivery",
        identifier="d5f1c2", issuer="Örnek KEP", event_time=_NOW + timedelta(seconds=8),
        received_at=_NOW + timedelta(seconds=9), sha256=_SHA256, size=14210, media_type="application/xml",
        envelope_conclusion=Conclusion.PASSED, signature_conclusion=Conclusion.PASSED,
    )
]  # fmt: skip
CANCELLATION = Cancellation(
    message=OUTBOUND.model_copy(update={"state": OutboundState.CANCELLED, "state_counts": {"cancelled": 1}}),
    cancelled=[_RECIPIENT],
    too_late=[],
)

INBOUND = InboundMessage(
    message_id=_LETTER, institution_no=_ADDRESSEE, mailbox_address=_ADDRESS, state=InboundState.AVAILABLE,
    sender_address="ornek.bakanligi@hs01.example.kep.tr", sender_detsis_no=_SENDER, subject="Bilgi talebi",
    message_id_header="<0195578f-3a2c-7d10-8b2a-6f7e8d9c0b1a@kepgw.example>", rem_id="0195578f3a2c7d108b2a6f7e8d9c0b1a",
    document_id=_DOCUMENT, document_no="E-12345678-100-4711", package_sha256=_SHA256, package_size=98304,
    package_filename="yazi.eyp", security_code="unclassified", raw_sha256=_SHA256,
    parts=[
        InboundPart(
            number=1, filename="yazi.eyp", media_type="application/octet-stream", size=98304, sha256=_SHA256,
            is_package=True,
        )
    ],
    conclusion=Conclusion.PASSED, received_at=_NOW, available_at=_NOW,
)  # fmt: skip
UNOPENED = INBOUND.model_copy(
    update={
        "reason_code": "encrypted-no-key", "opening": PackageOpening.NO_KEY, "conclusion": Conclusion.INDETERMINATE,
        "document_id": None, "document_no": None, "package_filename": "yazi.eyps", "security_code": None,
        "next_verification_at": _NOW,
    }
)  # fmt: skip
RELEASE = ReleaseBody(decided_by="Bilgi Güvenliği, G. Deneme", reason="Yanlış alarm; dosya ayrıca incelendi.")
RELEASED = INBOUND.model_copy(update={"state": InboundState.PARSED, "next_verification_at": _NOW})
INBOUND_PAGE = InboundPage(messages=[INBOUND])
LEASE = LeaseBody(max=10, seconds=300, wait=2)
_TOKEN = "lease-0195578f-9a41-7c3b-8d55-3f2a1b0c9d8e"  # noqa: S105 - an example
LEASED = Leased(
    lease_token=_TOKEN,
    expires_at=_NOW + timedelta(seconds=300),
    messages=[INBOUND.model_copy(update={"state": InboundState.LEASED, "delivery_count": 1})],
)
ACK = AckBody(lease_token=_TOKEN, registry_no="2026/1534")
ACKED = INBOUND.model_copy(
    update={"state": InboundState.CONSUMED, "registry_no": "2026/1534", "consumed_at": _NOW, "delivery_count": 1}
)
NACK = NackBody(lease_token=_TOKEN, reason="EBYS bakımda", delay_seconds=600)
NACKED = INBOUND.model_copy(update={"delivery_count": 1})
RENEW = RenewBody(lease_token=_TOKEN, seconds=600)

REPORT = VerificationReport(
    conclusion=Conclusion.PASSED, indication=Indication.TOTAL_PASSED, format=SignatureFormat.CADES,
    profile=Profile.QUALIFIED_SIGNATURE, policy_version="2026.1", trust_store_sha256=_SHA256,
    signed_content_sha256=_SHA256,
    signatures=[
        SignatureReport(
            conclusion=Conclusion.PASSED, indication=Indication.TOTAL_PASSED, level="CAdES-B", level_intact="CAdES-B",
            baseline_level="B-B", integrity=True,
            signer=Signer(
                name="ÖRNEK KİŞİ", identity_number_masked="12*******90", issuer="Örnek ESHS", serial_number="0a1b2c",
                certificate_sha256=_SHA256, not_before=_NOW - timedelta(days=100),
                not_after=_NOW + timedelta(days=900), qualified=True,
            ),
            claimed_signing_time=_NOW, judged_at=_NOW,
            steps=[
                VerificationStep(
                    number=1, id="format", result=StepResult.PASSED,
                    text=Text(tr="İmza biçimi tanındı", en="The signature's format is recognised"),
                )
            ],
        )
    ],
    verified_at=_NOW,
)  # fmt: skip
VERIFICATION = InboundVerification(
    message_id=_LETTER, conclusion=Conclusion.PASSED,
    components=[ComponentVerification(component="package-seal", report=REPORT)], findings=[], verified_at=_NOW,
)  # fmt: skip
ACCEPTANCE_BODY = AcceptanceBody(
    decision="refused", decided_by="Evrak Birimi, F. Örnek",
    reasons=[RefusalReasonBody(rule="R.30", text="Ek listesindeki dosya pakette yok.")],
)  # fmt: skip
ACCEPTANCE = Acceptance(
    state=AcceptanceState.REFUSED, rule="L.9", started_at=_NOW, due_at=_NOW + timedelta(days=4, hours=5),
    last_day=date(2026, 11, 24), estimated=False, decided_at=_NOW + timedelta(hours=3),
    decided_by="Evrak Birimi, F. Örnek",
    reasons=[RefusalReason(rule="R.30", text="Ek listesindeki dosya pakette yok.")],
)  # fmt: skip
EVENT_PAGE = EventPage(
    events=[
        Event(
            position=41, type=EventType.INBOUND_AVAILABLE, at=_NOW, institution_no=10000002, message_id=_LETTER,
            conclusion=Conclusion.INDETERMINATE, maturity=Maturity.FINAL,
        ),
        Event(
            position=42, type=EventType.INBOUND_VERDICT_CHANGED, at=_NOW + timedelta(minutes=5),
            institution_no=10000002, message_id=_LETTER, conclusion=Conclusion.PASSED,
            previous_conclusion=Conclusion.INDETERMINATE, maturity=Maturity.FINAL,
        ),
    ],
    next_after=42,
)  # fmt: skip

UNIT = Unit(
    detsis_no=_ADDRESSEE, name="Örnek Belediyesi", main_institution_no=_ADDRESSEE,
    main_institution_name="Örnek Belediyesi", path=["Örnek Belediyesi"], level=1, category_id=31,
    category="Belediye", status_id=4, status="Başkanlık", active=True, operating=True, external_addressee=True,
    sendable=True, place_id=6, place_name="Ankara",
    sightings=[UnitSighting(list_name="external"), UnitSighting(list_name="main_institutions")], first_snapshot_id=3,
    changed_snapshot_id=388, kep_addresses=[UnitKepAddress(address=_ADDRESS, active=True, status_text="Aktif")],
)  # fmt: skip
UNIT_ANSWER = UnitAnswer(unit=UNIT, freshness=FRESHNESS)
UNIT_PAGE = UnitPage(units=[UNIT], freshness=FRESHNESS)
RESOLVE = ResolveBody(institution_no=_SENDER, recipients=[_ADDRESSEE], mode="live", eyp_version="2.0")
RESOLUTION = ResolutionAnswer(
    recipients=[
        ResolvedAddress(
            detsis_no=_ADDRESSEE, name="Örnek Belediyesi", address=_ADDRESS, source=AddressSource.LIVE,
            rule="live.eYazismaPaketi", snapshot_id=412, resolved_at=_NOW, level=ResolutionLevel.WARNING,
            warnings=[
                DirectoryWarning(
                    code=WarningCode.EYP_VERSION_LOWER,
                    detail="the recipient takes package versions 1.3; the letter's is 2.0",
                )
            ],
        )
    ],
    freshness=FRESHNESS,
)  # fmt: skip
RUN = RefreshRun(run_id=412, institution_no=_SENDER, trigger="manual", state="running", started_at=_NOW)
DIRECTORY_STATUS = DirectoryStatus(
    freshness=FRESHNESS, counts=[DirectoryCount(kind="units", count=301245)], last_runs=[RUN]
)

INSTITUTION = InstitutionBody(name="Örnek Bakanlığı", policy=InstitutionPolicy())
INSTITUTION_ANSWER = InstitutionAnswer(**INSTITUTION.model_dump(), detsis_no=_SENDER, created_at=_NOW, updated_at=_NOW)
API_KEY = ApiKeyBody(
    client_id="ornek-ebys", label="üretim", scopes=[Scope.MESSAGES_SEND, Scope.MESSAGES_READ, Scope.DIRECTORY_READ],
    institutions=[_SENDER],
)  # fmt: skip
API_KEY_ANSWER = ApiKeyAnswer(
    key_id="Qm7xW2kPz9Lr", client_id="ornek-ebys", label="üretim",
    scopes=[Scope.DIRECTORY_READ, Scope.MESSAGES_READ, Scope.MESSAGES_SEND], institutions=[_SENDER], created_at=_NOW,
    expires_at=None, revoked_at=None, last_used_at=None,
)  # fmt: skip
NEW_API_KEY = NewApiKeyAnswer(
    **API_KEY_ANSWER.model_dump(), key="kepgw_Qm7xW2kPz9Lr_THISxISxNOTxAxREALxKEYxxxxxxxxxxxxxxxxxxxxxx"
)
API_KEYS = ApiKeyList(keys=[API_KEY_ANSWER])
MAILBOX = MailboxBody(
    institution_no=_SENDER, address="ornek.bakanligi@hs01.example.kep.tr", username="ornek.bakanligi",
    smtp=ServerBody(host="smtp.hs01.example", port=465), imap=ServerBody(host="imap.hs01.example", port=993),
    signing_key_id="ornek-bakanligi-kep",
)  # fmt: skip
MAILBOX_ANSWER = Mailbox.model_validate(
    {
        "mailbox_id": "ornek-bakanligi",
        "configuration": MAILBOX.contract(),
        "created_at": _NOW,
        "updated_at": _NOW,
    }
)
READINESS = MailboxReadiness(
    mailbox_id="ornek-bakanligi", ready=True, last_successful_poll_at=_NOW,
    checks=[ReadinessCheck(id="signing-key", ok=True, detail="valid until 2028-08-18")],
)  # fmt: skip
ACCOUNT = RegisterAccountBody(account_id="10000001", endpoint="https://detsis.example/DetsisServis.asmx")
ACCOUNT_ANSWER = RegisterAccount(institution_no=_SENDER, **ACCOUNT.model_dump())
MAILBOXES = MailboxList(mailboxes=[MailboxSummary.of(MAILBOX_ANSWER)])
INSPECTION = PackageInspection(
    sha256=_SHA256, size=98304, kind="plain", version="2.0", acceptable=True, profile="interop",
    document_id=_DOCUMENT, document_no="E-12345678-100-4711", subject="Bilgi talebi", date=_NOW,
    security_code="unclassified",
    originator=PartyAnswer(kind="organisation", name="Örnek Bakanlığı", number=str(_SENDER)),
    distributions=[
        DistributionAnswer(
            recipient=PartyAnswer(kind="organisation", name="Örnek Belediyesi", number=str(_ADDRESSEE)),
            urgency="normal", purpose="action",
        )
    ],
    annexes=[], cover_letter="/UstYazi/yazi.pdf",
    parts=[
        PackagePartAnswer(name="/UstYazi/yazi.pdf", content_type="application/pdf", size=41200, sha256=_SHA256)
    ],
    findings=[
        PackageFinding(
            rule="R.28.empty", severity="warning", part="/Ustveri/Ustveri.xml", code=None, message_tr="Alan boş",
            message_en="The field is empty",
        )
    ],
    findings_suppressed=0,
    signatures=[
        SignatureAnswer(
            kind="seal", part="/Muhurler/Muhur.imz", covers="/NihaiOzet/NihaiOzet.xml",
            verification=ComponentVerification(component="package-seal", report=REPORT), unavailable=None,
        )
    ],
    signer_findings=[
        PackageFinding(
            rule="R.75.name", severity="warning", part="/Imzalar/ImzaCades.imz", code=None,
            message_tr="Paketin bildirdiği imzacının sertifikası imza dosyasında yok: Deneme İMZACI.",
            message_en="No certificate in the signature file names the signer the package states: Deneme İMZACI.",
        )
    ],
    conclusion=Conclusion.PASSED,
    digests=[DigestAnswer(kind="final-digest", part="/NihaiOzet/NihaiOzet.xml", references=6, mismatches=[])],
    encrypted_content=None, opening=None, updates=[], inner=None,
)  # fmt: skip
