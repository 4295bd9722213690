"""The managed trust store: what is used, what is refused, and that no half of a change is ever seen."""

from __future__ import annotations

import asyncio
import base64
import errno
import hashlib
import json
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from services.signer.certificates import load_certificate
from services.signer.trust import TrustDirectory, TrustUnreadable, load_store
from services.signer.trust_changes import documents, officers
from services.signer.trust_changes.documents import ChangeRefused, StoreUnreadable
from services.signer.trust_changes.managed import ManagedTrust
from services.signer.trust_changes.proposals import Addition, Change, Queue
from shared.clock import FixedClock
from tests.support.pki import NOW, Pki, make_root
from tests.support.signer import TOKEN, running_signer
from tests.unit.signer.officers import PASSPHRASE, Office, addition

DAY = timedelta(days=1)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def in_use(office: Office, **options: Any) -> ManagedTrust:
    return ManagedTrust(office.store, office.officers_file, **options)


def version_file(office: Office, number: int) -> Path:
    return office.store / "versions" / f"{number:06}.json"


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


class TestTwoPersons:
    def test_a_set_that_two_approved_is_used_and_named(self, office: Office, pki: Pki, trust_directory: Path) -> None:
        trees = pki.hierarchies().items()
        office.enact(*(addition(tree.root, purpose) for purpose, tree in trees), comment="first set")
        trust = in_use(office)
        assert (trust.version, trust.approved_by, trust.comment) == (1, ("Ayşe", "Mehmet"), "first set")
        assert trust.store.sha256 == load_store(trust_directory).sha256, "the name of the same set in a plain directory"
        assert trust.store.anchors["encryption"] == trust.store.anchors["seal"]

    def test_one_approval_activates_nothing(self, office: Office, pki: Pki) -> None:
        proposal = office.propose(addition(pki.qualified.root))
        office.approve(proposal, "Ayşe")
        with pytest.raises(ChangeRefused, match="approved by 1 of 2 persons"):
            office.at().activate(proposal)
        assert not version_file(office, 1).exists()
        with pytest.raises(TrustUnreadable, match="no version yet"):
            in_use(office)

    def test_the_same_person_counts_once(self, tmp_path: Path, pki: Pki) -> None:
        """Twice with one key, and with two keys under one name."""
        office = Office(tmp_path, ("Ayşe", "Mehmet", "AYŞE "))
        proposal = office.propose(addition(pki.qualified.root))
        office.approve(proposal, "Ayşe", "Ayşe", "AYŞE ")
        with pytest.raises(ChangeRefused, match="1 of 2"):
            office.at().activate(proposal)
        office.approve(proposal, "Mehmet")
        assert office.at().activate(proposal)["version"] == 1

    def test_a_key_of_nobody_is_refused_and_its_signature_counts_for_nothing(self, office: Office, pki: Pki) -> None:
        proposal = office.propose(addition(pki.qualified.root))
        stranger = office.directory / "stranger.key"
        officers.new_key("Mehmet", stranger, PASSPHRASE)
        digest = load_certificate(pki.qualified.root.der).sha256
        with pytest.raises(ChangeRefused, match="not the key of an officer"):
            office.at().approve(proposal, stranger, PASSPHRASE, [digest], None)
        office.approve(proposal, "Ayşe")
        signature = officers.sign(officers.load_key(stranger, PASSPHRASE), Queue(office.store).get(proposal).manifest)
        Queue(office.store).approve(proposal, signature)
        with pytest.raises(ChangeRefused, match="1 of 2"):
            office.at().activate(proposal)

    def test_a_signature_under_another_officers_name_does_not_hold(self, office: Office, pki: Pki) -> None:
        proposal = office.propose(addition(pki.qualified.root))
        office.approve(proposal, "Ayşe")
        own, other = (entry.key_sha256 for entry in office.at().officers.officers[:2])
        path = office.store / "pending" / proposal / f"{own}.json"
        copied = json.loads(path.read_text()) | {"key_sha256": other}
        (path.parent / f"{other}.json").write_text(json.dumps(copied))
        with pytest.raises(ChangeRefused, match="1 of 2"):
            office.at().activate(proposal)

    def test_keys_on_curves_and_what_no_key_may_be(self, office: Office, pki: Pki) -> None:
        entries = office.entries()
        for number, curve in enumerate((ec.SECP256R1(), ec.SECP384R1())):
            entries[number]["public_key"] = write_key(office.keys[office.names[number]], ec.generate_private_key(curve))
        office.write_officers(entries)
        office.enact(addition(pki.seal.root, "seal"))
        assert in_use(office).approved_by == ("Ayşe", "Mehmet")
        weak = office.directory / "rsa.key"
        entries[2]["public_key"] = write_key(weak, rsa.generate_private_key(65537, 2048))
        with pytest.raises(StoreUnreadable, match="neither an Ed25519"):
            officers.load_key(weak, PASSPHRASE)
        office.write_officers(entries)
        with pytest.raises(StoreUnreadable, match="neither an Ed25519"):
            office.at()

    def test_private_keys_are_guarded(self, office: Office) -> None:
        key = office.keys["Ayşe"]
        assert key.stat().st_mode & 0o777 == 0o600
        with pytest.raises(StoreUnreadable, match="wrong passphrase"):
            officers.load_key(key, "something else entirely")
        with pytest.raises(StoreUnreadable, match="File exists"):
            officers.new_key("Ayşe", key, PASSPHRASE)
        with pytest.raises(StoreUnreadable, match="fewer than 12"):
            officers.new_key("Ayşe", office.directory / "short.key", "short")
        bare = office.directory / "bare.key"
        write_key(bare, ec.generate_private_key(ec.SECP256R1()), protected=False)
        with pytest.raises(StoreUnreadable, match="not encrypted"):
            officers.load_key(bare, PASSPHRASE)


