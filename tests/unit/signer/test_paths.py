"""Path validation by RFC 5280, 6.1: a table in the manner of NIST's PKITS, with OpenSSL as second judge."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID, ObjectIdentifier

from services.signer.certificate_paths import PathVerdict
from services.signer.certificates import load_certificate
from services.signer.checks.chain import PathInputs, build_path
from services.signer.findings import CheckFailed
from shared.domain.verdict import Conclusion, SubIndication
from tests.support.pki import NOW, usage
from tests.unit.signer.path_material import DAY, Court, Entry, Extension, Party, certify, crl, key, name, policies

A, B, ANY = "1.2.3.1", "1.2.3.2", "2.5.29.32.0"
EXPLICIT = PathInputs(frozenset({A}), require_explicit_policy=True)
ODD = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00")
CHAIN, CONSTRAINTS = SubIndication.CERTIFICATE_CHAIN_GENERAL_FAILURE, SubIndication.CHAIN_CONSTRAINTS_FAILURE


@dataclass(frozen=True)
class Case:
    """A path and what becomes of it; ``sub_indication`` None: it is valid."""

    id: str
    build: Callable[[], tuple[Court, Party]]
    sub_indication: SubIndication | None = None
    says: str = ""
    openssl: bool = True
    """Whether OpenSSL is asked as well: it must agree."""


def chain(
    *layers: tuple[Extension, ...],
    leaf: tuple[Extension, ...] = (),
    subject: x509.Name | str = "yaprak",
    inputs: PathInputs | None = None,
    lengths: tuple[int | None, ...] = (),
) -> tuple[Court, Party]:
    """Root, one CA for each layer's extensions, and a leaf."""
    root = certify(None, "kök", ca=True, days=(-3000, 3000), own=key(0))
    above, pool = root, []
    for number, extensions in enumerate(layers, 1):
        length = lengths[number - 1] if len(lengths) >= number else None
        above = certify(above, f"ara {number}", *extensions, ca=True, own=key(number), length=length)
        pool.append(above)
    party = certify(above, subject, *leaf, own=key(99))
    lists = [crl(item) for item in (root, *pool)]
    return Court(root, pool, lists, inputs or PathInputs()), party


def mapping(issuer_policy: str, subject_policy: str) -> Extension:
    # cryptography writes no policyMappings.
    def oid(dotted: str) -> bytes:
        first, second, *rest = (int(arc) for arc in dotted.split("."))
        body = bytes([first * 40 + second, *rest])
        return bytes([6, len(body)]) + body

    pair = oid(issuer_policy) + oid(subject_policy)
    value = bytes([0x30, len(pair) + 2, 0x30, len(pair)]) + pair
    return x509.UnrecognizedExtension(ObjectIdentifier("2.5.29.33"), value), True


def permitted(*names: x509.GeneralName) -> Extension:
    return x509.NameConstraints(permitted_subtrees=names, excluded_subtrees=None), True


def excluded(*names: x509.GeneralName) -> Extension:
    return x509.NameConstraints(permitted_subtrees=None, excluded_subtrees=names), True


def also(*names: x509.GeneralName) -> tuple[Extension, ...]:
    return ((x509.SubjectAlternativeName(names), False),)


def organisation(text: str) -> x509.NameAttribute[str]:
    return x509.NameAttribute(NameOID.ORGANIZATION_NAME, text)


OURS = x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "TR"), organisation("Örnek Belediyesi")]))
REQUIRED = x509.PolicyConstraints(require_explicit_policy=0, inhibit_policy_mapping=None), True
NO_MAPPING = x509.PolicyConstraints(require_explicit_policy=None, inhibit_policy_mapping=0), True

