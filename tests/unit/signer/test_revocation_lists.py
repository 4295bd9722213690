"""Revocation lists of every kind RFC 5280, 5 and 6.3 know, and what each may decide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ObjectIdentifier

from services.signer import der
from services.signer.certificates import load_certificate
from services.signer.checks.chain import build_path
from services.signer.checks.revocation import RevocationCheck, RevocationMissing, WantedList, load_list
from services.signer.evidence import load_lists
from services.signer.findings import CheckFailed
from services.signer.lists import RevocationLists
from shared.clock import FixedClock
from shared.domain.verdict import Conclusion, SubIndication
from tests.support.pki import NOW, usage
from tests.unit.signer.path_material import CA_USAGE, DAY, Court, Entry, Party, certify, crl, key, name, points, scope

HOUR = timedelta(hours=1)
ONE, TWO = "http://crl.example/1.crl", "http://crl.example/2.crl"
PASSED, REVOKED, MISSING = None, SubIndication.REVOKED, SubIndication.TRY_LATER
Reason = x509.ReasonFlags
SOME = frozenset({Reason.key_compromise, Reason.ca_compromise})
OTHERS = frozenset(Reason) - SOME - {Reason.unspecified, Reason.remove_from_crl}
ODD = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00")
ROOT = certify(None, "kök", ca=True, own=key(0), days=(-3000, 3000))
CA = certify(ROOT, "ara", ca=True, own=key(1), days=(-2000, 2000))
LEAF = certify(CA, "yaprak", own=key(2))
SPLIT = certify(CA, "bölünmüş", points(ONE), own=key(2))
OF_ROOT = crl(ROOT)


@dataclass(frozen=True)
class Case:
    """Lists about one certificate, and what they come to."""

    id: str
    lists: Callable[[], list[bytes]]
    sub_indication: SubIndication | None
    party: Party = LEAF
    pool: tuple[Party, ...] = (CA,)
    openssl: bool = True
    days: float = 0
    says: str = ""


def revoked(**options: object) -> Entry:
    return Entry(LEAF.serial, **options)  # type: ignore[arg-type]


def uri(url: str) -> list[x509.GeneralName]:
    return [x509.UniformResourceIdentifier(url)]


def directory(subject: x509.Name) -> list[x509.GeneralName]:
    return [x509.DirectoryName(subject)]


def relative(common_name: str) -> x509.RelativeDistinguishedName:
    return x509.RelativeDistinguishedName([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])


def relative_point(common_name: str) -> x509.CRLDistributionPoints:
    return x509.CRLDistributionPoints([x509.DistributionPoint(None, relative(common_name), None, None)])


COMPLETE = [
    Case("good", lambda: [OF_ROOT, crl(CA)], PASSED),
    Case("another one revoked", lambda: [OF_ROOT, crl(CA, Entry(1234))], PASSED),
    Case("revoked", lambda: [OF_ROOT, crl(CA, revoked())], REVOKED, says="keyCompromise"),
    Case("revoked without a reason", lambda: [OF_ROOT, crl(CA, revoked(reason=None))], REVOKED, says="unspecified"),
    # OpenSSL knows no moment before the revocation: it takes what is listed as revoked.
    Case("revoked later", lambda: [OF_ROOT, crl(CA, revoked())], PASSED, days=-2, openssl=False),
    Case("CA revoked", lambda: [crl(ROOT, Entry(CA.serial)), crl(CA)], SubIndication.REVOKED_CA_NO_POE),
    Case("none", list, MISSING, says="No revocation list"),
    Case("none of the CA", lambda: [OF_ROOT], MISSING),
    Case("none of the root", lambda: [crl(CA)], MISSING),
    Case("out of date", lambda: [OF_ROOT, crl(CA, at=NOW - 3 * DAY)], MISSING, says="out of date"),
    Case("out of date, a newer one beside it", lambda: [OF_ROOT, crl(CA, at=NOW - 3 * DAY), crl(CA)], PASSED),
    Case("from the future", lambda: [OF_ROOT, crl(CA, at=NOW + HOUR)], MISSING),
    Case("forged", lambda: [OF_ROOT, crl(Party(CA.certificate, key(9)))], MISSING),
    Case(
        "forged beside the real one",
        lambda: [OF_ROOT, crl(Party(CA.certificate, key(9)), at=NOW - HOUR / 2), crl(CA, revoked())],
        REVOKED,
        openssl=False,
    ),
    Case("unknown critical extension", lambda: [OF_ROOT, crl(CA, extensions=[(ODD, True)])], MISSING),
    Case("unknown extension", lambda: [OF_ROOT, crl(CA, extensions=[(ODD, False)])], PASSED),
    Case(
        "entry with an unknown critical extension",
        lambda: [OF_ROOT, crl(CA, Entry(1234, extensions=((ODD, True),)))],
        MISSING,
        openssl=False,
    ),
    Case("on hold", lambda: [OF_ROOT, crl(CA, revoked(reason=Reason.certificate_hold))], MISSING, says="on hold"),
    Case(
        "on hold once, and not any more",
        lambda: [OF_ROOT, crl(CA, revoked(reason=Reason.certificate_hold), at=NOW - 2 * HOUR), crl(CA)],
        PASSED,
        openssl=False,
    ),
]

PARTITIONS = [
    Case("of its point", lambda: [OF_ROOT, crl(CA, extensions=[scope(full_name=uri(ONE))])], PASSED, SPLIT),
    Case("of another point", lambda: [OF_ROOT, crl(CA, extensions=[scope(full_name=uri(TWO))])], MISSING, SPLIT),
    Case(
        "of a point, certificate without", lambda: [OF_ROOT, crl(CA, extensions=[scope(full_name=uri(ONE))])], MISSING
    ),
    # OpenSSL wants the name in a point of the certificate; RFC 5280, 6.3.3 completes the points by the issuer's own.
    Case(
        "point named by the issuer",
        lambda: [OF_ROOT, crl(CA, extensions=[scope(full_name=directory(CA.name))])],
        PASSED,
        openssl=False,
    ),
    Case(
        "relative name",
        lambda: [OF_ROOT, crl(CA, extensions=[scope(relative_name=relative("parça"))])],
        PASSED,
        certify(CA, "göreli", (relative_point("parça"), False)),
    ),
    Case(
        "another relative name",
        lambda: [OF_ROOT, crl(CA, extensions=[scope(relative_name=relative("başka"))])],
        MISSING,
        certify(CA, "göreli", (relative_point("parça"), False)),
    ),
    Case("of users", lambda: [OF_ROOT, crl(CA, extensions=[scope(only_contains_user_certs=True)])], PASSED),
    Case("of CAs", lambda: [OF_ROOT, crl(CA, extensions=[scope(only_contains_ca_certs=True)])], MISSING),
    Case("the root's of CAs", lambda: [crl(ROOT, extensions=[scope(only_contains_ca_certs=True)]), crl(CA)], PASSED),
    Case(
        "the root's of users", lambda: [crl(ROOT, extensions=[scope(only_contains_user_certs=True)]), crl(CA)], MISSING
    ),
    Case(
        "of attribute certificates",
        lambda: [OF_ROOT, crl(CA, extensions=[scope(only_contains_attribute_certs=True)])],
        MISSING,
    ),
    Case("some reasons", lambda: [OF_ROOT, crl(CA, extensions=[scope(only_some_reasons=SOME)])], MISSING),
    Case(
        "all reasons in two lists",
        lambda: [
            OF_ROOT,
            crl(CA, extensions=[scope(only_some_reasons=SOME)]),
            crl(CA, extensions=[scope(only_some_reasons=OTHERS)]),
        ],
        PASSED,
    ),
    Case(
        "revoked by the second of two lists",
        lambda: [
            OF_ROOT,
            crl(CA, extensions=[scope(only_some_reasons=SOME)]),
            crl(CA, revoked(reason=Reason.superseded), extensions=[scope(only_some_reasons=OTHERS)], at=NOW - 2 * HOUR),
        ],
        REVOKED,
    ),
    Case(
        "revoked by one list, the other missing",
        lambda: [OF_ROOT, crl(CA, revoked(), extensions=[scope(only_some_reasons=SOME)])],
        REVOKED,
    ),
]


def delta(*entries: Entry, base: int = 1, number: int = 2, signer: Party = CA, **options: object) -> bytes:
    extensions = [(x509.DeltaCRLIndicator(base), True), *options.pop("extensions", ())]  # type: ignore[misc]
    return crl(signer, *entries, number=number, extensions=extensions, **options)  # type: ignore[arg-type]


FRESHEST = x509.FreshestCRL([x509.DistributionPoint(uri(TWO), None, None, None)]), False


def base(*entries: Entry, **options: object) -> bytes:
    """A complete list that has deltas."""
    return crl(CA, *entries, extensions=[FRESHEST], **options)  # type: ignore[arg-type]


HELD = revoked(reason=Reason.certificate_hold)
RELEASED = revoked(reason=Reason.remove_from_crl)
DELTAS = [
    Case("delta without news", lambda: [OF_ROOT, base(), delta()], PASSED),
    Case("revoked by the delta", lambda: [OF_ROOT, base(), delta(revoked())], REVOKED),
    Case("hold lifted by the delta", lambda: [OF_ROOT, base(HELD), delta(RELEASED)], PASSED),
    Case("hold not lifted", lambda: [OF_ROOT, base(HELD), delta()], MISSING, says="on hold"),
    Case("delta alone", lambda: [OF_ROOT, delta()], MISSING),
    Case("delta of a later base", lambda: [OF_ROOT, base(), delta(revoked(), base=2, number=3)], PASSED),
    Case("delta older than the base", lambda: [OF_ROOT, base(HELD, number=5), delta(RELEASED)], MISSING),
    Case("base out of date, delta not", lambda: [OF_ROOT, base(at=NOW - 3 * DAY), delta()], PASSED, openssl=False),
    # Deltas are a help: without one in force the complete list counts, which OpenSSL refuses.
    Case("delta out of date", lambda: [OF_ROOT, base(), delta(revoked(), at=NOW - 3 * DAY)], PASSED, openssl=False),
    Case("both out of date", lambda: [OF_ROOT, base(at=NOW - 3 * DAY), delta(at=NOW - 2 * DAY)], MISSING),
    Case(
        "delta of another scope",
        lambda: [OF_ROOT, base(), delta(revoked(), extensions=[scope(only_contains_user_certs=True)])],
        PASSED,
    ),
    Case("forged delta", lambda: [OF_ROOT, base(HELD), delta(RELEASED, signer=Party(CA.certificate, key(9)))], MISSING),
    Case(
        "the newest delta counts",
        lambda: [OF_ROOT, base(), delta(HELD), delta(RELEASED, number=3)],
        PASSED,
        openssl=False,
    ),
]

AGENCY = certify(ROOT, "liste kurumu", key_usage=usage(crl_sign=True), own=key(3))
FOREIGN = certify(certify(None, "yabancı", ca=True, own=key(8)), "liste kurumu", key_usage=usage(crl_sign=True))
MUTE = certify(ROOT, "liste kurumu", key_usage=usage(digital_signature=True), own=key(4))
SENT_AWAY = certify(CA, "dolaylı", points(crl_issuer=AGENCY.name), own=key(2))
INDIRECT = scope(indirect_crl=True)


def agency(*entries: Entry, signer: Party = AGENCY, **options: object) -> bytes:
    return crl(signer, *entries, **({"extensions": [INDIRECT]} | options))  # type: ignore[arg-type]


def listed(issuer: x509.Name | None, serial: int = SENT_AWAY.serial) -> Entry:
    return Entry(serial, issuer=issuer)


def sent(
    id_: str,
    lists: Callable[[], list[bytes]],
    outcome: SubIndication | None,
    *,
    openssl: bool = True,
    **options: object,
) -> Case:
    pool = options.pop("pool", (CA, AGENCY))
    return Case(f"indirect: {id_}", lists, outcome, SENT_AWAY, pool, openssl, **options)  # type: ignore[arg-type]


INDIRECTS = [
    sent("good", lambda: [OF_ROOT, agency()], PASSED),
    sent("revoked", lambda: [OF_ROOT, agency(listed(CA.name))], REVOKED),
    sent("the issuer of the entry before", lambda: [OF_ROOT, agency(listed(CA.name, 77), listed(None))], REVOKED),
    sent("the number of another issuer's", lambda: [OF_ROOT, agency(listed(name("başka")))], PASSED),
    sent("the number of the agency's own", lambda: [OF_ROOT, agency(listed(None))], PASSED),
    sent("another issuer's, then its own", lambda: [OF_ROOT, agency(listed(name("başka"), 1), listed(None))], PASSED),
    sent("list does not say that it is", lambda: [OF_ROOT, agency(extensions=[])], MISSING),
    sent("the issuer's own list instead", lambda: [OF_ROOT, crl(CA)], PASSED, openssl=False),
    sent("agency unknown", lambda: [OF_ROOT, agency()], MISSING, pool=(CA,)),
    sent("agency of another root", lambda: [OF_ROOT, agency(signer=FOREIGN)], MISSING, pool=(CA, FOREIGN)),
    sent("agency revoked", lambda: [crl(ROOT, Entry(AGENCY.serial)), agency()], MISSING),
    # OpenSSL 3.0 overlooks the key usage of an agency's certificate.
    sent("agency may not sign lists", lambda: [OF_ROOT, agency(signer=MUTE)], MISSING, pool=(CA, MUTE), openssl=False),
    Case("indirect list nobody was sent to", lambda: [OF_ROOT, agency()], MISSING, LEAF, (CA, AGENCY)),
    Case("indirect list of the issuer itself", lambda: [OF_ROOT, crl(CA, extensions=[INDIRECT])], PASSED),
]
OTHER_KEY = certify(ROOT, "ara", key_usage=usage(crl_sign=True), own=key(5))
SELF_ISSUED = certify(CA, "ara", key_usage=CA_USAGE, ca=True, own=key(6))


def by(signer: Party, *entries: Entry) -> bytes:
    return crl(signer, *entries)


FORGED = Party(SELF_ISSUED.certificate, key(9))
OTHER_KEYS = [
    # Neither the list that clears the signer nor the one about the leaf may be anybody's.
    Case("forged in the name of that key", lambda: [OF_ROOT, by(FORGED)], MISSING, pool=(CA, SELF_ISSUED)),
    Case(
        "forged beside one out of date",
        lambda: [OF_ROOT, crl(SELF_ISSUED, revoked(), at=NOW - 3 * DAY), by(FORGED)],
        MISSING,
        pool=(CA, SELF_ISSUED),
    ),
    Case("key of its own for lists", lambda: [OF_ROOT, by(OTHER_KEY)], PASSED, pool=(CA, OTHER_KEY)),
    Case("revoked by such a list", lambda: [OF_ROOT, by(OTHER_KEY, revoked())], REVOKED, pool=(CA, OTHER_KEY)),
    Case(
        "key for lists revoked",
        lambda: [crl(ROOT, Entry(OTHER_KEY.serial)), by(OTHER_KEY)],
        MISSING,
        pool=(CA, OTHER_KEY),
    ),
    Case("certificate of that key missing", lambda: [OF_ROOT, by(OTHER_KEY)], MISSING),
    # The only list about that key is its own.
    Case(
        "self-issued key for lists", lambda: [OF_ROOT, by(SELF_ISSUED)], PASSED, pool=(CA, SELF_ISSUED), openssl=False
    ),
    Case(
        "self-issued key for lists, revoked",
        lambda: [OF_ROOT, by(SELF_ISSUED), crl(CA, Entry(SELF_ISSUED.serial), at=NOW - 3 * DAY, days=5)],
        PASSED,
        pool=(CA, SELF_ISSUED),
        openssl=False,
    ),
]


@pytest.mark.parametrize("case", [*COMPLETE, *PARTITIONS, *DELTAS, *INDIRECTS, *OTHER_KEYS], ids=lambda case: case.id)
def test_lists(case: Case, tmp_path: Path) -> None:
    court = Court(ROOT, case.pool, case.lists(), moment=NOW + case.days * DAY)
    verdict = court.judge(case.party)
    text = " | ".join(item.text.en for item in verdict.findings)
    assert verdict.sub_indication is case.sub_indication, text
    assert case.says in text
    expected = {PASSED: Conclusion.PASSED, MISSING: Conclusion.INDETERMINATE}
    assert verdict.conclusion is expected.get(case.sub_indication, Conclusion.FAILED)
    if case.openssl:
        assert court.openssl(case.party, tmp_path, revocation=True) is (case.sub_indication is None)


def test_a_list_is_wanted_from_whoever_may_make_it() -> None:
    """What is fetched is kept if one of them signed it: a stranger of the same name must not push out the real one."""
    leaf = load_certificate(SPLIT.der)
    stranger = certify(None, "ara", ca=True, own=key(9))
    pool = tuple(load_certificate(item.der) for item in (CA, OTHER_KEY, stranger))
    path = build_path(leaf, pool, (load_certificate(ROOT.der),), NOW, proven=True)
    check = RevocationCheck((load_list(OF_ROOT),), NOW, NOW, proven=True, retry_after_seconds=300)
    with pytest.raises(RevocationMissing) as caught:
        check.path(path)
    (wanted,) = caught.value.wanted
    assert wanted.urls == (ONE,)
    for signer, met in ((CA, True), (OTHER_KEY, True), (stranger, False), (Party(CA.certificate, key(9)), False)):
        assert wanted.met_by(load_list(by(signer)), NOW) is met
    assert not wanted.met_by(load_list(crl(CA, extensions=[scope(full_name=uri(TWO))])), NOW)


@pytest.mark.filterwarnings("ignore:Attribute's length")
def test_altered_lists_are_nobodys() -> None:
    """Every octet in turn: the reader's exceptions have no common base, and one of them must not end a verification."""
    signer, leaf = load_certificate(CA.der), load_certificate(LEAF.der)
    split = scope(full_name=[*uri(ONE), *directory(CA.name)], only_some_reasons=SOME)
    for original in (delta(RELEASED, HELD), agency(listed(CA.name), signer=CA), crl(CA, revoked(), extensions=[split])):
        signed = x509.load_der_x509_crl(original).tbs_certlist_bytes
        for position in range(len(original)):
            for flipped in (1, 0x80):
                altered = bytearray(original)
                altered[position] ^= flipped
                try:
                    found = load_list(bytes(altered))
                except CheckFailed:
                    continue
                found.about(leaf, NOW)
                assert signed in altered or not found.signed_by(signer), position