def write_key(path: Path, key: Any, *, protected: bool = True) -> str:
    protection = BestAvailableEncryption(PASSPHRASE.encode()) if protected else NoEncryption()
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection))
    encoded: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return encoded.decode()


class TestOfficersFile:
    def test_what_it_must_say(self, office: Office) -> None:
        first, second, third = office.entries()
        retired = third | {"retired": "2026-01-01T00:00:00Z"}
        for entries, why in (
            ([first, second | {"public_key": first["public_key"]}], "listed twice"),
            ([first, second | {"name": "ayşe"}], "fewer persons"),
            ([first, retired], "fewer persons"),
            ([first], "at least 2"),
            ([first, second | {"email": "x"}], "Extra inputs"),
        ):
            office.write_officers(entries)
            with pytest.raises(StoreUnreadable, match=why):
                office.at()
        office.threshold = 1
        office.write_officers([first, second])
        with pytest.raises(StoreUnreadable, match="greater than or equal to 2"):
            office.at()
        office.officers_file.write_text("[" * 100_000)
        with pytest.raises(StoreUnreadable, match="not JSON"):
            office.at()

    def test_it_may_be_named_by_its_digest(self, office: Office, pki: Pki) -> None:
        office.enact(addition(pki.qualified.root))
        digest = hashlib.sha256(office.officers_file.read_bytes()).hexdigest()
        trust = in_use(office, officers_sha256=digest.upper())
        office.write_officers(office.entries()[::-1])
        with pytest.raises(TrustUnreadable, match="SHA-256 is configured"):
            trust.reload()

    def test_it_does_not_lie_in_the_store(self, office: Office, pki: Pki) -> None:
        office.enact(addition(pki.qualified.root))
        inside = shutil.copy(office.officers_file, office.store / "officers.json")
        with pytest.raises(TrustUnreadable, match="lies in the store"):
            ManagedTrust(office.store, Path(inside))

    def test_a_retired_officer_counts_for_the_past_only(self, office: Office, pki: Pki) -> None:
        office.enact(addition(pki.qualified.root))
        entries = office.entries()
        entries[1]["retired"] = (NOW + DAY).isoformat()
        office.write_officers(entries)
        with pytest.raises(TrustUnreadable, match="signed by 1 of 2 persons"):
            in_use(office)
        [line] = office.at().verify()["versions"]
        assert line["enough"]
        assert office.at().verify()["good"] is False
        proposal = office.propose(now=NOW + 2 * DAY, renewal=True)
        [change] = office.at().show(proposal)["changes"]
        assert change["change"] == "add", "nothing of a set that too few signed is taken for granted"
        with pytest.raises(ChangeRefused, match="not the key of an officer"):
            office.approve(proposal, "Mehmet")
        office.approve(proposal, "Ayşe", "Zeynep")
        office.at().activate(proposal)
        assert in_use(office).approved_by == ("Ayşe", "Zeynep")