POLICIES = [
    Case("asked for and there", lambda: chain((policies(A),), leaf=(policies(A),), inputs=EXPLICIT)),
    Case(
        "another one asked for",
        lambda: chain(
            (policies(A),),
            leaf=(policies(A),),
            inputs=PathInputs(frozenset({B}), require_explicit_policy=True),
        ),
        CONSTRAINTS,
        "policy",
    ),
    Case(
        "another one asked for but none required",
        lambda: chain((policies(A),), leaf=(policies(A),), inputs=PathInputs(frozenset({B}))),
    ),
    Case(
        "any, required, one there",
        lambda: chain((policies(A),), leaf=(policies(A, B),), inputs=PathInputs(require_explicit_policy=True)),
    ),
    Case(
        "any, required, none there",
        lambda: chain((policies(A),), inputs=PathInputs(require_explicit_policy=True)),
        CONSTRAINTS,
        "policy",
    ),
    Case("none required, none there", lambda: chain(())),
    Case(
        "different ones on the way",
        lambda: chain((policies(A),), (policies(B),), leaf=(policies(A),), inputs=EXPLICIT),
        CONSTRAINTS,
    ),
    Case("required by a CA", lambda: chain((policies(A), REQUIRED), leaf=()), CONSTRAINTS, "policy"),
    Case("required by a CA and there", lambda: chain((policies(A), REQUIRED), leaf=(policies(A),))),
    Case("mapped", lambda: chain((policies(A), mapping(A, B)), leaf=(policies(B),), inputs=EXPLICIT)),
    Case(
        "mapped away",
        lambda: chain((policies(A), mapping(A, B)), leaf=(policies(A),), inputs=EXPLICIT),
        CONSTRAINTS,
    ),
    Case(
        "mapping inhibited by the caller",
        lambda: chain(
            (policies(A), mapping(A, B)),
            leaf=(policies(B),),
            inputs=PathInputs(frozenset({A}), require_explicit_policy=True, inhibit_policy_mapping=True),
        ),
        CONSTRAINTS,
    ),
    Case(
        "mapping inhibited by a CA",
        lambda: chain((policies(A), NO_MAPPING), (policies(A), mapping(A, B)), leaf=(policies(B),), inputs=EXPLICIT),
        CONSTRAINTS,
    ),
    Case("anyPolicy above", lambda: chain((policies(ANY),), leaf=(policies(A),), inputs=EXPLICIT)),
    Case(
        "anyPolicy inhibited by the caller",
        lambda: chain(
            (policies(ANY),),
            leaf=(policies(A),),
            inputs=PathInputs(frozenset({A}), require_explicit_policy=True, inhibit_any_policy=True),
        ),
        CONSTRAINTS,
    ),
    Case(
        "anyPolicy inhibited by a CA",
        lambda: chain(
            (policies(A), (x509.InhibitAnyPolicy(0), True)), (policies(ANY),), leaf=(policies(A),), inputs=EXPLICIT
        ),
        CONSTRAINTS,
    ),
]

NAMES = [
    Case("DN inside", lambda: chain((permitted(OURS),), subject=name("biri", organisation("Örnek Belediyesi")))),
    Case(
        "DN outside",
        lambda: chain((permitted(OURS),), subject=name("biri", organisation("Başka"))),
        CHAIN,
        "name",
    ),
    Case(
        "DN excluded", lambda: chain((excluded(OURS),), subject=name("biri", organisation("Örnek Belediyesi"))), CHAIN
    ),
    Case("DN not excluded", lambda: chain((excluded(OURS),), subject=name("biri", organisation("Başka")))),
    Case("DNS inside", lambda: chain((permitted(x509.DNSName("gov.tr")),), leaf=also(x509.DNSName("a.gov.tr")))),
    Case(
        "DNS outside",
        lambda: chain((permitted(x509.DNSName("gov.tr")),), leaf=also(x509.DNSName("agov.tr"))),
        CHAIN,
        "name",
    ),
    Case(
        "DNS one of two outside",
        lambda: chain((permitted(x509.DNSName("gov.tr")),), leaf=also(x509.DNSName("a.gov.tr"), x509.DNSName("b.com"))),
        CHAIN,
    ),
    Case(
        "DNS excluded", lambda: chain((excluded(x509.DNSName("gov.tr")),), leaf=also(x509.DNSName("a.gov.tr"))), CHAIN
    ),
    Case(
        "e-mail at the host",
        lambda: chain((permitted(x509.RFC822Name("kep.example")),), leaf=also(x509.RFC822Name("x@kep.example"))),
    ),
    Case(
        "e-mail below the host",
        lambda: chain((permitted(x509.RFC822Name("kep.example")),), leaf=also(x509.RFC822Name("x@a.kep.example"))),
        CHAIN,
    ),
    Case(
        "e-mail in the domain",
        lambda: chain((permitted(x509.RFC822Name(".kep.example")),), leaf=also(x509.RFC822Name("x@a.kep.example"))),
    ),
    Case(
        "e-mail excluded",
        lambda: chain((excluded(x509.RFC822Name("kep.example")),), leaf=also(x509.RFC822Name("x@kep.example"))),
        CHAIN,
    ),
    Case(
        "e-mail in the subject",
        lambda: chain(
            (permitted(x509.RFC822Name("kep.example")),),
            subject=name("biri", x509.NameAttribute(NameOID.EMAIL_ADDRESS, "x@else.example")),
        ),
        CHAIN,
    ),
    Case(
        "URI outside",
        lambda: chain(
            (permitted(x509.UniformResourceIdentifier(".gov.tr")),),
            leaf=also(x509.UniformResourceIdentifier("http://a.example/x")),
        ),
        CHAIN,
    ),
    Case(
        "IP addresses are not compared",
        lambda: chain(
            (permitted(x509.IPAddress(ipaddress.ip_network("10.0.0.0/8"))),),
            leaf=also(x509.IPAddress(ipaddress.ip_address("10.1.1.1"))),
        ),
        CHAIN,
        openssl=False,
    ),
    Case(
        "a second CA only narrows",
        lambda: chain(
            (permitted(x509.DNSName("gov.tr")),),
            (permitted(x509.DNSName("com")),),
            leaf=also(x509.DNSName("a.com")),
        ),
        CHAIN,
    ),
]