def rewritten(version: int = 1, this_update: bytes | None = None) -> bytes:
    """A list of another version, or of another date and without nextUpdate; its signature is nobody's."""
    tbs, *signature = (item.encoded for item in der.children(der.read_whole(crl(CA))))
    fields = [item.encoded for item in der.children(der.read_whole(tbs))]
    fields[0] = der.encode_integer(version)
    if this_update is not None:
        fields[3:5] = [der.encode(der.GENERALIZED_TIME, this_update)]
    return der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, *fields), *signature)


@pytest.mark.parametrize(
    "encoded", [rewritten(version=8), rewritten(this_update=b"99991231235959Z")], ids=["version", "calendar"]
)
async def test_what_cannot_be_read_is_refused_wherever_it_comes_from(encoded: bytes) -> None:
    """Neither fault is a ``ValueError``; the end of a list that names none must not lie beyond the calendar."""

    class Web:
        async def fetch(self, url: str) -> bytes:
            return encoded

    with pytest.raises(CheckFailed):
        load_list(encoded)
    assert load_list(rewritten(this_update=b"99991229235959Z")).good_until.year == 9999
    assert load_lists([encoded]) == ()
    wanted = WantedList(load_certificate(SPLIT.der), load_certificate(CA.der))
    assert wanted.urls
    lists = RevocationLists(Web(), FixedClock(NOW))
    assert not await lists.fetch([wanted])
    assert lists.current() == ()


def test_names_of_a_point_are_read_up_to_a_limit() -> None:
    """They are read before anybody's signature is looked at; 20 MB of them would take a thread for minutes."""
    many = [x509.UniformResourceIdentifier(f"http://crl.example/more/{number}") for number in range(200)]
    within, beyond = [*many[:63], *uri(ONE)], [*many, *uri(ONE)]
    for names, covered in ((within, True), (beyond, False)):
        found = load_list(crl(CA, extensions=[scope(full_name=names)]))
        assert len(found.scope.names or ()) == 64
        assert found.about(load_certificate(SPLIT.der), NOW) is covered