class TestTampering:
    @pytest.fixture
    def running(self, office: Office, pki: Pki) -> ManagedTrust:
        office.enact(addition(pki.qualified.root), addition(pki.seal.root, "seal"))
        return in_use(office)

    def refused(self, office: Office, running: ManagedTrust, why: str) -> None:
        """By one that starts and by one that runs; the latter goes on with what it had."""
        before = running.store
        with pytest.raises(TrustUnreadable, match=why):
            in_use(office)
        with pytest.raises(TrustUnreadable, match=why):
            running.reload()
        assert running.store is before
        assert running.version == 1

    def test_an_altered_manifest(self, office: Office, running: ManagedTrust) -> None:
        def widen(value: dict[str, Any]) -> None:
            value["manifest"]["anchors"][0]["purposes"] = ["kephs", "timestamp"]

        edit(version_file(office, 1), widen)
        self.refused(office, running, "signed by 0 of 2")

    def test_an_altered_certificate(self, office: Office, running: ManagedTrust) -> None:
        [path, _other] = sorted((office.store / "anchors").iterdir())
        path.write_bytes(make_root("Başka").der)
        self.refused(office, running, "altered")

    def test_a_missing_certificate(self, office: Office, running: ManagedTrust) -> None:
        next((office.store / "anchors").iterdir()).unlink()
        self.refused(office, running, "No such file")

    def test_a_next_version_that_nobody_signed(self, office: Office, running: ManagedTrust) -> None:
        value = json.loads(version_file(office, 1).read_text())
        value["manifest"] |= {"version": 2, "previous_sha256": documents.digest_of(value["manifest"]), "anchors": []}
        version_file(office, 2).write_text(json.dumps(value))
        self.refused(office, running, "version 2 is signed by 0 of 2")

    @pytest.mark.parametrize("content", [b"", b"{}", b"[" * 50_000, b'{"manifest": {}, "signatures": []}', b"\xff"])
    def test_a_version_that_is_none(self, office: Office, running: ManagedTrust, content: bytes) -> None:
        version_file(office, 1).write_bytes(content)
        self.refused(office, running, "000001.json")

    @pytest.mark.parametrize("created", ["9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00+23:00"])
    def test_a_moment_that_utc_does_not_have(self, office: Office, running: ManagedTrust, created: str) -> None:
        """Anybody who may write the directory can put it there: it is read before signatures are looked at."""
        edit(version_file(office, 1), lambda value: value["manifest"].update(created=created))
        self.refused(office, running, "000001.json: created")

    def test_a_version_larger_than_any(self, office: Office, running: ManagedTrust) -> None:
        os.truncate(version_file(office, 1), 1024 * 1024 * 1024)
        self.refused(office, running, "larger than")

    def test_a_pipe_in_place_of_a_version(self, office: Office, running: ManagedTrust) -> None:
        version_file(office, 1).unlink()
        os.mkfifo(version_file(office, 1))
        self.refused(office, running, "000001.json")


class TestRollback:
    def test_an_older_version_is_refused_while_a_newer_was_in_use(self, office: Office, pki: Pki) -> None:
        office.enact(addition(pki.qualified.root))
        office.enact(addition(pki.seal.root, "seal"), now=NOW + DAY)
        trust = in_use(office)
        version_file(office, 2).unlink()
        with pytest.raises(TrustUnreadable, match="older than version 2"):
            trust.reload()
        assert trust.version == 2
        assert in_use(office).version == 1, "one that starts now knows only what it is told"
        with pytest.raises(TrustUnreadable, match="older than version 2"):
            in_use(office, at_least=2)

    def test_another_version_of_the_same_number(self, office: Office, pki: Pki, tmp_path: Path) -> None:
        """Signed by enough persons, but not what was in use: a store put back and changed differently."""
        office.enact(addition(pki.qualified.root))
        shutil.copytree(office.store, tmp_path / "copy")
        office.enact(addition(pki.seal.root, "seal"), now=NOW + DAY)
        trust = in_use(office)
        shutil.rmtree(office.store)
        shutil.copytree(tmp_path / "copy", office.store)
        office.enact(addition(pki.kephs.root, "kephs"), now=NOW + DAY)
        office.enact(addition(pki.timestamp.root, "timestamp"), now=NOW + 2 * DAY)
        with pytest.raises(TrustUnreadable, match="another one than was in use"):
            trust.reload()

    def test_a_version_missing_below(self, office: Office, pki: Pki) -> None:
        office.enact(addition(pki.qualified.root))
        office.enact(addition(pki.seal.root, "seal"), now=NOW + DAY)
        version_file(office, 1).unlink()
        with pytest.raises(TrustUnreadable, match="a version is missing"):
            in_use(office)

    def test_a_version_exchanged_below(self, office: Office, pki: Pki) -> None:
        office.enact(addition(pki.qualified.root))
        office.enact(addition(pki.seal.root, "seal"), now=NOW + DAY)
        edit(version_file(office, 1), lambda value: value["manifest"].update(comment="other"))
        with pytest.raises(TrustUnreadable, match="not the version that version 2 continues"):
            in_use(office)
        with pytest.raises(StoreUnreadable):
            office.at().verify()