def self_issued(length: int | None) -> tuple[Court, Party]:
    """A CA that certifies its own new key, under a length that leaves no room for another CA."""
    root = certify(None, "kök", ca=True, own=key(0))
    old = certify(root, "ara 1", ca=True, own=key(1), length=length)
    new = certify(old, "ara 1", ca=True, own=key(2))
    return Court(root, [old, new], [crl(root), crl(old), crl(new)]), certify(new, "yaprak")


def with_ca(**options: object) -> tuple[Court, Party]:
    root = certify(None, "kök", ca=True, own=key(0), days=(-3000, 3000))
    middle = certify(root, "ara 1", **({"ca": True, "own": key(1)} | options))  # type: ignore[arg-type]
    return Court(root, [middle], [crl(root), crl(middle)]), certify(middle, "yaprak")


def with_leaf(**options: object) -> tuple[Court, Party]:
    court, _party = chain(())
    return court, certify(court.pool[0], "yaprak", **options)  # type: ignore[arg-type]


def with_root(days: tuple[int, int]) -> tuple[Court, Party]:
    root = certify(None, "kök", ca=True, own=key(0), days=days)
    return Court(root, (), [crl(root)]), certify(root, "yaprak")


def two_of_a_name(*, good: bool) -> tuple[Court, Party]:
    """Two certificates for one CA key: one has run out, and the other is for a shorter path or good."""
    root = certify(None, "kök", ca=True, own=key(0))
    old = certify(root, "ara 1", ca=True, own=key(1), days=(-300, -1))
    new = certify(root, "ara 1", ca=True, own=key(1)) if good else certify(root, "ara 1", ca=True, own=key(2))
    return Court(root, [old, new], [crl(root), crl(old)]), certify(old, "yaprak")


def ring(*, anchored: bool) -> tuple[Court, Party]:
    """Two CAs that certify each other, and a way out of the ring or none."""
    root = certify(None, "kök", ca=True, own=key(0))
    first, second = certify(None, "a", ca=True, own=key(1)), certify(None, "b", ca=True, own=key(2))
    pool = [certify(second, "a", ca=True, own=key(1)), certify(first, "b", ca=True, own=key(2))]
    if anchored:
        pool.append(certify(root, "b", ca=True, own=key(2)))
    return Court(root, pool, [crl(item) for item in (root, first, second)]), certify(first, "yaprak")


def at(moment_in_days: int, court: Court, party: Party) -> tuple[Court, Party]:
    moment = NOW + moment_in_days * DAY
    parties = (court.anchor, *court.pool)
    lists = [crl(item, at=moment - DAY / 24) for item in parties]
    return Court(court.anchor, court.pool, lists, court.inputs, moment), party


OTHERS = [
    Case("plain", lambda: chain((), ())),
    Case("no CA between", lambda: with_root((-30, 365))),
    Case("path length kept", lambda: chain((), (), lengths=(1, 0))),
    Case("path length exceeded", lambda: chain((), (), lengths=(0,)), CHAIN, "longer"),
    Case("self-issued does not count", lambda: self_issued(0)),
    Case("may not sign certificates", lambda: with_ca(key_usage=usage(crl_sign=True)), CHAIN, "may not issue"),
    Case("no CA", lambda: with_ca(ca=False, key_usage=usage(key_cert_sign=True)), CHAIN, "may not issue"),
    Case("no basic constraints", lambda: with_ca(constraints=False), CHAIN, "may not issue"),
    Case("unknown critical extension", lambda: chain((), leaf=((ODD, True),)), CHAIN, "critical"),
    Case("unknown critical extension of a CA", lambda: chain(((ODD, True),)), CHAIN, "critical"),
    Case("unknown extension", lambda: chain(((ODD, False),), leaf=((ODD, False),))),
    Case("signed by another key", lambda: with_leaf(signed_with=key(50)), CHAIN, "not signed"),
    Case("expired", lambda: with_leaf(days=(-30, -1)), SubIndication.EXPIRED, "expired"),
    Case("not yet valid", lambda: with_leaf(days=(1, 30)), SubIndication.NOT_YET_VALID, "not valid before"),
    Case("CA expired", lambda: with_ca(days=(-300, -1)), CHAIN, "expired"),
    Case("CA not yet valid", lambda: with_ca(days=(1, 300)), CHAIN, "not valid before"),
    Case("anchor expired", lambda: with_root((-300, -1)), CHAIN, "root certificate"),
    Case("anchor not yet valid", lambda: with_root((1, 300)), CHAIN, "root certificate"),
    Case("expired, judged while it was valid", lambda: at(-10, *with_leaf(days=(-30, -1)))),
    Case("judged before it was valid", lambda: at(-20, *with_leaf(days=(-10, 30))), SubIndication.NOT_YET_VALID),
    # OpenSSL takes the first certificate of the name.
    Case("second candidate holds", lambda: two_of_a_name(good=True), openssl=False),
    Case("the best failing candidate is told", lambda: two_of_a_name(good=False), CHAIN, "expired", openssl=False),
    Case("ring with a way out", lambda: ring(anchored=True), openssl=False),
    Case("ring", lambda: ring(anchored=False), SubIndication.NO_CERTIFICATE_CHAIN_FOUND),
]


