"""What may leave by KEP: the dated table, the degree in force whatever wraps the letter, and findings on all levels."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from pydantic import ValidationError

from services.gateway.policy.confidentiality import standing_of
from services.gateway.policy.findings import let_through, refuse_unacceptable, version_findings
from services.gateway.policy.protection import asks_for_encryption
from services.gateway.policy.rules import CONFIDENTIALITY, Treatment, rules_of
from services.gateway.schemas.admin import InstitutionPolicy
from services.gateway.schemas.outbound import OutboundMessageRequest
from shared.errors import DomainError, ErrorCode
from shared.eyp import SecurityCode, inspect, inspect_decrypted
from tests.unit.eyp import letters, wrappers

_NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
_PLAIN = letters.package()
_SECRET = letters.package(security_code=SecurityCode.SECRET)


def _update(original: bytes, degree: SecurityCode) -> bytes:
    return wrappers.update(original, replace(wrappers.CHANGE, new_degree=degree))


# The table


def test_every_degree_has_its_rule_in_every_period() -> None:
    for rules in CONFIDENTIALITY:
        assert set(rules.degrees) == set(SecurityCode)
        assert rules.treatment(SecurityCode.SECRET) is rules.treatment(SecurityCode.TOP_SECRET) is Treatment.FORBIDDEN
        forbidden = [rule.rank for rule in rules.degrees.values() if rule.treatment is Treatment.FORBIDDEN]
        others = [rule.rank for rule in rules.degrees.values() if rule.treatment is not Treatment.FORBIDDEN]
        assert max(others) < min(forbidden)
    since = [rules.in_force_since for rules in CONFIDENTIALITY]
    assert since == sorted(set(since))


@pytest.mark.parametrize(
    ("day", "since", "confidential"),
    [
        (date(2019, 1, 1), date(2020, 7, 1), Treatment.FORBIDDEN),
        (date(2022, 4, 25), date(2020, 7, 1), Treatment.FORBIDDEN),
        (date(2022, 4, 26), date(2022, 4, 26), Treatment.PROTECTED),
        (date(2026, 11, 20), date(2022, 4, 26), Treatment.PROTECTED),
    ],
)
def test_the_rules_of_the_day_apply(day: date, since: date, confidential: Treatment) -> None:
    rules = rules_of(day)
    assert (rules.in_force_since, rules.treatment(SecurityCode.CONFIDENTIAL)) == (since, confidential)


def test_the_day_is_that_in_turkey() -> None:
    evening = datetime(2022, 4, 25, 21, 30, tzinfo=UTC)
    assert standing_of(inspect(_PLAIN), None, evening).rules.in_force_since == date(2022, 4, 26)


def test_unknown_is_more_secret_than_anything() -> None:
    rules = rules_of(date(2026, 1, 1))
    assert all(rules.exceeds(None, degree) for degree in SecurityCode)
    assert not rules.exceeds(SecurityCode.CONFIDENTIAL, SecurityCode.RESTRICTED)
    assert rules.exceeds(SecurityCode.RESTRICTED, SecurityCode.UNCLASSIFIED)
    assert rules.exceeds(SecurityCode.PERSONAL, SecurityCode.UNCLASSIFIED)


# The degree


@pytest.mark.parametrize(
    ("content", "degree"),
    [
        (_PLAIN, SecurityCode.UNCLASSIFIED),
        (_update(_SECRET, SecurityCode.UNCLASSIFIED), SecurityCode.UNCLASSIFIED),
        (_update(_update(_PLAIN, SecurityCode.TOP_SECRET), SecurityCode.RESTRICTED), SecurityCode.RESTRICTED),
        (letters.package(security_code=SecurityCode.RESTRICTED), SecurityCode.RESTRICTED),
    ],
)
def test_what_may_leave_has_a_standing(content: bytes, degree: SecurityCode) -> None:
    standing = standing_of(inspect(content), None, _NOW)
    assert (standing.degree, standing.declared) == (degree, False)
    assert standing_of(inspect(content), degree, _NOW) == standing


FORBIDDEN = {
    "secret": _SECRET,
    "top secret": letters.package(security_code=SecurityCode.TOP_SECRET),
    "raised": _update(_PLAIN, SecurityCode.SECRET),
    "raised again": _update(_update(_SECRET, SecurityCode.UNCLASSIFIED), SecurityCode.TOP_SECRET),
    "lowered by an update nobody understands": wrappers.resealed(
        _update(_SECRET, SecurityCode.UNCLASSIFIED), GuncellemeBilgisi=b"<"
    ),
    "around an encrypted one": wrappers.resealed(
        _update(_SECRET, SecurityCode.UNCLASSIFIED), OrijinalPaket=wrappers.encrypted(_SECRET)
    ),
    "called encrypted": wrappers.edited(
        _SECRET, "package/", letters.replacing(">RESMIYAZISMA<", ">RESMIYAZISMA/SIFRELI<")
    ),
    "called an update": wrappers.edited(
        _SECRET, "package/", letters.replacing(">RESMIYAZISMA<", ">RESMIYAZISMA/GUNCELLEME<")
    ),
    "not understood": letters.changed(_PLAIN, Ustveri=letters.replacing(">YOK<", ">XYZ<")),
    "missing": letters.changed(_PLAIN, Ustveri=lambda _old: b"<"),
}


@pytest.mark.parametrize("name", FORBIDDEN)
@pytest.mark.parametrize("declared", [None, SecurityCode.UNCLASSIFIED])
def test_what_is_secret_or_may_be_so_never_leaves(name: str, declared: SecurityCode | None) -> None:
    with pytest.raises(DomainError) as caught:
        standing_of(inspect(FORBIDDEN[name]), declared, _NOW)
    assert caught.value.code is ErrorCode.CONFIDENTIALITY_FORBIDDEN
    assert caught.value.faults[0].pointer == "/package"
    assert caught.value.faults[0].detail.startswith("L.26: ")


def test_a_decrypted_letter_counts_with_its_degree() -> None:
    with pytest.raises(DomainError):
        standing_of(inspect_decrypted(wrappers.encrypted(_SECRET), _SECRET), SecurityCode.UNCLASSIFIED, _NOW)


def test_an_encrypted_package_has_the_declared_degree() -> None:
    standing = standing_of(inspect(wrappers.encrypted()), SecurityCode.RESTRICTED, _NOW)
    assert (standing.degree, standing.declared, standing.treatment) == (
        SecurityCode.RESTRICTED, True, Treatment.PROTECTED,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("content", "declared", "code"),
    [
        (wrappers.encrypted(), None, ErrorCode.VALIDATION_FAILED),
        (wrappers.encrypted(), SecurityCode.SECRET, ErrorCode.CONFIDENTIALITY_FORBIDDEN),
        (_PLAIN, SecurityCode.RESTRICTED, ErrorCode.VALIDATION_FAILED),
        (_PLAIN, SecurityCode.TOP_SECRET, ErrorCode.CONFIDENTIALITY_FORBIDDEN),
    ],
)
def test_a_declaration_must_be_there_and_right(content: bytes, declared: SecurityCode | None, code: ErrorCode) -> None:
    with pytest.raises(DomainError) as caught:
        standing_of(inspect(content), declared, _NOW)
    assert (caught.value.code, caught.value.faults[0].pointer) == (code, "/message/security_code")


# The institution's policy


def test_the_law_is_the_least_a_policy_asks() -> None:
    with pytest.raises(ValidationError, match="must contain restricted"):
        InstitutionPolicy(encrypted_degrees=["unclassified"])
    everything = InstitutionPolicy(encrypted_degrees=["restricted", "unclassified"])
    for degree, usual, wanted in (
        (SecurityCode.UNCLASSIFIED, False, True),
        (SecurityCode.RESTRICTED, True, True),
        (SecurityCode.CONFIDENTIAL, True, True),
        (SecurityCode.PERSONAL, False, False),
    ):
        standing = replace(standing_of(inspect(_PLAIN), None, _NOW), degree=degree)
        assert (asks_for_encryption(standing, InstitutionPolicy()), asks_for_encryption(standing, everything)) == (
            usual, wanted,
        )  # fmt: skip


def test_findings_inside_an_update_name_the_way_there() -> None:
    broken = letters.changed(_PLAIN, Ustveri=letters.replacing("deneme", "DENEME"))
    inspection = inspect(wrappers.resealed(_update(_PLAIN, SecurityCode.RESTRICTED), OrijinalPaket=broken))
    rules = {
        finding.rule: finding.part for finding in let_through(inspection, InstitutionPolicy(package_findings="warn"))
    }
    inside = [
        part for part in rules.values() if part is not None and part.startswith("/OrijinalPaket/OrijinalPaket.eyp!/")
    ]
    assert inside
    assert let_through(inspection, InstitutionPolicy(package_findings="pass")) == []
    with pytest.raises(DomainError) as caught:
        refuse_unacceptable(inspection)
    pointers = [fault.pointer for fault in caught.value.faults]
    assert any(item.startswith("/package/~1OrijinalPaket~1OrijinalPaket.eyp/~1") for item in pointers)


def test_a_version_that_cannot_be_read_is_told_by_the_policy() -> None:
    message = OutboundMessageRequest.model_validate(
        {"recipients": [{"detsis_no": 10000002}, {"detsis_no": 10000003}]}
    )  # fmt: skip
    behind = {10000003: "takes 1.3"}
    (finding,) = version_findings(behind, message, InstitutionPolicy(package_findings="warn"))
    assert (finding.rule, finding.severity) == ("policy.version", "warning")
    assert version_findings(behind, message, InstitutionPolicy(package_findings="pass")) == []
    assert version_findings({}, message, InstitutionPolicy()) == []
    with pytest.raises(DomainError) as caught:
        version_findings(behind, message, InstitutionPolicy())
    assert caught.value.code is ErrorCode.PACKAGE_INVALID
    assert [fault.pointer for fault in caught.value.faults] == ["/message/recipients/1/detsis_no"]