class TestChanges:
    def test_purposes_ends_and_removal(self, office: Office, pki: Pki) -> None:
        root = load_certificate(pki.qualified.root.der)
        office.enact(addition(pki.qualified.root), addition(pki.seal.root, "seal"))
        first = in_use(office).store.sha256
        office.enact(addition(pki.qualified.root, "timestamp"), now=NOW + DAY)
        assert in_use(office).store.for_purposes(("timestamp",), NOW) == (root,)
        office.enact(ends={root.sha256: NOW}, now=NOW + 2 * DAY)
        trust = in_use(office)
        assert trust.store.for_purposes(("timestamp",), NOW + DAY) == ()
        assert trust.store.for_purposes(("timestamp",), NOW - DAY) == (root,)
        office.enact(removals=frozenset({root.sha256}), now=NOW + 3 * DAY)
        assert in_use(office).store.for_purposes(("qualified",), NOW - DAY) == ()
        assert in_use(office).store.sha256 != first
        told = office.at().history()["versions"]
        assert [line["version"] for line in told] == [4, 3, 2, 1]
        assert (len(told[0]["removed"]), len(told[3]["added"])) == (1, 2)
        assert office.at().verify()["good"]

    def test_an_intermediate_is_trusted_for_nothing(self, office: Office, pki: Pki) -> None:
        issuing = Addition(load_certificate(pki.seal.issuing.der), ("intermediates",))
        office.enact(addition(pki.seal.root, "seal"), issuing)
        store = in_use(office).store
        assert store.intermediates == (issuing.certificate,)
        assert store.size == 2, "the root, for seals and for encryption"
        with pytest.raises(StoreUnreadable, match="trusted for nothing"):
            office.propose(addition(pki.kephs.root, "intermediates", "seal"))

    def test_who_brought_a_certificate_stays_with_it(self, office: Office, pki: Pki) -> None:
        office.enact(addition(pki.qualified.root), by=("Mehmet", "Zeynep"))
        proposal = office.propose(addition(pki.seal.root, "seal"), now=NOW + DAY)
        entries = {entry.since_version: entry for entry in Queue(office.store).get(proposal).parsed().anchors}
        assert entries[1].approved_by == ("Mehmet", "Zeynep")
        assert (entries[2].approved_by, entries[2].added_by) == ((), "Ayşe")

    def test_what_changes_nothing_or_is_not_there(self, office: Office, pki: Pki) -> None:
        office.enact(addition(pki.qualified.root))
        for change, why in (
            (Change((addition(pki.qualified.root),)), "nothing would change"),
            (Change(), "nothing would change"),
            (Change(removals=frozenset({"0" * 64})), "not in the store"),
            (Change(ends={"0" * 64: NOW}), "not in the store"),
        ):
            with pytest.raises(ChangeRefused, match=why):
                office.at().propose(change, "Ayşe")
        with pytest.raises(StoreUnreadable, match="comment"):
            office.propose(addition(pki.seal.root, "seal"), comment="x" * 501)
        with pytest.raises(StoreUnreadable, match="no such purpose"):
            office.propose(addition(pki.seal.root, "everything"))

    def test_clocks_that_are_wrong(self, office: Office, pki: Pki) -> None:
        office.enact(addition(pki.qualified.root))
        with pytest.raises(ChangeRefused, match="a clock is wrong"):
            office.propose(addition(pki.seal.root, "seal"), now=NOW - DAY)
        late = office.propose(addition(pki.seal.root, "seal"), now=NOW + 3650 * DAY)
        with pytest.raises(ChangeRefused, match="in the future"):
            office.approve(late, "Ayşe")

    def test_an_old_version_is_written_as_a_plain_directory(self, office: Office, pki: Pki, tmp_path: Path) -> None:
        """So that the set a report names by its hash can be used again."""
        office.enact(addition(pki.qualified.root), Addition(load_certificate(pki.seal.issuing.der), ("intermediates",)))
        named = in_use(office).store.sha256
        digest = load_certificate(pki.qualified.root.der).sha256
        office.enact(addition(pki.seal.root, "seal"), ends={digest: NOW}, now=NOW + DAY)
        [number] = [
            line["version"] for line in office.at().history()["versions"] if line["trust_store_sha256"] == named
        ]
        told = office.at().export(number, tmp_path / "old")
        assert (told["version"], told["ends_not_exported"]) == (1, [])
        written = load_store(tmp_path / "old")
        assert written.sha256 == named
        assert len(written.intermediates) == 1
        assert office.at().export(None, tmp_path / "last")["ends_not_exported"] == [digest]
        for number, target, why in ((None, "old", "is there already"), (3, "other", "no such version")):
            with pytest.raises(ChangeRefused, match=why):
                office.at().export(number, tmp_path / target)


