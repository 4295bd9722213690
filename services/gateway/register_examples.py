"""Examples of addresses, certificates and codes for the OpenAPI document. Made-up institutions; every value has the real form."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.gateway.schemas.certificates import (
    CheckedCertificate,
    ChoiceRule,
    ChosenCertificate,
    UnitCertificatesAnswer,
)
from shared.contracts.directory import (
    AnswerSource,
    CertificateHolder,
    DirectoryWarning,
    Freshness,
    ResolutionLevel,
    WarningCode,
)
from shared.contracts.directory.addresses import (
    AddressOwner,
    AddressState,
    KepAddressAnswer,
    KepAddressEntry,
    UnitKepAddresses,
)
from shared.contracts.directory.certificates import CertificateRefusal, EypVersion, UnitEypVersions
from shared.contracts.directory.codes import (
    CodeEntry,
    CodeKind,
    CodePage,
    MainInstitution,
    MainInstitutionPage,
    Place,
    PlacePage,
    StatusDetail,
)
from shared.contracts.signatures import CertificateVerdict, Text, VerificationStep
from shared.domain.verdict import Conclusion, Indication, StepResult

_NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
_NIGHT = _NOW - timedelta(hours=6)
_UNIT = 10000002
_NEW, _OLD = "ornek.belediyesi@hs02.example.kep.tr", "ornek.belediyesi@hs01.example.kep.tr"
_FRESHNESS = Freshness(as_of=_NIGHT, stale=False, snapshot_id=412)
_DER = (
    "MIIBNTCB3KADAgECAgQKGyw9MAoGCCqGSM49BAMCMBYxFDASBgNVBAMMC8OWcm5layBFU0hTMB4XDTI1MDYwMTAwMDAwMFoXDTI4"
    "MDYwMTAwMDAwMFowHDEaMBgGA1UEAwwRw5ZybmVrIEJlbGVkaXllc2kwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASv+k9WU2Gl"
    "V/rG0ajuLrljhqTUDbwxuPre7zF5o5Z6e4E2NCJkoma266eP5TZ+bNW3C3iNUc4p5bzCPuy7CQnOoxIwEDAOBgNVHQ8BAf8EBAMC"
    "AwgwCgYIKoZIzj0EAwIDSAAwRQIgOQNlnnuk3/GJbkSKe6Pm2XdOFppGcsAo0zi8qkWmumMCIQDzLJLg3nRpqs9FxHOASmpV1NlI"
    "8dE9ALolBxOPpUfQ4Q=="
)
_SHA256 = "243cd07bd53c7e2a34ed2ecd231a8f6563fe1270fc631c13b67331cf601f4205"
_OLD_SHA256 = "cba06b5736faf67e54b07b561eae94395e774c517a7d910a54369e1263ccfbd4"

KEP_ADDRESSES = UnitKepAddresses(
    detsis_no=_UNIT, name="ÖRNEK BELEDİYE BAŞKANLIĞI",
    addresses=[
        KepAddressEntry(address=_OLD, state=AddressState.ACTIVE),
        KepAddressEntry(address=_NEW, state=AddressState.NOT_ACTIVE),
    ],
    chosen=_OLD, rule="mirror.only-active-address", level=ResolutionLevel.WARNING,
    warnings=[
        DirectoryWarning(
            code=WarningCode.ADDRESS_BEING_REPLACED,
            detail="another address of this unit is listed but not active (yet)",
        )
    ],
    freshness=_FRESHNESS,
)  # fmt: skip
KEP_ADDRESS = KepAddressAnswer(
    address=_OLD, owner_no=_UNIT,
    owners=[
        AddressOwner(
            detsis_no=_UNIT, name="ÖRNEK BELEDİYE BAŞKANLIĞI", main_institution_no=_UNIT, open_to_letters=True,
            state=AddressState.ACTIVE,
        )
    ],
    level=ResolutionLevel.OK, freshness=_FRESHNESS,
)  # fmt: skip

_CHECK = CertificateVerdict(
    certificate_sha256=_SHA256, conclusion=Conclusion.PASSED, indication=Indication.TOTAL_PASSED, judged_at=_NOW,
    steps=[
        VerificationStep(
            number=10, id="revocation", result=StepResult.PASSED,
            text=Text(
                tr="Zincirdeki sertifikalar iptal edilmemiş; kaynaklar: CRL 5f0c4f0d7f5b, CRL 8c1e2a341b2c",
                en="No certificate of the path was revoked; sources: CRL 5f0c4f0d7f5b, CRL 8c1e2a341b2c",
            ),
        )
    ],
)  # fmt: skip
_CURRENT = CheckedCertificate(
    sha256=_SHA256, der_base64=_DER, holder=CertificateHolder.OWN, holder_no=_UNIT, subject="CN=Örnek Belediyesi",
    issuer="CN=Örnek ESHS", serial="a1b2c3d", not_before=datetime(2025, 6, 1, tzinfo=UTC),
    not_after=datetime(2028, 6, 1, tzinfo=UTC), active=True, stated_expiry="01.06.2028",
    registered_at=datetime(2025, 6, 3, 8, 12, tzinfo=UTC), updated_at=datetime(2025, 6, 3, 8, 12, tzinfo=UTC),
    check=_CHECK,
)  # fmt: skip
CERTIFICATES = UnitCertificatesAnswer(
    detsis_no=_UNIT,
    certificates=[
        _CURRENT,
        _CURRENT.model_copy(
            update={
                "sha256": _OLD_SHA256, "serial": "9a8b7c6", "not_before": datetime(2022, 6, 1, tzinfo=UTC),
                "not_after": datetime(2025, 6, 1, tzinfo=UTC), "stated_expiry": "01.06.2025", "check": None,
                "registered_at": datetime(2022, 6, 2, 7, 40, tzinfo=UTC), "refusal": CertificateRefusal.EXPIRED,
            }
        ),
    ],
    chosen=ChosenCertificate(
        sha256=_SHA256, holder=CertificateHolder.OWN, holder_no=_UNIT, rule=ChoiceRule.OWN, established=True
    ),
    freshness=_FRESHNESS,
)  # fmt: skip
EYP_VERSIONS = UnitEypVersions(
    detsis_no=_UNIT, answered_for=_UNIT, versions=[EypVersion(version="1.3"), EypVersion(version="2.0")],
    checked_at=_NIGHT - timedelta(days=3), source=AnswerSource.STORED, freshness=_FRESHNESS,
)  # fmt: skip

CODES = CodePage(
    kind=CodeKind.STATUS,
    codes=[
        CodeEntry(
            code_id=14, label="BAŞKANLIK", active=True,
            status=StatusDetail(
                plural="BAŞKANLIKLAR", addressee_removed="BAŞKANLIĞI", addressee_added="BAŞKANLIĞINA", used=True
            ),
        )
    ],
    freshness=_FRESHNESS,
)  # fmt: skip
PLACES = PlacePage(
    places=[
        Place(
            place_id=6, name="ANKARA", place_code=6, province_code=6, province_name="ANKARA", kind_id=1, kind="İL",
            active=True, phone_area_code="312",
        )
    ],
    freshness=_FRESHNESS,
)  # fmt: skip
MAIN_INSTITUTIONS = MainInstitutionPage(
    institutions=[
        MainInstitution(
            detsis_no=_UNIT, name="ÖRNEK BELEDİYE BAŞKANLIĞI", active=True, operating=True, external_addressee=True,
            sendable=True, budget_type_id=10, budget_type="MAHALLİ İDARELER", legal_person_id=1, legal_person="KAMU",
        )
    ],
    freshness=_FRESHNESS,
)  # fmt: skip
