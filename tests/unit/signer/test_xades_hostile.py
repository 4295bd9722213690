"""XML signatures that attack their reader: each kind beside the harmless file it resembles."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from lxml import etree
from signxml import SignatureConfiguration, XMLVerifier
from signxml.algorithms import SignatureMethod

from services.signer.limits import DEFAULT_LIMITS
from services.signer.pipeline import read_facts
from shared.contracts.signatures import Profile, VerificationReport
from shared.domain.verdict import Conclusion, StepResult, SubIndication
from tests.support.pki import NOW, Pki
from tests.unit.signer import xades_writing as writing
from tests.unit.signer.conftest import Judge
from tests.unit.signer.signing import timestamp
from tests.unit.signer.xades_writing import DS, SIGNED_AT, XADES, Style, Xades

PLAIN = b'<r:Delivery xmlns:r="urn:r" Id="top"><r:Code>Delivery</r:Code><r:Identifier>e-1</r:Identifier></r:Delivery>'
XSLT = '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"><stylesheet/></ds:Transform>'


@pytest.fixture
def file(pki: Pki) -> Xades:
    return writing.sign_document(pki.signer)


def refused(report: VerificationReport, why: str, sub: SubIndication = SubIndication.FORMAT_FAILURE) -> None:
    assert report.sub_indication is sub
    assert report.conclusion is not Conclusion.PASSED
    said = [
        step.text.en
        for signature in report.signatures
        for step in signature.steps
        if step.result in (StepResult.FAILED, StepResult.INDETERMINATE)
    ]
    assert any(why in text for text in said), said


def find(file: Xades, path: str) -> Any:
    return file.signature.find(path.replace("ds:", f"{{{DS}}}").replace("xades:", f"{{{XADES}}}"))


def references(file: Xades) -> list[Any]:
    return list(file.part("SignedInfo").findall(f"{{{DS}}}Reference"))


def signed_again(file: Xades, number: int, octets: bytes) -> Xades:
    """Reference ``number`` made to fit ``octets``, and the value to fit that: its signer meant it so."""
    node = references(file)[number].find(f"{{{DS}}}DigestValue")
    node.text = writing.parsed(f"<w>{writing.digested(octets)}</w>")[1].text
    return writing.resign(file)


class TestWrapping:
    def test_a_signature_elsewhere_in_its_document(self, judge: Judge, file: Xades) -> None:
        """It verifies, as it must; who reads values reads them from the canonical octets."""
        before = judge(file.encode())
        file.root[0].append(file.signature)
        after = judge(file.encode())
        assert after.conclusion is before.conclusion is Conclusion.PASSED
        assert after.signed_content_sha256 == before.signed_content_sha256

    def test_a_signed_element_elsewhere(self, judge: Judge, file: Xades) -> None:
        file.root.insert(0, file.root[-2])
        refused(judge(file.encode()), "digest of a reference differs", SubIndication.HASH_FAILURE)

    def test_the_signed_document_inside_another(self, pki: Pki, judge: Judge) -> None:
        inner = writing.sign_document(pki.signer, PLAIN, Style(uri="#top")).encode()
        assert judge(inner).conclusion is Conclusion.PASSED
        refused(judge(b"<evil><r>e-2</r>" + inner + b"</evil>"), "something else than the document")

    @pytest.mark.parametrize("attribute", ["Id", "ID", "id", "xml:id", "e:Id", "other"])
    def test_an_id_on_two_elements(self, pki: Pki, judge: Judge, attribute: str) -> None:
        file = writing.sign_document(pki.signer, PLAIN, Style(uri="#top"))
        report = judge(file.plus(f'<xades:Unheard xmlns:e="urn:e" {attribute}="top"/>').encode())
        if attribute == "other":
            assert report.conclusion is Conclusion.PASSED
        else:
            refused(report, "same Id on several elements")

    @pytest.mark.parametrize(("attribute", "accepted"), [("Id", True), ("ID", True), ("e:Id", False), ("Name", False)])
    def test_an_id_is_an_attribute_called_so(self, pki: Pki, judge: Judge, attribute: str, accepted: bool) -> None:
        document = PLAIN.replace(b' Id="top"', f' xmlns:e="urn:e" {attribute}="top"'.encode())
        file = writing.sign_document(pki.signer, document)
        references(file)[0].set("URI", "#top")
        report = judge(writing.resign(file).encode())
        if accepted:
            assert report.conclusion is Conclusion.PASSED
        else:
            refused(report, "something else than the document")

    @pytest.mark.parametrize("target", [None, "", "#other", "s1"])
    def test_qualifying_properties_name_their_signature(self, judge: Judge, file: Xades, target: str | None) -> None:
        assert judge(file.encode()).conclusion is Conclusion.PASSED
        file.qualifying.attrib.pop("Target")
        if target is not None:
            file.qualifying.set("Target", target)
        refused(judge(file.encode()), "of another signature")

    def test_signed_properties_of_another_signature(self, pki: Pki, judge: Judge) -> None:
        style = Style(transform=writing.XPATH)
        both = writing.sign_document(pki.sealer, writing.sign_document(pki.signer, style=style).encode(), style)
        first = both.root.find(f"{{{DS}}}Signature")
        other = first.find(f".//{{{XADES}}}SignedProperties")
        file = both.copy()
        references(file)[-1].set("URI", f"#{other.get('Id')}")
        file = signed_again(file, -1, writing.canonical(other))
        report = judge(file.encode(), profile=Profile.INTEGRITY_ONLY)
        refused(report, "something else than the document")
        assert [item.integrity for item in report.signatures] == [True, False]

    def test_a_reference_that_claims_to_be_to_the_signed_properties(self, judge: Judge, file: Xades) -> None:
        references(file)[0].set("Type", writing.PROPERTIES_TYPE)
        refused(judge(writing.resign(file).encode()), "signed properties of another signature")

    def test_signed_properties_that_nobody_signed(self, pki: Pki, judge: Judge) -> None:
        file = writing.sign_document(pki.signer, style=Style(covered=False)).encode()
        report = judge(file, profile=Profile.INTEGRITY_ONLY)
        assert (report.conclusion, report.signatures[0].level) == (Conclusion.PASSED, "XAdES")
        assert report.signatures[0].claimed_signing_time is None
        assert judge(file).sub_indication is SubIndication.NO_SIGNING_CERTIFICATE_FOUND

    @pytest.mark.parametrize("covered", [True, False])
    def test_an_object_in_the_signature(self, pki: Pki, judge: Judge, covered: bool) -> None:
        file = writing.sign_document(pki.signer, style=Style(object="<Reason>none</Reason>" if covered else ""))
        if covered:
            assert judge(file.encode()).conclusion is Conclusion.PASSED
            file.part("Object")[0].text = "evil"
            refused(judge(file.encode()), "digest of a reference differs", SubIndication.HASH_FAILURE)
        else:
            file.signature.append(writing.parsed("<ds:Object><Reason>evil</Reason></ds:Object>"))
            refused(judge(file.encode()), "does not cover")

    def test_another_certificate_than_the_one_named(self, pki: Pki, judge: Judge) -> None:
        other = pki.qualified.issuing.issue("Başkası", key=pki.signer.key)
        report = judge(writing.sign_document(pki.signer, style=Style(reference=other.der)).encode())
        refused(report, "names another certificate", SubIndication.NO_SIGNING_CERTIFICATE_FOUND)


class TestSeveral:
    def signed(self, pki: Pki, count: int, style: Style) -> bytes:
        document = writing.DOCUMENT
        for _ in range(count):
            document = writing.sign_document(pki.transaction, document, style).encode()
        return document

    @pytest.mark.parametrize("transform", [writing.XPATH, writing.FILTER], ids=["XPath", "XPath filter"])
    def test_each_has_its_own_verdict(self, pki: Pki, judge: Judge, transform: str) -> None:
        one = writing.sign_document(pki.signer, style=Style(transform=transform))
        both = writing.sign_document(pki.sealer, one.encode(), Style(transform=transform))
        report = judge(both.encode())
        assert [item.conclusion for item in report.signatures] == [Conclusion.PASSED, Conclusion.INDETERMINATE]
        assert [item.integrity for item in report.signatures] == [True, True]
        assert report.conclusion is Conclusion.INDETERMINATE
        assert report.signed_content_sha256 == judge(one.encode()).signed_content_sha256
        both.part("SignatureValue").text = "YQ=="
        spoiled = judge(both.encode(), profile=Profile.INTEGRITY_ONLY)
        assert [item.integrity for item in spoiled.signatures] == [True, False]
        assert spoiled.conclusion is Conclusion.FAILED

    def test_the_first_does_not_fit_once_a_second_is_there(self, pki: Pki, judge: Judge) -> None:
        report = judge(self.signed(pki, 2, Style()), profile=Profile.INTEGRITY_ONLY)
        assert [item.integrity for item in report.signatures] == [False, True]
        assert report.conclusion is Conclusion.FAILED

    @pytest.mark.parametrize("count", [32, 33])
    def test_count(self, pki: Pki, judge: Judge, count: int) -> None:
        document = writing.sign_document(pki.transaction, style=Style(transform=writing.XPATH))
        signature = etree.tostring(document.signature)
        number = document.signature.get("Id").removeprefix("s")
        for index in range(1, count):
            copied = signature
            for letter in ("s", "v", "k", "p"):
                copied = copied.replace(f'"{letter}{number}"'.encode(), f'"{letter}x{index}"'.encode())
                copied = copied.replace(f'"#{letter}{number}"'.encode(), f'"#{letter}x{index}"'.encode())
            document.root.append(etree.fromstring(copied))
        report = judge(document.encode(), profile=Profile.INTEGRITY_ONLY)
        if count == 32:
            assert [len(report.signatures), report.signatures[0].integrity] == [32, True]
        else:
            refused(report, "signers, at most 32")

    def test_one_in_a_place_where_none_is_read(self, pki: Pki, judge: Judge, file: Xades) -> None:
        inner = writing.sign_document(pki.sealer).signature
        place = file.plus("<xades:Unheard/>")
        place.unsigned[-1].append(inner)
        report = judge(place.encode())
        assert report.conclusion is Conclusion.PASSED
        assert any("not evaluated: Signature" in step.text.en for step in report.signatures[0].steps)


class TestAlone:
    """A signature around its content, or beside it."""

    def test_around_its_content(self, pki: Pki, judge: Judge) -> None:
        file = writing.sign_alone(pki.signer, Style(object="<Letter>text</Letter>"))
        report = judge(file.encode())
        assert (report.conclusion, report.signatures[0].level) == (Conclusion.PASSED, "XAdES-B")
        file.part("Object")[0].text = "evil"
        refused(judge(file.encode()), "digest of a reference differs", SubIndication.HASH_FAILURE)

    def test_around_nothing(self, pki: Pki, judge: Judge) -> None:
        refused(judge(writing.sign_alone(pki.signer, Style()).encode()), "does not cover one document")

    def test_beside_a_content_that_is_never_fetched(self, pki: Pki, judge: Judge, listener: socket.socket) -> None:
        uri = f"http://127.0.0.1:{listener.getsockname()[1]}/letter.pdf"
        file = writing.sign_alone(pki.signer, Style(), (uri, b"the letter")).encode()
        assert judge(file, b"the letter").conclusion is Conclusion.PASSED
        refused(judge(file, b"another"), "digest of a reference differs", SubIndication.HASH_FAILURE)
        refused(judge(file), "was not found", SubIndication.SIGNED_DATA_NOT_FOUND)
        with pytest.raises(BlockingIOError):
            listener.accept()

    def test_an_address_in_an_enveloped_signature(self, judge: Judge, file: Xades, listener: socket.socket) -> None:
        references(file)[0].set("URI", f"http://127.0.0.1:{listener.getsockname()[1]}/x")
        refused(judge(writing.resign(file).encode()), "something else than the document")
        with pytest.raises(BlockingIOError):
            listener.accept()

    def test_archived_with_its_content(self, pki: Pki, judge: Judge) -> None:
        file = writing.sign_alone(pki.signer, Style(object="<Letter>text</Letter>"))
        file = writing.with_archive(writing.with_signature_stamp(file, pki), pki)
        assert judge(file.encode()).signatures[0].level_intact == "XAdES-A"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        opened.listen()
        opened.setblocking(False)
        yield opened


class TestTransforms:
    @pytest.mark.parametrize(
        ("transform", "accepted"),
        [
            (f'<ds:Transform Algorithm="{writing.ENVELOPED}"/>', True),
            (writing.XPATH, True),
            (writing.XPATH.replace("not(ancestor", " not( ancestor"), True),
            (f'<ds:Transform Algorithm="{writing.ENVELOPED}"/>' + writing.XPATH + writing.FILTER, True),
            (f'<ds:Transform Algorithm="{writing.ENVELOPED}"/>' * 4, False),
            (writing.XPATH.replace("not(ancestor-or-self::ds:Signature)", "true()"), False),
            (writing.XPATH.replace("ds:Signature)<", "ds:Signature) and not(self::Code)<"), False),
            (writing.XPATH.replace(f'<ds:XPath xmlns:ds="{DS}">', '<ds:XPath xmlns:e="urn:e">').replace(
                "self::ds:", "self::e:"), False),
            (writing.FILTER.replace("subtract", "intersect"), False),
            (XSLT, False),
            (f'<ds:Transform Algorithm="{writing.ENVELOPED}"/>{XSLT}', False),
            (f'<ds:Transform Algorithm="{DS}base64"/>', False),
            ('<ds:Transform Algorithm="http://www.w3.org/2002/07/decrypt#XML"/>', False),
            ("", False),
        ],
    )  # fmt: skip
    def test_of_the_document(self, pki: Pki, judge: Judge, transform: str, accepted: bool) -> None:
        report = judge(writing.sign_document(pki.signer, style=Style(transform=transform)).encode())
        if accepted:
            assert report.conclusion is Conclusion.PASSED
        else:
            assert (report.conclusion, report.sub_indication) == (Conclusion.FAILED, SubIndication.FORMAT_FAILURE)

    @pytest.mark.parametrize("transform", [f'<ds:Transform Algorithm="{writing.ENVELOPED}"/>', XSLT, writing.XPATH])
    def test_of_another_reference(self, judge: Judge, file: Xades, transform: str) -> None:
        references(file)[-1][0].insert(0, writing.parsed(transform))
        refused(judge(writing.resign(file).encode()), "transform")

    @pytest.mark.parametrize(("count", "accepted"), [(16, True), (17, False)])
    def test_inclusive_namespaces(self, pki: Pki, judge: Judge, count: int, accepted: bool) -> None:
        file = writing.sign_document(pki.signer)
        names = " ".join(f"n{number}" for number in range(count))
        for reference in references(file):
            reference[0][-1].append(
                etree.fromstring(f'<InclusiveNamespaces xmlns="{writing.EXCLUSIVE}" PrefixList="{names}"/>')
            )
        report = judge(writing.resign(file).encode())
        assert report.conclusion is (Conclusion.PASSED if accepted else Conclusion.FAILED)

    def test_references(self, judge: Judge, file: Xades) -> None:
        info = file.part("SignedInfo")
        for _ in range(15):
            info.append(writing.parsed(etree.tostring(references(file)[0]).decode()))
        refused(judge(writing.resign(file).encode()), "references, at most 16")

    @pytest.mark.parametrize("which", [0, 1, 2])
    def test_a_reference_twice(self, judge: Judge, file: Xades, which: int) -> None:
        file.part("SignedInfo").append(writing.parsed(etree.tostring(references(file)[which]).decode()))
        report = judge(writing.resign(file).encode())
        assert (report.conclusion, report.sub_indication) == (Conclusion.FAILED, SubIndication.FORMAT_FAILURE)

    def test_no_reference(self, judge: Judge, file: Xades) -> None:
        for item in references(file):
            item.getparent().remove(item)
        refused(judge(writing.resign(file).encode()), "without its parts in order")

    @pytest.mark.parametrize(("count", "accepted"), [(50, True), (65, False)])
    def test_namespaces_in_scope(self, pki: Pki, judge: Judge, count: int, accepted: bool) -> None:
        many = " ".join(f'xmlns:n{number}="urn:n{number}"' for number in range(count))
        document = PLAIN.replace(b"<r:Delivery ", f"<r:Delivery {many} ".encode())
        report = judge(writing.sign_document(pki.signer, document).encode())
        assert report.conclusion is (Conclusion.PASSED if accepted else Conclusion.FAILED)

    @pytest.mark.parametrize(("levels", "accepted"), [(50, True), (70, False)])
    def test_a_namespace_declared_again_and_again(self, pki: Pki, judge: Judge, levels: int, accepted: bool) -> None:
        nested = b"".join(b'<n:a xmlns:n="urn:n%d">' % number for number in range(levels)) + b"</n:a>" * levels
        document = PLAIN.replace(b">e-1<", b">" + nested + b"<")
        report = judge(writing.sign_document(pki.signer, document).encode())
        assert report.conclusion is (Conclusion.PASSED if accepted else Conclusion.FAILED)


class TestAlgorithms:
    @pytest.mark.parametrize(
        ("digest", "sub"),
        [
            ("sha256", None),
            ("sha512", None),
            ("sha1", SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE),
        ],
    )
    def test_digests(self, pki: Pki, judge: Judge, digest: str, sub: SubIndication | None) -> None:
        report = judge(writing.sign_document(pki.signer, style=Style(digest=digest)).encode())
        assert report.sub_indication is sub
        assert report.signatures[0].integrity

    def test_md5(self, judge: Judge, file: Xades) -> None:
        for item in references(file):
            item.find(f"{{{DS}}}DigestMethod").set("Algorithm", "http://www.w3.org/2001/04/xmldsig-more#md5")
        refused(judge(writing.resign(file).encode()), "md5", SubIndication.CRYPTO_CONSTRAINTS_FAILURE)

    @pytest.mark.parametrize(
        "uri", [f"{DS}hmac-sha1", "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256", f"{DS}dsa-sha1", "", "urn:x"]
    )
    def test_methods_that_are_not_computed(self, judge: Judge, file: Xades, uri: str) -> None:
        find(file, "ds:SignedInfo/ds:SignatureMethod").set("Algorithm", uri)
        report = judge(writing.resign(file).encode(), profile=Profile.INTEGRITY_ONLY)
        refused(report, "Unknown algorithm", SubIndication.CRYPTO_CONSTRAINTS_FAILURE)

    def test_an_output_length(self, judge: Judge, file: Xades) -> None:
        method = find(file, "ds:SignedInfo/ds:SignatureMethod")
        method.append(writing.parsed("<ds:HMACOutputLength>0</ds:HMACOutputLength>"))
        refused(judge(writing.resign(file).encode()), "signature method with parameters")

    @pytest.mark.parametrize("value", ["", "AA==", "not base64!"])
    def test_values_that_are_none(self, pki: Pki, judge: Judge, value: str) -> None:
        file = writing.sign_document(pki.transaction)
        assert judge(file.encode(), profile=Profile.KEPHS_TRANSACTION).conclusion is Conclusion.PASSED
        file.part("SignatureValue").text = value
        assert judge(file.encode(), profile=Profile.KEPHS_TRANSACTION).conclusion is Conclusion.FAILED

    @pytest.mark.parametrize(
        "name", ["ds:SignedInfo/ds:CanonicalizationMethod", "ds:SignedInfo/ds:Reference/ds:DigestMethod"]
    )
    def test_names_outside_the_short_list(self, judge: Judge, file: Xades, name: str) -> None:
        find(file, name).set("Algorithm", "urn:x")
        report = judge(writing.resign(file).encode(), profile=Profile.INTEGRITY_ONLY)
        assert report.conclusion is not Conclusion.PASSED
        assert not report.signatures[0].integrity


class TestComments:
    def test_in_the_document_they_are_not_signed_and_not_handed_on(self, pki: Pki, judge: Judge) -> None:
        file = writing.sign_document(pki.signer).encode()
        split = file.replace(b">e-1<", b">e-<!-- evil -->1<")
        assert split != file
        before, after = judge(file), judge(split)
        assert after.conclusion is Conclusion.PASSED
        assert after.signed_content_sha256 == before.signed_content_sha256
        octets = read_facts(split, None).attached_content
        assert octets is not None
        assert b">e-1<" in octets

    @pytest.mark.parametrize(
        "path",
        ["ds:SignedInfo/ds:Reference/ds:DigestValue", "ds:SignedInfo", "ds:SignatureValue"],
    )
    @pytest.mark.parametrize("kind", [etree.Comment, etree.ProcessingInstruction])
    def test_where_a_value_is_read(self, judge: Judge, file: Xades, path: str, kind: Callable[[str], Any]) -> None:
        """A comment is not in the canonical form, and a reader takes the text before it for the whole."""
        element = find(file, path)
        note = kind("evil")
        text = element.text or ""
        element.text, note.tail = text[:8], text[8:]
        element.insert(0, note)
        report = judge(writing.resign(file).encode() if "Signed" in path else file.encode())
        assert (report.conclusion, report.sub_indication) == (Conclusion.FAILED, SubIndication.FORMAT_FAILURE)

    def test_in_signed_properties(self, judge: Judge, file: Xades) -> None:
        node = file.qualifying.find(f".//{{{XADES}}}SigningTime")
        node.text, note = node.text[:4], etree.Comment("evil")
        note.tail = "-11-19T12:00:00+00:00"
        node.append(note)
        report = judge(file.encode())
        assert (report.conclusion, report.signatures[0].claimed_signing_time) == (Conclusion.PASSED, SIGNED_AT)


class TestSize:
    @pytest.mark.parametrize(("count", "accepted"), [(64, True), (65, False), (1000, False)])
    def test_time_stamps(self, pki: Pki, judge: Judge, file: Xades, count: int, accepted: bool) -> None:
        token = writing.text64(timestamp(pki.tsa, file.under_value(), SIGNED_AT))
        held = f"<xades:EncapsulatedTimeStamp>{token}</xades:EncapsulatedTimeStamp>" * count
        method = f'<ds:CanonicalizationMethod Algorithm="{writing.EXCLUSIVE}"/>'
        report = judge(file.plus(f"<xades:SignatureTimeStamp>{method}{held}</xades:SignatureTimeStamp>").encode())
        if accepted:
            assert (report.conclusion, len(report.signatures[0].timestamps)) == (Conclusion.PASSED, 64)
        else:
            refused(report, "time-stamps, at most 64")

    @pytest.mark.parametrize(("count", "level"), [(63, "XAdES-T"), (64, "XAdES-B")])
    def test_unsigned_properties(self, pki: Pki, judge: Judge, count: int, level: str) -> None:
        file = writing.level_t(pki)
        holder = file.unsigned[0].getparent()
        for _ in range(count):
            holder.append(writing.parsed("<xades:Unheard/>"))
        report = judge(file.encode(), profile=Profile.INTEGRITY_ONLY)
        assert (report.conclusion, report.signatures[0].level_intact) == (Conclusion.PASSED, level)

    @pytest.mark.parametrize(("depth", "accepted"), [(200, True), (300, False)])
    def test_depth(self, judge: Judge, file: Xades, depth: int, accepted: bool) -> None:
        data = file.plus("<xades:Unheard>here</xades:Unheard>").encode()
        data = data.replace(b">here<", b">" + b"<d>" * depth + b"</d>" * depth + b"<")
        report = judge(data)
        assert report.conclusion is (Conclusion.PASSED if accepted else Conclusion.FAILED)

    @pytest.mark.parametrize(("megabytes", "accepted"), [(1, True), (11, False)])
    def test_text(self, pki: Pki, judge: Judge, megabytes: int, accepted: bool) -> None:
        document = PLAIN.replace(b">e-1<", b">" + b"e" * (megabytes << 20) + b"<")
        report = judge(writing.sign_document(pki.signer, document).encode() if accepted else document)
        assert report.conclusion is (Conclusion.PASSED if accepted else Conclusion.FAILED)

    @pytest.mark.parametrize(
        "dtd",
        [
            (
                b'<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
                b'<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>'
            ),
            b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
            b"<!DOCTYPE r [<!ATTLIST r:Delivery Id ID #IMPLIED>]>",
            b"<!DOCTYPE r>",
        ],
        ids=["laughs", "file", "attributes", "empty"],
    )
    def test_document_types(self, pki: Pki, judge: Judge, dtd: bytes) -> None:
        file = writing.sign_document(pki.signer, PLAIN).encode()
        assert judge(file).conclusion is Conclusion.PASSED
        report = judge(dtd + file)
        assert (report.conclusion, report.sub_indication) == (Conclusion.FAILED, SubIndication.FORMAT_FAILURE)

    def test_certificates(self, pki: Pki, judge: Judge, file: Xades) -> None:
        holder = find(file, "ds:KeyInfo/ds:X509Data")
        for _ in range(DEFAULT_LIMITS.certificates):
            holder.append(writing.parsed("<ds:X509Certificate>YQ==</ds:X509Certificate>"))
        refused(judge(file.encode()), "certificates, at most 200")


def flipped(encoded: bytes, chooser: random.Random) -> bytes:
    changed = bytearray(encoded)
    changed[chooser.randrange(len(changed))] ^= 1 << chooser.randrange(8)
    return bytes(changed)


@pytest.mark.parametrize("chunk", range(4))
@pytest.mark.parametrize("name", ["B", "A"])
def test_bit_flips(pki: Pki, judge: Judge, name: str, chunk: int) -> None:
    """Nothing raises, nothing altered is accepted; what is accepted signxml accepts too, and reads the same."""
    made = writing.sign_document(pki.signer, PLAIN)
    if name == "A":
        made = writing.with_archive(writing.with_signature_stamp(made, pki), pki)
    encoded = made.encode()
    good = judge(encoded)
    assert good.conclusion is Conclusion.PASSED
    settings = SignatureConfiguration(
        location=".//", expect_references=True, signature_methods=frozenset(SignatureMethod), verification_time=NOW
    )
    chooser = random.Random(f"{name} {chunk}")
    accepted = 0
    for _ in range(125):
        changed = flipped(encoded, chooser)
        report = judge(changed)
        if report.conclusion is not Conclusion.PASSED:
            continue
        accepted += 1
        assert report.signed_content_sha256 == good.signed_content_sha256
        assert report.signatures[0].signer == good.signatures[0].signer
        assert report.signatures[0].claimed_signing_time == good.signatures[0].claimed_signing_time
        results = XMLVerifier().verify(
            changed, x509_cert=pki.signer.certificate, expect_config=settings, validate_schema=False
        )
        assert results[0].signed_data == PLAIN
    assert accepted < 100, "most of a file is signed, or stamped"