class TestQueue:
    def test_every_fingerprint_must_have_been_compared(self, office: Office, pki: Pki) -> None:
        proposal = office.propose(addition(pki.qualified.root), addition(pki.seal.root, "seal"))
        one, other = (item["fingerprint"] for item in office.at().show(proposal)["changes"])
        key = office.keys["Ayşe"]
        with pytest.raises(ChangeRefused, match="nobody compared"):
            office.at().approve(proposal, key, PASSPHRASE, [one], None)
        colons = ":".join(other.replace(" ", "")[index : index + 2] for index in range(0, 64, 2))
        assert office.at().approve(proposal, key, PASSPHRASE, [one, colons], None)["approved_by"] == ["Ayşe"]

    def test_what_loses_trust_needs_no_fingerprint(self, office: Office, pki: Pki) -> None:
        digest = load_certificate(pki.qualified.root.der).sha256
        office.enact(addition(pki.qualified.root))
        proposal = office.propose(ends={digest: NOW}, now=NOW + DAY)
        office.at(NOW + DAY).approve(proposal, office.keys["Ayşe"], PASSPHRASE, [], None)
        office.at(NOW + DAY).approve(proposal, office.keys["Mehmet"], PASSPHRASE, [], None)
        office.at().activate(proposal)
        back = office.propose(ends={digest: None}, now=NOW + 2 * DAY)
        with pytest.raises(ChangeRefused, match="nobody compared"):
            office.at(NOW + 2 * DAY).approve(back, office.keys["Ayşe"], PASSPHRASE, [], None)

    def test_a_proposal_that_is_not_what_was_shown(self, office: Office, pki: Pki) -> None:
        proposal = office.propose(addition(pki.qualified.root))
        with pytest.raises(ChangeRefused, match="another one than was shown"):
            office.at().approve(proposal, office.keys["Ayşe"], PASSPHRASE, [], "0" * 64)
        path = office.store / "pending" / f"{proposal}.json"
        edit(path, lambda value: value["manifest"].update(comment="altered"))
        with pytest.raises(StoreUnreadable, match="altered since"):
            office.at().show(proposal)
        [told] = office.at().pending()["pending"]
        assert "altered" in told["fault"]

    @pytest.mark.parametrize("comment", ["\ud800", ["\ud800"]])
    def test_a_proposal_without_canonical_form_hides_no_other(self, office: Office, pki: Pki, comment: object) -> None:
        good = office.propose(addition(pki.qualified.root))
        path = office.store / "pending" / f"{good[:9]}{'0' * 12}.json"
        shutil.copy(office.store / "pending" / f"{good}.json", path)
        edit(path, lambda value: value["manifest"].update(comment=comment))
        [bad, told] = office.at().pending()["pending"]
        assert "comment" in bad["fault"]
        assert told["proposal"] == good

    def test_another_certificate_in_a_proposal(self, office: Office, pki: Pki) -> None:
        proposal = office.propose(addition(pki.qualified.root))
        digest = load_certificate(pki.qualified.root.der).sha256
        path = office.store / "pending" / f"{proposal}.json"
        edit(path, lambda value: value["certificates"].update({digest: base64.b64encode(pki.seal.root.der).decode()}))
        with pytest.raises(StoreUnreadable, match="altered"):
            office.at().show(proposal)

    def test_a_stale_proposal_is_neither_approved_nor_activated(self, office: Office, pki: Pki) -> None:
        late = office.propose(addition(pki.seal.root, "seal"))
        office.approve(late, "Ayşe", "Mehmet")
        office.enact(addition(pki.qualified.root), now=NOW + DAY)
        assert office.at().show(late)["stale"]
        with pytest.raises(ChangeRefused, match="another version came in between"):
            office.approve(late, "Zeynep")
        with pytest.raises(ChangeRefused, match="another version came in between"):
            office.at().activate(late)

    def test_a_rejected_proposal_is_kept_with_the_reason(self, office: Office, pki: Pki) -> None:
        proposal = office.propose(addition(pki.qualified.root))
        office.approve(proposal, "Ayşe")
        office.at().reject(proposal, "Mehmet", "the issuer publishes another fingerprint")
        assert office.at().pending() == {"pending": []}
        assert not list((office.store / "pending").iterdir())
        kept = json.loads((office.store / "rejected" / f"{proposal}.json").read_text())
        assert (kept["rejected_by"], kept["proposal"]["proposed_by"]) == ("Mehmet", "Ayşe")

    @pytest.mark.parametrize("name", ["../../etc/passwd", "20261120-zzzzzzzzzzzz", "", "20261120-" + "0" * 12])
    def test_ids_that_are_none(self, office: Office, name: str) -> None:
        with pytest.raises(StoreUnreadable):
            office.at().show(name)

    def test_a_base_that_nobody_signed_is_not_taken_for_granted(self, office: Office, pki: Pki) -> None:
        """Otherwise a version slipped in would be signed along with the next honest change."""
        office.enact(addition(pki.qualified.root))
        slipped = office.propose(addition(pki.kephs.root, "kephs"), now=NOW + DAY)
        value = json.loads((office.store / "pending" / f"{slipped}.json").read_text())
        version_file(office, 2).write_text(json.dumps({"manifest": value["manifest"], "signatures": []}))
        (office.store / "anchors" / f"{load_certificate(pki.kephs.root.der).sha256}.der").write_bytes(
            pki.kephs.root.der
        )
        honest = office.propose(addition(pki.seal.root, "seal"), now=NOW + 2 * DAY)
        shown = office.at().show(honest)
        assert "not signed by enough" in shown["set_in_use"]
        assert [item["change"] for item in shown["changes"]] == ["add"] * 3