def told(verdict: PathVerdict) -> str:
    return " | ".join(item.text.en for item in verdict.findings if item.sub_indication is not None)


@pytest.mark.parametrize("case", [*POLICIES, *NAMES, *OTHERS], ids=lambda case: case.id)
def test_paths(case: Case, tmp_path: Path) -> None:
    court, party = case.build()
    verdict = court.judge(party)
    assert verdict.sub_indication is case.sub_indication, told(verdict)
    assert case.says in told(verdict)
    expected = {
        None: Conclusion.PASSED,
        SubIndication.NO_CERTIFICATE_CHAIN_FOUND: Conclusion.INDETERMINATE,
    }.get(case.sub_indication, Conclusion.FAILED)
    assert verdict.conclusion is expected
    if case.openssl:
        assert court.openssl(party, tmp_path, revocation=False) is (case.sub_indication is None)


def test_an_imitation_of_the_anchor(tmp_path: Path) -> None:
    """It has the anchor's name and key, and says what it likes: nobody but the key's holder can have signed it."""
    root = certify(None, "kök", ca=True, own=key(0))
    imitation = certify(None, "kök", ca=True, own=key(0), signed_with=key(7))
    verdict = Court(root, (), [crl(root)]).judge(imitation)
    assert verdict.conclusion is Conclusion.FAILED
    reissued = certify(None, "kök", ca=True, own=key(0))
    assert Court(root, (), [crl(root)]).judge(reissued).conclusion is Conclusion.PASSED


def test_the_anchor_itself() -> None:
    root = certify(None, "kök", ca=True, own=key(0))
    verdict = Court(root).judge(root)
    assert verdict.conclusion is Conclusion.PASSED
    assert [item["revocation_sources"] for item in verdict.as_json()["path"]] == [[]]


def test_a_path_that_is_revoked_gives_way_to_one_that_is_not() -> None:
    """A CA certified by two anchors: one has revoked it."""
    one, two = certify(None, "kök 1", ca=True, own=key(0)), certify(None, "kök 2", ca=True, own=key(1))
    pool = [certify(root, "ara", ca=True, own=key(2)) for root in (one, two)]
    leaf = certify(pool[0], "yaprak")
    for number, revoked in enumerate(pool):
        entries = [[], []]
        entries[number] = [Entry(revoked.serial)]
        lists = [crl(one, *entries[0]), crl(two, *entries[1]), crl(pool[0])]
        verdict = Court(one, pool, lists, more_anchors=[two]).judge(leaf)
        assert verdict.conclusion is Conclusion.PASSED
        assert verdict.path is not None
        assert verdict.path.anchor.subject_name == f"kök {2 - number}"


def test_a_remembered_path_counts_for_its_inputs_only() -> None:
    court, party = chain((), leaf=(policies(A),))
    signer, pool = load_certificate(party.der), tuple(load_certificate(item.der) for item in court.pool)
    anchors = (load_certificate(court.anchor.der),)
    for _ in range(2):
        assert build_path(signer, pool, anchors, NOW, proven=True)
        with pytest.raises(CheckFailed) as caught:
            build_path(signer, pool, anchors, NOW, proven=True, inputs=EXPLICIT)
        assert caught.value.sub_indication is CONSTRAINTS


def test_every_path_is_told_from_the_anchor_down() -> None:
    court, party = chain((), ())
    answer = court.judge(party).as_json()
    assert [item["subject"] for item in answer["path"]] == ["kök", "ara 1", "ara 2", "yaprak"]
    assert [len(item["revocation_sources"]) for item in answer["path"]] == [0, 1, 1, 1]
    assert [step["id"] for step in answer["steps"]] == [
        "format", "time", "algorithms", "certificate-path", "revocation",
    ]  # fmt: skip
    assert answer["verdict"] == "passed"
