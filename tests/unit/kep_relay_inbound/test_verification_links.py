"""Links in mails: only http and https, named by the host they really lead to, bounded whatever the mail holds."""

from __future__ import annotations

import pytest

from services.kep_relay.inbound.classify import MailKind
from services.kep_relay.inbound.mime import parse_mail
from services.kep_relay.inbound.reading import VerificationRules, read_mail
from services.kep_relay.inbound.verification_links import MAX_LINKS, MAX_URL, FoundLinks, find_links
from tests.support.mails import dispatch, evidence_xml, letter, mail, multipart, part
from tests.unit.eyp import letters

HOSTS = ("detsis.gov.tr",)
SENDER = "detsis@hs01.kep.tr"
RULES = VerificationRules({SENDER}, HOSTS)


def links_of(body: str, media_type: str = "text/plain; charset=utf-8") -> FoundLinks:
    return find_links(parse_mail(part(media_type, body.encode())).root, HOSTS)


def urls(body: str, media_type: str = "text/plain; charset=utf-8") -> list[str]:
    return [link.url for link in links_of(body, media_type).links]


@pytest.mark.parametrize(
    ("body", "url", "host"),
    [
        ("Onay: https://yetkili.detsis.gov.tr/onay?k=1.", "https://yetkili.detsis.gov.tr/onay?k=1", "yetkili.detsis.gov.tr"),
        ("(https://detsis.gov.tr/a)", "https://detsis.gov.tr/a", "detsis.gov.tr"),
        ("HTTPS://DETSIS.GOV.TR/A", "https://detsis.gov.tr/A", "detsis.gov.tr"),
        # What stands before the @ is a user name, and a browser reads a backslash as a slash.
        ("https://detsis.gov.tr@evil.example/x", "https://detsis.gov.tr@evil.example/x", "evil.example"),
        ("https://evil.example\\@detsis.gov.tr/", "https://evil.example", "evil.example"),
        ("https://dets\u0131s.gov.tr/", "https://xn--detss-q4a.gov.tr/", "xn--detss-q4a.gov.tr"),
        ("https://detsis.gov.tr./x", "https://detsis.gov.tr/x", "detsis.gov.tr"),
        ("https://[2001:db8::1]:8443/x", "https://[2001:db8::1]:8443/x", "2001:db8::1"),
        ("https://detsis.gov.tr/onay\u202etxt", "https://detsis.gov.tr/onay%E2%80%AEtxt", "detsis.gov.tr"),
        ("http://detsis.gov.tr.evil.example/", "http://detsis.gov.tr.evil.example/", "detsis.gov.tr.evil.example"),
    ],
)  # fmt: skip
def test_a_link_is_named_by_the_host_it_leads_to(body: str, url: str, host: str) -> None:
    (link,) = links_of(body).links
    assert (link.url, link.host) == (url, host)


def test_html_is_read_behind_its_entities() -> None:
    body = '<a href="https&#58;//yetkili.detsis.gov.tr/onay?a=1&amp;b=2">https://masum.example</a>'
    assert urls(body, "text/html; charset=utf-8") == [
        "https://yetkili.detsis.gov.tr/onay?a=1&b=2",
        "https://masum.example",
    ]


@pytest.mark.parametrize(
    "body",
    [
        "javascript:alert(1)", "data:text/html,<script>alert(1)</script>", "file:///etc/passwd", "https://", "http://:80/",
        "https://[::1", "https://x:99999999/", "https://" + "a." * 200 + "tr/", "https://\u0131" + "\u0131" * 70 + ".tr",
    ],
)  # fmt: skip
def test_what_leads_nowhere_is_no_link(body: str) -> None:
    assert links_of(body).links == ()


def test_a_thousand_links_do_not_push_the_expected_one_out() -> None:
    body = (
        "\n".join(f"https://reklam{number}.example/" for number in range(1000)) + "\nhttps://yetkili.detsis.gov.tr/onay"
    )
    found = links_of(body)
    assert len(found.links) == MAX_LINKS
    assert found.links[0].host == "yetkili.detsis.gov.tr"
    assert found.left_out == 1001 - MAX_LINKS


def test_an_endless_link_is_left_out_and_said_so() -> None:
    found = links_of("https://detsis.gov.tr/" + "a" * MAX_URL + " https://detsis.gov.tr/kisa")
    assert [link.url for link in found.links] == ["https://detsis.gov.tr/kisa"]
    assert found.left_out == 1


def test_attachments_are_not_looked_into() -> None:
    attached = part("text/html", b"https://detsis.gov.tr/", disposition='attachment; filename="a.html"')
    assert find_links(parse_mail(multipart("mixed", [part("text/plain", b"x"), attached])).root, HOSTS).links == ()


def verification(sender: str = SENDER, *attachments: tuple[str, bytes]) -> bytes:
    raw = letter(*attachments, sender=sender, subject="KEP adresi dogrulama")
    return raw.replace(b"RWt0ZS4=", b"RWt0ZS4gaHR0cHM6Ly95ZXRraWxpLmRldHNpcy5nb3YudHIvb25heQ==")


def test_a_configured_sender_makes_it_a_verification_mail() -> None:
    reading = read_mail(dispatch(verification()), RULES)
    assert reading.kind is MailKind.DETSIS_VERIFICATION
    assert reading.verification is not None
    assert reading.verification.recognised_by == "sender"
    assert [link.host for link in reading.verification.links.links] == ["yetkili.detsis.gov.tr"]


def test_a_link_alone_is_a_hint_and_hides_nothing() -> None:
    reading = read_mail(dispatch(verification("baska@hs01.kep.tr")), RULES)
    assert reading.kind is MailKind.LETTER
    assert reading.verification is not None
    assert reading.verification.recognised_by == "hint"
    bare = read_mail(mail({"From": "<x@y.tr>"}, part("text/plain", b"https://detsis.gov.tr/onay")), RULES)
    assert bare.kind is MailKind.OTHER
    assert bare.verification is not None


def test_an_official_letter_of_the_same_sender_is_never_withheld() -> None:
    reading = read_mail(dispatch(verification(SENDER, ("a.eyp", letters.package()))), RULES)
    assert reading.kind is MailKind.LETTER
    assert reading.letter is not None
    assert reading.letter.package is not None
    assert reading.verification is not None
    assert reading.verification.recognised_by == "hint"


def test_an_ordinary_letter_is_no_hint() -> None:
    reading = read_mail(dispatch(letter(("a.eyp", letters.package()))), RULES)
    assert (reading.kind, reading.verification) == (MailKind.LETTER, None)


@pytest.mark.parametrize(("named", "disagrees"), [("a@hs98.kep.tr", True), (SENDER, False)])
def test_evidence_that_names_another_sender_is_noticed(named: str, disagrees: bool) -> None:
    evidence = evidence_xml(10, sender=named)
    reading = read_mail(dispatch(verification(), evidence), RULES)
    assert reading.verification is not None
    assert reading.verification.sender_disagrees is disagrees