def _activate_in_child(office: Office, proposal: str, ready: Any, outcomes: Any) -> None:
    ready.wait()
    try:
        outcomes.put(office.at().activate(proposal)["version"])
    except ChangeRefused as refusal:
        outcomes.put(str(refusal))


def _activate_until(office: Office, proposal: str, function: str, calls: int) -> None:
    """End the process as a power cut would, at the given call of a function of the operating system."""
    original, seen = getattr(os, function), [0]

    def counted(*arguments: Any, **options: Any) -> Any:
        seen[0] += 1
        if seen[0] == calls:
            os._exit(9)
        return original(*arguments, **options)

    setattr(os, function, counted)
    office.at().activate(proposal)
    os._exit(0)


class TestActivation:
    def test_of_two_at_the_same_time_one_wins(self, office: Office, pki: Pki) -> None:
        context = multiprocessing.get_context("fork")
        proposals = [office.propose(addition(pki.seal.root, "seal")), office.propose(addition(pki.kephs.root, "kephs"))]
        for proposal in proposals:
            office.approve(proposal, "Ayşe", "Mehmet")
        ready, outcomes = context.Barrier(2), context.Queue()
        children = [
            context.Process(target=_activate_in_child, args=(office, item, ready, outcomes)) for item in proposals
        ]
        for child in children:
            child.start()
        told = sorted((outcomes.get(timeout=60) for _ in children), key=str)
        for child in children:
            child.join(60)
        assert told[0] == 1
        assert "somebody else was quicker" in told[1] or "another version came in between" in told[1]
        assert in_use(office).version == 1

    def test_the_name_that_is_taken_is_not_written_over(self, office: Office, pki: Pki) -> None:
        office.enact(addition(pki.qualified.root))
        path = version_file(office, 1)
        before = path.read_bytes()
        assert documents.write_new(path, b"other") is False
        assert path.read_bytes() == before
        assert [item.name for item in path.parent.iterdir()] == [path.name]

    @pytest.mark.parametrize(("function", "steps"), [("fsync", 6), ("link", 1), ("unlink", 2)])
    def test_ended_in_between_it_is_as_before_or_as_after(
        self, office: Office, pki: Pki, function: str, steps: int
    ) -> None:
        office.enact(addition(pki.qualified.root))
        proposal = office.propose(addition(pki.seal.root, "seal"), now=NOW + DAY)
        office.approve(proposal, "Ayşe", "Mehmet")
        context = multiprocessing.get_context("fork")
        ended = 0
        for step in range(1, steps + 1):
            child = context.Process(target=_activate_until, args=(office, proposal, function, step))
            child.start()
            child.join(60)
            ended += child.exitcode == 9
            trust = in_use(office)
            assert trust.store.size == (1 if trust.version == 1 else 3)
            if trust.version == 2:
                break
        assert ended
        assert office.at().verify()["good"]
        if proposal in Queue(office.store).ids():
            assert office.at().activate(proposal)["version"] == 2, "a second call finishes what was begun"
        assert Queue(office.store).ids() == ()
        assert in_use(office).version == 2


