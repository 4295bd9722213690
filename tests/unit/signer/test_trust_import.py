"""Where certificates to propose come from, and what officers are told of them."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import Encoding

from services.signer.certificates import Certificate, load_certificate
from services.signer.trust_changes.differences import from_groups, in_groups
from services.signer.trust_changes.documents import ChangeRefused, StoreUnreadable
from services.signer.trust_changes.proposals import Change
from services.signer.trust_changes.scrutiny import scrutinise
from services.signer.trust_changes.sources import chosen, from_files, from_source
from tests.support.pki import NOW, Authority, Holder, Pki, make_root, rsa_key
from tests.unit.signer.officers import Office, addition

DAY = timedelta(days=1)


def row(root: Holder, *, value: str | None = None, more: str = "") -> str:
    text = base64.b64encode(root.der).decode() if value is None else value
    return f"<koksertifika><mKokSertifikaNo>1</mKokSertifikaNo><mValue>{text}</mValue>{more}</koksertifika>"


def national(path: Path, *rows: str, before: str = "") -> Path:
    path.write_text(f'<?xml version="1.0" encoding="UTF-8"?>{before}<depo>{"".join(rows)}</depo>')
    return path


class TestNationalStore:
    def test_its_rows_are_proposed_with_what_they_say(self, pki: Pki, tmp_path: Path) -> None:
        signed = "<mKokTipi>1</mKokTipi><mKokGuvenSeviyesi>2</mKokGuvenSeviyesi><mSatirImzasi>AAAA</mSatirImzasi>"
        path = national(tmp_path / "SertifikaDeposu.xml", row(pki.qualified.root, more=signed), row(pki.seal.root))
        first, second = from_source(path, ("qualified", "timestamp"))
        assert first.certificate.sha256 == load_certificate(pki.qualified.root.der).sha256
        assert first.purposes == ("qualified", "timestamp")
        assert first.notes == (
            "kind 1, trust level 2 by the national store",
            "the row's signature is there and was not checked",
        )
        assert second.notes[1] == "the row's signature is missing"

    @pytest.mark.parametrize(
        ("rows", "why"),
        [
            ([], "no koksertifika"),
            (["<koksertifika/>"], "missing"),
            (["<koksertifika><mValue>!</mValue></koksertifika>"], "not base64"),
            (["<koksertifika><mValue>AAAA</mValue></koksertifika>"], "cannot be read"),
            (["<koksertifika><mValue>AA</mValue><mValue>AA</mValue></koksertifika>"], "several mValue"),
            (["<koksertifika><mValue>A<!-- -->A</mValue></koksertifika>"], "something else inside"),
            (["<koksertifika>"], "not well-formed"),
            (["<koksertifika/>" * 2001], "more than 2000"),
            (["<a>" * 300 + "</a>" * 300], "not well-formed"),
        ],
    )
    def test_a_file_that_is_not_whole_is_refused_whole(
        self, pki: Pki, tmp_path: Path, rows: list[str], why: str
    ) -> None:
        path = national(
            tmp_path / "depo.xml", *([row(pki.seal.root)] if "no koks" not in why and "300" not in why else []), *rows
        )
        with pytest.raises(StoreUnreadable, match=why):
            from_source(path, ("qualified",))

    def test_entities_and_documents_from_elsewhere(self, pki: Pki, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("x")
        doctype = f'<!DOCTYPE depo [<!ENTITY e SYSTEM "file://{tmp_path}/secret">]>'
        path = national(tmp_path / "depo.xml", row(pki.seal.root, value="&e;"), before=doctype)
        with pytest.raises(StoreUnreadable, match="DTD"):
            from_source(path, ("qualified",))

    def test_it_is_bounded(self, tmp_path: Path) -> None:
        path = tmp_path / "depo.xml"
        path.write_bytes(b"<depo>" + b" " * (17 * 1024 * 1024))
        with pytest.raises(StoreUnreadable, match="larger than"):
            from_source(path, ("qualified",))


class TestDirectories:
    @pytest.fixture
    def indexed(self, pki: Pki, tmp_path: Path) -> Path:
        directory = tmp_path / "roots"
        (directory / "intermediates").mkdir(parents=True)
        entries = []
        for name, holder, root in (
            ("a.crt", pki.qualified.root, True),
            ("intermediates/b.crt", pki.qualified.issuing, False),
        ):
            (directory / name).write_bytes(holder.der)
            digest = hashlib.sha256(holder.der).hexdigest()
            entries.append({"file": name, "sha256": digest, "root": root, "sources": ["G", "R"], "subject": "any"})
        (directory / "index.json").write_text(json.dumps(entries))
        return directory

    def change_index(self, directory: Path, **fields: object) -> None:
        entries = json.loads((directory / "index.json").read_text())
        entries[0] |= fields
        (directory / "index.json").write_text(json.dumps(entries))

    def test_an_index_tells_roots_from_others(self, indexed: Path) -> None:
        root, other = from_source(indexed, ("qualified",))
        assert (root.purposes, other.purposes) == (("qualified",), ("intermediates",))
        assert (root.source, root.notes) == ("roots/a.crt", ("index: G", "index: R"))

    def test_a_certificate_that_is_not_the_one_the_index_names(self, indexed: Path, pki: Pki) -> None:
        (indexed / "a.crt").write_bytes(pki.seal.root.der)
        with pytest.raises(StoreUnreadable, match="not the certificate that the index names"):
            from_source(indexed, ("qualified",))

    @pytest.mark.parametrize("outside", ["../outside.crt", "/etc/passwd", "link.crt"])
    def test_an_index_names_nothing_outside(self, indexed: Path, pki: Pki, outside: str) -> None:
        (indexed.parent / "outside.crt").write_bytes(pki.qualified.root.der)
        (indexed / "link.crt").symlink_to(indexed.parent / "outside.crt")
        self.change_index(indexed, file=outside)
        with pytest.raises(StoreUnreadable, match="outside its directory"):
            from_source(indexed, ("qualified",))

    @pytest.mark.parametrize("content", ["{}", "[1]", "[" * 50_000, '[{"file": "a.crt", "sha256": "x"}]'])
    def test_an_index_that_is_none(self, indexed: Path, content: str) -> None:
        (indexed / "index.json").write_text(content)
        with pytest.raises(StoreUnreadable, match=r"index\.json"):
            from_source(indexed, ("qualified",))

    def test_a_directory_by_purpose_keeps_its_hash(self, trust_directory: Path, pki: Pki, tmp_path: Path) -> None:
        (trust_directory / "intermediates").mkdir()
        (trust_directory / "intermediates" / "ca.pem").write_bytes(pki.seal.issuing.pem)
        (trust_directory / "kephs" / "more.pem").write_bytes(pki.seal.root.pem)
        found = {item.certificate.sha256: item.purposes for item in from_source(trust_directory, ())}
        assert found[load_certificate(pki.seal.root.der).sha256] == ("kephs", "seal")
        assert found[load_certificate(pki.seal.issuing.der).sha256] == ("intermediates",)
        assert len(found) == 5

    def test_files_without_a_purpose_are_not_guessed_about(self, pki: Pki, tmp_path: Path) -> None:
        bundle = tmp_path / "bundle.pem"
        bundle.write_bytes(pki.seal.root.pem + pki.kephs.root.pem)
        assert len(from_source(bundle, ("seal",))) == 2
        with pytest.raises(ChangeRefused, match="name a purpose"):
            from_source(bundle, ())
        with pytest.raises(ChangeRefused, match="name a purpose"):
            from_source(tmp_path, ())

    @pytest.mark.parametrize(
        "content", [b"", b"nothing", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
    )
    def test_files_that_are_no_certificate(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "a.pem"
        path.write_bytes(content)
        with pytest.raises(StoreUnreadable, match=r"a\.pem"):
            from_files([path], ("seal",))

    def test_single_certificates_are_chosen_by_fingerprint(self, indexed: Path) -> None:
        found = from_source(indexed, ("qualified",))
        root = found[0].certificate.sha256
        [only] = chosen(found, [root[:16]], {root[:20]: ("seal",)})
        assert (only.certificate.sha256, only.purposes) == (root, ("seal",))
        for prefix, why in ((root[:15], "at least 16"), ("0" * 16, "no certificate of the source")):
            with pytest.raises(ChangeRefused, match=why):
                chosen(found, [prefix], {})
            with pytest.raises(ChangeRefused, match=why):
                chosen(found, [], {prefix: ("seal",)})


def codes(certificate: Certificate, *present: Certificate, purposes: tuple[str, ...] = ("qualified",)) -> set[str]:
    return {item.code for item in scrutinise(certificate, purposes, present, NOW)}


def root_like(subject: x509.Name, root: Authority, *, key: Authority | None = None) -> Certificate:
    """A self-issued CA certificate with the name ``subject`` and the key of ``root``, signed with that of ``key``."""
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(root.key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign((key or root).key, hashes.SHA256())
    )
    return load_certificate(built.public_bytes(Encoding.DER))


class TestWarnings:
    def test_a_good_root_has_none(self, pki: Pki) -> None:
        assert codes(load_certificate(pki.qualified.root.der)) == set()

    def test_dates(self) -> None:
        old = make_root("Eski", now=NOW - timedelta(days=5000))
        new = make_root("Yeni", now=NOW + timedelta(days=5000))
        assert codes(load_certificate(old.der)) == {"expired"}
        assert codes(load_certificate(new.der)) == {"not-yet-valid"}

    def test_what_is_no_root(self, pki: Pki) -> None:
        assert codes(load_certificate(pki.qualified.issuing.der)) == {"not-self-signed"}
        assert codes(load_certificate(pki.qualified.issuing.der), purposes=("intermediates",)) == set()
        assert codes(load_certificate(pki.signer.der)) == {"not-self-signed", "not-a-ca"}

    def test_keys_and_digests(self) -> None:
        weak = make_root("Zayıf", key=rsa_key(1024))
        assert codes(load_certificate(weak.der)) == {"weak-key"}
        strong = make_root("Kök", key=rsa_key(2048)).der
        # sha256WithRSAEncryption becomes sha1WithRSAEncryption; the signature then is one of neither.
        named = strong.replace(bytes.fromhex("06092a864886f70d01010b"), bytes.fromhex("06092a864886f70d010105"))
        assert codes(load_certificate(named)) == {"old-digest", "self-signature"}

    def test_a_signature_of_another_key(self, pki: Pki) -> None:
        root = pki.qualified.root
        assert codes(root_like(root.certificate.subject, root, key=pki.seal.root)) == {"self-signature"}

    def test_a_root_signed_with_pss(self) -> None:
        root = make_root("PSS", key=rsa_key())
        builder = (
            x509.CertificateBuilder()
            .subject_name(root.certificate.subject)
            .issuer_name(root.certificate.subject)
            .public_key(root.key.public_key())
            .serial_number(1)
            .not_valid_before(NOW - DAY)
            .not_valid_after(NOW + DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        )
        scheme = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
        signed = builder.sign(root.key, hashes.SHA256(), rsa_padding=scheme)
        assert codes(load_certificate(signed.public_bytes(Encoding.DER))) == set()

    def test_beside_what_is_there(self, pki: Pki) -> None:
        root, other = pki.qualified.root, pki.seal.root
        known = load_certificate(root.der)
        assert codes(known, known) == {"already-there"}
        assert codes(root_like(root.certificate.subject, root), known) == {"renewed"}
        assert codes(root_like(root.certificate.subject, other), known) == {"same-name"}
        assert codes(root_like(other.certificate.subject, root), known) == {"same-key"}


class TestShown:
    def test_an_officer_sees_what_the_certificate_says(self, pki: Pki, tmp_path: Path) -> None:
        office = Office(tmp_path)
        shown = office.at().propose(Change((addition(pki.qualified.root, "qualified", "timestamp"),)), "Ayşe")
        [change] = shown["changes"]
        certificate = load_certificate(pki.qualified.root.der)
        assert shown["set_in_use"] == "none: this would be the first version"
        assert (change["change"], change["subject"], change["key"]) == ("add", "Test qualified root", "secp256r1")
        assert change["purposes"] == ["qualified", "timestamp"]
        assert change["fingerprint"] == in_groups(certificate.sha256)
        assert len(change["fingerprint"].split()) == 16
        assert from_groups(change["fingerprint"]) == certificate.sha256
        assert change["compare_fingerprint"]

    def test_only_differences_are_shown_and_only_gains_are_compared(self, pki: Pki, tmp_path: Path) -> None:
        office = Office(tmp_path)
        office.enact(addition(pki.qualified.root), addition(pki.seal.root, "seal"), addition(pki.kephs.root, "kephs"))
        digests = {name: load_certificate(tree.root.der).sha256 for name, tree in pki.hierarchies().items()}
        proposal = office.propose(
            addition(pki.qualified.root, "timestamp"),
            addition(pki.seal.issuing, "intermediates"),
            removals=frozenset({digests["seal"]}),
            ends={digests["kephs"]: NOW},
            now=NOW + DAY,
        )
        changes = {item["sha256"]: item for item in office.at().show(proposal)["changes"]}
        told = {sha256: (item["change"], item["compare_fingerprint"]) for sha256, item in changes.items()}
        assert told == {
            digests["qualified"]: ("purposes", True),
            digests["seal"]: ("remove", False),
            digests["kephs"]: ("end", False),
            load_certificate(pki.seal.issuing.der).sha256: ("add", False),
        }
        assert [item["code"] for item in changes[digests["qualified"]]["warnings"]] == ["already-there"]