class TestPlainDirectory:
    def test_a_part_that_cannot_be_listed_leaves_the_set_in_use(
        self, trust_directory: Path, pki: Pki, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As for an account without the right, which a test run by root cannot be."""
        trust = TrustDirectory(trust_directory)
        before = trust.store
        (trust_directory / "seal" / "another.der").write_bytes(pki.qualified.root.der)

        def denied(path: Path) -> Iterator[Path]:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

        monkeypatch.setattr(Path, "iterdir", denied)
        with pytest.raises(TrustUnreadable, match="Permission denied"):
            trust.reload()
        assert trust.store is before
        monkeypatch.undo()
        assert len(trust.reload().anchors["seal"]) == len(before.anchors["seal"]) + 1


class TestService:
    async def test_a_signer_takes_the_next_version_and_keeps_the_last_good_one(
        self, office: Office, pki: Pki, capsys: pytest.CaptureFixture[str]
    ) -> None:
        office.enact(addition(pki.qualified.root))
        settings = {"trust_directory": office.store, "trust_officers": office.officers_file, "reload_seconds": 1}
        async with running_signer(settings, FixedClock(NOW)) as up:
            stop = asyncio.Event()
            [reloading] = [part for part in up.service.background if part.name == "reloading"]
            task = asyncio.create_task(reloading.run(stop))

            async def until(name: str, value: float, **labels: str) -> None:
                async with asyncio.timeout(60):
                    while up.sample(name, **labels) != value:
                        await asyncio.sleep(0.05)

            assert (up.sample("kepgw_trust_store_version"), up.sample("kepgw_trust_store_refused")) == (1, 0)
            ended = load_certificate(pki.qualified.root.der).sha256
            office.enact(addition(pki.seal.root, "seal"), ends={ended: NOW}, now=NOW + DAY)
            await until("kepgw_trust_store_version", 2)
            await until("kepgw_trust_anchors", 1, purpose="seal")
            version_file(office, 2).unlink()
            await until("kepgw_trust_store_refused", 1)
            assert up.sample("kepgw_trust_store_version") == 2
            [present] = [readiness for readiness in up.service.checks if readiness.name == "trust_anchors"]
            await present.check()
            async with httpx.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"}) as http:
                told = (await http.get(f"{up.base_url}/internal/v1/trust")).json()
            assert (told["version"], told["approved_by"]) == (2, ["Ayşe", "Mehmet"])
            ends = {item["valid_for_signatures_until"] for part in told["anchors"] for item in part["anchors"]}
            assert ends == {None, "2026-11-20T12:00:00Z"}
            stop.set()
            await task
        [changed] = [line for line in capsys.readouterr().out.splitlines() if "trust_store_changed" in line]
        assert "approved_by=['Ayşe', 'Mehmet']" in changed

    async def test_a_signer_does_not_start_without_a_signed_set(self, office: Office, pki: Pki) -> None:
        office.propose(addition(pki.qualified.root))
        settings = {"trust_directory": office.store, "trust_officers": office.officers_file}
        with pytest.raises(TrustUnreadable, match="no version yet"):
            async with running_signer(settings, FixedClock(NOW)):
                pass
