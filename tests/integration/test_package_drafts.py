"""Packages written over REST: on a real database, sealed and judged by the real signer, read back in strict."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from asn1crypto.cms import ContentInfo
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from services.detsis_sync.tables import EypVersionRecord
from services.gateway.app import build
from services.gateway.drafts import rows
from services.gateway.drafts.drafting import Drafts, room_for_files
from services.gateway.schemas.drafts import SigningStep
from services.gateway.tables import AuditEntry
from shared.clock import FixedClock
from shared.db.session import Database
from shared.errors import DomainError, ErrorCode
from shared.eyp import STRICT, Inspection, inspect
from tests.support.drafts import (
    ANNEX,
    COVER,
    FILES,
    FINAL,
    OTHER,
    RECIPIENT,
    SENDER,
    UNSIGNED_ANNEX,
    Writer,
    done,
    letter,
    older_letter,
    refused,
    sealing_signer,
    signed_by,
    to,
)
from tests.support.gateway import running_gateway
from tests.support.neighbours import served_directory, served_relay
from tests.support.pki import NOW, Pki, build_pki
from tests.unit.signer.signing import signed_data, signer_info


@pytest.fixture(scope="module")
def pki() -> Pki:
    return build_pki()


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
async def writer(database_url: str, tmp_path: Path, pki: Pki, clock: FixedClock) -> AsyncIterator[Writer]:
    async with (
        sealing_signer(pki, tmp_path, "seal-1") as url,
        running_gateway(database_url, tmp_path, signer_url=url, clock=clock, max_package_bytes=100_000) as gateway,
    ):
        await gateway.institution(SENDER)
        key = await gateway.key("packages:write", "packages:inspect", institutions=(SENDER,))
        yield Writer(gateway, key, pki)


def strictly(content: bytes, recipient: str | None = None) -> Inspection:
    return inspect(io.BytesIO(content), profile=STRICT, recipient=recipient)


def drafts_of(writer: Writer) -> Drafts:
    app: Any = writer.gateway.service.app
    found: Drafts = app.state.gateway.drafts
    return found


# The whole way


@pytest.mark.parametrize("version", ["2.0", "2.1", "1.3"])
async def test_a_letter_goes_from_metadata_to_a_package_without_a_finding(writer: Writer, version: str) -> None:
    older = version == "1.3"
    begun = await writer.begin(older_letter() if older else letter(), version=version)
    package = begun["package_id"]
    assert (begun["state"], begun["next"]) == ("draft", ["cover-letter", "annex-content"])
    assert [item["present"] for item in begun["files"]] == [False, False, False]
    waiting = await writer.fill(package)
    assert waiting["next"] == (["signature"] if older else ["signature", "initials"])
    if not older:
        assert (await writer.sign(package, "initials"))["state"] == "initialled"
    signed = await writer.sign(package)
    assert (signed["state"], signed["next"]) == ("signed", ["final-metadata", "signature"])
    assert signed["signatures"][-1]["conclusion"] == "passed"
    unsealed = await writer.number(package, **({"document_no": None, "date": None} if older else {}))
    assert (unsealed["state"], unsealed["next"]) == ("unsealed", ["seal"])
    finished = done(await writer.seal(package))
    assert (finished["state"], finished["next"], finished["findings"]) == ("finished", [], [])
    content = await writer.content(package)
    assert hashlib.sha256(content).hexdigest() == finished["package"]["sha256"]
    assert finished["package"]["file_name"] == f"{finished['document_id']}.eyp"
    judged = strictly(content)
    assert (judged.acceptable, list(judged.findings), str(judged.version)) == (True, [], version)
    kinds = [item["kind"] for item in finished["history"]]
    initials = [] if older else ["initials"]
    assert kinds == ["created", *["file"] * 3, *initials, "signature", "final-metadata", "finished"]
    assert [item["sequence"] for item in finished["history"]] == list(range(1, len(kinds) + 1))
    assert list(writer.gateway.settings.spool_directory.iterdir()) == []


async def test_an_update_waits_for_its_seal_only(writer: Writer) -> None:
    original = await writer.content(await writer.finished())
    begun = done(await writer.begin_update(original), 201)
    assert (begun["kind"], begun["state"], begun["next"]) == ("update", "unsealed", ["seal"])
    finished = done(await writer.seal(begun["package_id"]))
    judged = strictly(await writer.content(begun["package_id"]))
    assert (judged.acceptable, list(judged.findings)) == (True, [])
    assert judged.security_code == "restricted"
    assert finished["package"]["file_name"].endswith(".eypg")
    for original, wanted in ((b"no package", "not-a-package"), (b"", "not-a-package")):
        assert refused(await writer.begin_update(original))[1] == wanted
    assert refused(await writer.begin_update(await writer.content(begun["package_id"]), new_degree="confidential")) == (
        422, "validation-failed",
    )  # fmt: skip


async def test_every_kind_of_party_annex_and_reference_comes_out_as_it_went_in(writer: Writer) -> None:
    contact = {"phone": "+90 312 000 00 00", "kep_address": "kurum@hs01.kep.tr", "province": "Ankara"}
    person = {
        "kind": "person", "first_name": "Deneme", "last_name": "ALICI", "identity_number": "10000000146",
        "contact": contact,
    }  # fmt: skip
    company = {
        "kind": "legal-entity", "identifier": {"value": "0123456789012345", "scheme": "MERSIS"}, "name": "Deneme A.Ş.",
    }  # fmt: skip
    external = {
        "kind": "external", "uri": "https://example.org/buyuk", "local_id": {"value": "1", "scheme": "yerel"},
        "digest": {
            "algorithm": "http://www.w3.org/2001/04/xmlenc#sha256", "value": base64.b64encode(bytes(32)).decode(),
        },
    }  # fmt: skip
    metadata = letter(
        originator={"kind": "organisation", "detsis_no": SENDER, "unit_no": 10000009, "contact": contact},
        distributions=[
            to(RECIPIENT) | {"urgency": "timed", "term": "P3D"}, {"recipient": person, "purpose": "information"},
            {"recipient": company, "urgency": "urgent"},
        ],
        related_parties=[person, company], references=[
            {"label": "a", "name": "İlgi", "document_no": "No-2", "date": "2026-01-01T00:00:00Z"},
            {"label": "b", "annex_id": ANNEX},
        ],
        file_plan={"code": "702.03", "name": "Plan"}, other_file_plans=[{"code": "010", "name": "Öteki"}],
        service_codes=[{"code": 12, "name": "Hizmet"}], local_id={"value": "7", "scheme": "defter"},
        security_code="restricted", security_code_valid_until="2030-01-01T00:00:00Z",
        annexes=[*letter()["annexes"], external, {"kind": "physical", "name": "Numune"}],
    )  # fmt: skip
    package = await writer.finished(metadata)
    judged = strictly(await writer.content(package))
    assert list(judged.findings) == []
    found = judged.metadata
    assert found is not None
    assert [type(item.recipient).__name__ for item in found.distributions] == ["Organisation", "Person", "LegalEntity"]
    assert [item.kind for item in found.annexes] == ["file", "file", "external", "physical"]
    assert found.annexes[2].digest is not None
    assert found.annexes[2].digest.value == bytes(32)
    assert (len(found.references), len(found.related_parties), found.service_codes[0].code) == (2, 2, 12)
    shown = await writer.call("GET", f"/packages/{package}")
    assert "10000000146" not in shown.text, "an identity number stands in no answer"


# Repeats, order, and changes


async def test_the_same_request_again_gets_the_same_answer(writer: Writer) -> None:
    body = {"version": "2.0", "metadata": letter()}
    first = await writer.call("POST", "/packages", json=body, headers={"Idempotency-Key": "one"})
    again = await writer.call("POST", "/packages", json=body, headers={"Idempotency-Key": "one"})
    assert (first.text, first.headers["location"]) == (again.text, again.headers["location"])
    assert again.headers["idempotency-replayed"] == "true"
    other = {**body, "metadata": letter(subject="Başka")}
    reused = await writer.call("POST", "/packages", json=other, headers={"Idempotency-Key": "one"})
    assert refused(reused)[1] == "idempotency-key-reused"
    assert refused(await writer.call("POST", "/packages", json=body))[1] == "idempotency-key-missing"
    package = first.json()["package_id"]
    filled = await writer.fill(package)
    assert await writer.fill(package) == filled
    cms = signed_by(writer.pki, await writer.to_be_signed(package, "signature"))
    signed = done(await writer.put(package, "signature", cms))
    assert done(await writer.put(package, "signature", cms)) == signed
    assert done(await writer.put(package, "cover-letter", COVER)) == signed
    unsealed = await writer.number(package)
    assert await writer.number(package) == unsealed
    assert done(await writer.put(package, "signature", cms)) == unsealed
    finished = done(await writer.seal(package))
    assert done(await writer.seal(package)) == finished
    assert len(finished["history"]) == 7


async def test_steps_out_of_turn_are_told_and_change_nothing(writer: Writer) -> None:
    package = (await writer.begin())["package_id"]
    missing = await writer.call("GET", f"/packages/{package}/to-be-signed", params={"step": "signature"})
    assert refused(missing) == (409, "state-conflict")
    assert "cover-letter" in missing.json()["detail"]
    for answer in (
        await writer.put(package, "signature", b"x"),
        await writer.seal(package),
        await writer.put(package, "seal", b"x"),
        await writer.call("PUT", f"/packages/{package}/final-metadata", json=FINAL),
        await writer.call("GET", f"/packages/{package}/content"),
    ):
        assert refused(answer) == (409, "state-conflict"), answer.text
    await writer.fill(package)
    await writer.sign(package)
    before = await writer.read(package)
    for answer in (
        await writer.put(package, "cover-letter", b"another letter"),
        await writer.put(package, f"annexes/{ANNEX}/content", b"another annex"),
        await writer.put(package, "initials", b"x"),
        await writer.call(
            "PUT", f"/packages/{package}/metadata", json={"metadata": letter()},
            headers={"If-Match": f'"{len(before["history"])}"'},
        ),
    ):  # fmt: skip
        assert refused(answer) == (409, "state-conflict"), answer.text
    assert await writer.read(package) == before
    done_ = await writer.finished()
    assert refused(await writer.call("DELETE", f"/packages/{done_}")) == (409, "state-conflict")


async def test_metadata_is_replaced_by_who_has_read_it(writer: Writer) -> None:
    package = (await writer.begin())["package_id"]
    await writer.fill(package)
    read = await writer.call("GET", f"/packages/{package}")
    etag = read.headers["etag"]
    unchanged = await writer.call("GET", f"/packages/{package}", headers={"If-None-Match": etag})
    assert unchanged.status_code == 304
    body = {"metadata": letter(subject="Başka konu", annexes=letter()["annexes"][:1])}

    async def put(**headers: str) -> Any:
        return await writer.call("PUT", f"/packages/{package}/metadata", json=body, headers=headers)

    assert refused(await put()) == (422, "validation-failed")
    changed = done(await put(**{"If-Match": etag}))
    assert (changed["subject"], changed["document_id"]) == ("Başka konu", read.json()["document_id"])
    assert [item["annex_id"] for item in changed["files"]] == [None, ANNEX]
    assert done(await put(**{"If-Match": etag})) == changed, "the same request again"
    body["metadata"]["subject"] = "Üçüncü"
    assert refused(await put(**{"If-Match": etag})) == (409, "state-conflict")
    body["metadata"]["annexes"] = [{"kind": "physical", "id": ANNEX, "name": "Numune"}]
    changed = done(await put(**{"If-Match": f'"{len(changed["history"])}"'}))
    assert [item["annex_id"] for item in changed["files"]] == [None], "a file has no place at an annex of another kind"
    assert changed["next"] == ["signature", "initials"]
    wrong = {"metadata": letter(security_code="personal")}
    answer = await writer.call(
        "PUT", f"/packages/{package}/metadata", json=wrong, headers={"If-Match": f'"{len(changed["history"])}"'}
    )
    assert refused(answer) == (422, "validation-failed")
    assert (await writer.read(package)) == changed


async def test_a_discarded_package_keeps_its_history_only(writer: Writer) -> None:
    package = (await writer.begin())["package_id"]
    await writer.fill(package)
    for _ in range(2):
        assert (await writer.call("DELETE", f"/packages/{package}")).status_code == 204
    gone = await writer.read(package)
    assert (gone["state"], gone["next"], gone["history"][-1]["kind"]) == ("discarded", [], "discarded")
    assert not any(item["present"] for item in gone["files"])
    assert refused(await writer.put(package, "cover-letter", COVER)) == (409, "state-conflict")
    numbered = await writer.unsealed()
    assert (await writer.call("DELETE", f"/packages/{numbered}")).status_code == 204
    again = await writer.call("PUT", f"/packages/{numbered}/final-metadata", json=FINAL)
    assert refused(again) == (409, "state-conflict"), "what is gone was not done"
    listed = done(await writer.call("GET", "/packages", params={"state": "discarded"}))
    assert [item["package_id"] for item in listed["packages"]] == [numbered, package]


async def test_lists_come_in_pages(writer: Writer) -> None:
    made = [(await writer.begin())["package_id"] for _ in range(3)]
    first = done(await writer.call("GET", "/packages", params={"limit": 2}))
    rest = done(await writer.call("GET", "/packages", params={"limit": 2, "cursor": first["next_cursor"]}))
    assert [item["package_id"] for item in first["packages"] + rest["packages"]] == made[::-1]
    assert rest["next_cursor"] is None
    assert refused(await writer.call("GET", "/packages", params={"cursor": "x"}))[0] == 422


# Signatures


async def test_a_signature_must_carry_the_bytes_and_all_earlier_signers(writer: Writer) -> None:
    package = (await writer.begin())["package_id"]
    await writer.fill(package)
    content = await writer.to_be_signed(package, "signature")
    wrong = signed_by(writer.pki, content + b" ")
    good = signed_by(writer.pki, content, 0)
    broken = good[:-5] + bytes([good[-5] ^ 1]) + good[-4:]
    for cms in (wrong, broken, b"hello", b"\x30\x80" + bytes(50)):
        assert refused(await writer.put(package, "signature", cms)) == (422, "signature-invalid")
    assert (await writer.read(package))["state"] == "draft"
    done(await writer.put(package, "signature", good))
    alone = signed_by(writer.pki, content, 1)
    assert refused(await writer.put(package, "signature", alone)) == (422, "signature-invalid")
    infos_of_both = _with_another(writer.pki, good, content)
    both = done(await writer.put(package, "signature", infos_of_both))
    assert len(both["signatures"][0]["report"]["signatures"]) == 2
    await writer.number(package)
    done(await writer.seal(package))
    assert list(strictly(await writer.content(package)).findings) == []


def _with_another(pki: Pki, cms: bytes, content: bytes) -> bytes:
    """The same file signed once more, by its own signature and a further one."""
    first = list(ContentInfo.load(cms)["content"]["signer_infos"])
    return signed_data([*first, signer_info(pki.signer, content, digest="sha512")], list(pki.signer.chain_der), content)


async def test_what_is_to_be_signed_is_the_same_until_the_next_step(writer: Writer) -> None:
    package = (await writer.begin())["package_id"]
    waiting = await writer.fill(package)
    answer = await writer.call("GET", f"/packages/{package}/to-be-signed", params={"step": "signature"})
    shown = next(item for item in waiting["to_be_signed"] if item["step"] == "signature")
    assert hashlib.sha384(answer.content).hexdigest() == shown["sha384"]
    digest = base64.b64encode(hashlib.sha512(answer.content).digest()).decode()
    assert f"sha-512=:{digest}:" in answer.headers["repr-digest"]
    drafts_of(writer)._manifests.clear()
    assert await writer.to_be_signed(package, "signature") == answer.content, "made again from its inputs"


async def test_a_seal_from_outside_finishes_as_well(writer: Writer) -> None:
    package = await writer.unsealed()
    wrong = signed_by(writer.pki, b"something else", sealing=True)
    assert refused(await writer.put(package, "seal", wrong)) == (422, "signature-invalid")
    finished = await writer.sign(package, "seal")
    assert (finished["state"], list(strictly(await writer.content(package)).findings)) == ("finished", [])
    other = signed_by(writer.pki, b"another", sealing=True)
    assert refused(await writer.put(package, "seal", other)) == (409, "state-conflict")
    unknown = await writer.seal(await writer.unsealed(), key_id="seal-9")
    assert refused(unknown) == (422, "validation-failed")


async def test_which_of_several_keys_seals_must_be_said(database_url: str, tmp_path: Path, pki: Pki) -> None:
    async with (
        sealing_signer(pki, tmp_path, "seal-1", "seal-2") as url,
        running_gateway(database_url, tmp_path, signer_url=url) as gateway,
    ):
        await gateway.institution(SENDER)
        writer = Writer(gateway, await gateway.key("packages:write", institutions=(SENDER,)), pki)
        package = await writer.unsealed()
        answer = await writer.seal(package)
        assert refused(answer) == (422, "validation-failed")
        assert "seal-1, seal-2" in answer.json()["errors"][0]["detail"]
        assert done(await writer.seal(package, key_id="seal-2"))["state"] == "finished"


async def test_without_a_signer_the_policy_decides(database_url: str, tmp_path: Path, pki: Pki) -> None:
    async with running_gateway(database_url, tmp_path) as gateway:
        await gateway.institution(SENDER, signatures="refuse")
        writer = Writer(gateway, await gateway.key("packages:write", institutions=(SENDER,)), pki)
        package = (await writer.begin())["package_id"]
        await writer.fill(package)
        cms = signed_by(pki, await writer.to_be_signed(package, "signature"))
        assert refused(await writer.put(package, "signature", cms)) == (503, "signer-unavailable")
        await gateway.institution(SENDER, signatures="warn")
        signed = done(await writer.put(package, "signature", cms))
        assert signed["signatures"][0]["unavailable"] == "signer-unavailable"
        assert signed["history"][-1]["detail"] == {"conclusion": "not-checked"}
        await writer.number(package)
        assert refused(await writer.seal(package)) == (503, "signer-unavailable")


# Copies


async def test_each_recipient_gets_its_copy(writer: Writer) -> None:
    package = await writer.finished(letter(distributions=[to(RECIPIENT, ANNEX), to(OTHER)]))
    whole = await writer.content(package)
    assert await writer.content(package, recipient=str(OTHER)) == whole
    copy = await writer.content(package, recipient=str(RECIPIENT))
    assert len(copy) < len(whole)
    judged = strictly(copy, str(RECIPIENT))
    assert judged.acceptable
    assert not any("izim" in part.name for part in judged.parts)
    assert await writer.content(package, recipient=str(RECIPIENT)) == copy
    stranger = await writer.call("GET", f"/packages/{package}/content", params={"recipient": "10000009"})
    assert refused(stranger) == (422, "validation-failed")
    part = await writer.call("GET", f"/packages/{package}/content", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole[10:20])
    head = await writer.call("HEAD", f"/packages/{package}/content")
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(whole)))


# Hostile input


async def test_wrong_files_are_refused(writer: Writer) -> None:
    package = (await writer.begin())["package_id"]
    assert refused(await writer.put(package, "cover-letter", b"")) == (422, "validation-failed")
    assert refused(await writer.put(package, "annexes/99999999-2222-4333-8444-555555555555/content", b"x")) == (
        404, "not-found",
    )  # fmt: skip
    digest = base64.b64encode(hashlib.sha256(COVER).digest()).decode()
    for value, code in ((f"sha-256=:{digest}:", "digest-mismatch"), ("sha-256=abc", "validation-failed"),
                        ("sha-512=::", "validation-failed")):  # fmt: skip
        answer = await writer.put(package, "cover-letter", b"other", **{"Content-Digest": value})
        assert refused(answer) == (422, code)
    done(await writer.put(package, "cover-letter", COVER, **{"Repr-Digest": f"sha-256=:{digest}:"}))
    large = bytes(room_for_files(writer.gateway.settings.max_package_bytes) - len(COVER))
    assert refused(await writer.put(package, f"annexes/{ANNEX}/content", large + b"x")) == (413, "too-large")
    done(await writer.put(package, f"annexes/{ANNEX}/content", large))
    assert refused(await writer.put(package, f"annexes/{UNSIGNED_ANNEX}/content", b"x")) == (413, "too-large")
    assert list(writer.gateway.settings.spool_directory.iterdir()) == []


async def test_wrong_metadata_is_refused_before_anything_begins(writer: Writer) -> None:
    wrong: list[dict[str, Any]] = [
        {"distributions": []},
        {"subject": "iki\nsatır"},
        {"security_code": "personal"},
        {"verification_address": None},
        {"document_no": "1"},
        {"language": "turkish"},
        {"surprise": 1},
        {"distributions": [to(RECIPIENT, "99999999-2222-4333-8444-555555555555")]},
        {"annexes": [{"kind": "file", "media_type": "text/plain"}]},
        {"annexes": [letter()["annexes"][0]] * 2},
        {"originator": {"kind": "organisation", "detsis_no": 1}},
        {"originator": {"kind": "unknown"}},
        {"cover_letter": {"media_type": "none"}},
        {"service_codes": [{"code": 2**70, "name": "x"}]},
    ]
    for changes in wrong:
        body = {"version": "2.0", "metadata": letter(**changes)}
        answer = await writer.call("POST", "/packages", json=body, headers={"Idempotency-Key": "wrong"})
        assert refused(answer) == (422, "validation-failed"), (changes, answer.text)
    assert done(await writer.call("GET", "/packages"))["packages"] == []
    told = writer.gateway.service.registry.get_sample_value
    assert told("kepgw_package_draft_steps_total", {"step": "create", "result": "refused"})


async def test_a_gateway_without_room_for_files_says_so(writer: Writer) -> None:
    package = await writer.unsealed()
    spool = writer.gateway.settings.spool_directory
    spool.rename(spool.with_name("elsewhere"))
    assert refused(await writer.seal(package)) == (503, "durability-unavailable")
    spool.with_name("elsewhere").rename(spool)
    assert done(await writer.seal(package))["state"] == "finished"


# Others at the same time, and the end of a process


async def test_two_callers_never_take_the_same_step_twice(writer: Writer) -> None:
    package = (await writer.begin())["package_id"]
    answers = await asyncio.gather(
        writer.put(package, "cover-letter", COVER),
        *(writer.put(package, f"annexes/{annex}/content", content) for annex, content in FILES.items()),
    )
    assert [answer.status_code for answer in answers] == [200] * 3
    content = await writer.to_be_signed(package, "signature")
    signatures = [signed_by(writer.pki, content, number) for number in range(3)]
    answers = await asyncio.gather(*(writer.put(package, "signature", cms) for cms in signatures))
    assert sorted(answer.status_code for answer in answers) == [200, 422, 422], "nobody's signature was overwritten"
    await writer.number(package)
    sealed = await asyncio.gather(*(writer.seal(package) for _ in range(4)))
    assert {answer.status_code for answer in sealed} == {200}
    assert len({answer.json()["package"]["sha256"] for answer in sealed}) == 1
    read = await writer.read(package)
    assert [item["kind"] for item in read["history"]].count("finished") == 1


async def test_a_process_that_dies_between_bytes_and_row_loses_nothing(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row of every step fails once, after the bytes were stored: the same request again goes through."""
    real, failed = rows.apply, set[str]()

    async def once(work: Any, clock: Any, caller: Any, draft: Any, change: Any) -> bool:
        if (step := f"{change.kind}{sorted(change.put)}") not in failed:
            failed.add(step)
            raise DomainError(ErrorCode.DURABILITY_UNAVAILABLE, "the process died here")
        return await real(work, clock, caller, draft, change)

    monkeypatch.setattr(rows, "apply", once)

    async def twice(method: str, path: str, **options: Any) -> Any:
        before = await writer.read(package)
        assert refused(await writer.call(method, path, **options)) == (503, "durability-unavailable")
        assert await writer.read(package) == before, "nothing is half applied"
        return done(await writer.call(method, path, **options))

    package = (await writer.begin())["package_id"]
    await twice("PUT", f"/packages/{package}/cover-letter", content=COVER)
    for annex, content in FILES.items():
        await twice("PUT", f"/packages/{package}/annexes/{annex}/content", content=content)
    for step in ("initials", "signature"):
        cms = signed_by(writer.pki, await writer.to_be_signed(package, step))
        await twice("PUT", f"/packages/{package}/{step}", content=cms)
    await twice("PUT", f"/packages/{package}/final-metadata", json=FINAL)
    await twice("POST", f"/packages/{package}/seal", json={})
    assert list(strictly(await writer.content(package)).findings) == []


async def test_another_process_goes_on_where_one_stopped(writer: Writer, clock: FixedClock) -> None:
    package = await writer.unsealed()
    content = await writer.to_be_signed(package, "seal")
    clock.moment += timedelta(days=30)
    service = await build(writer.gateway.settings, clock)
    async with service.resources:
        app: Any = service.app
        drafts: Drafts = app.state.gateway.drafts
        draft = await rows.find(drafts.database, [SENDER], UUID(package))
        assert await drafts.to_be_signed(draft, SigningStep.SEAL) == content


async def test_forgotten_packages_are_discarded_and_noted(writer: Writer, clock: FixedClock) -> None:
    forgotten, kept = (await writer.begin())["package_id"], await writer.finished()
    sweep = next(item for item in writer.gateway.service.background if item.name == "draft-sweep").run.__self__  # type: ignore[attr-defined]
    assert await sweep.expire() == 0
    clock.moment += timedelta(days=91)
    assert (await sweep.expire(), await sweep.expire()) == (1, 0)
    gone = await writer.read(forgotten)
    assert (gone["state"], gone["history"][-1]["client_id"]) == ("discarded", None)
    assert (await writer.read(kept))["state"] == "finished"
    database = drafts_of(writer).database
    async with database.reading() as session:
        noted = (await session.execute(select(AuditEntry.action, AuditEntry.subject, AuditEntry.client_id))).all()
    assert ("package.discard", forgotten, None) in noted
    assert ("package.finish", kept, "ebys") in noted
    await sweep.count()
    registry = writer.gateway.service.registry
    assert registry.get_sample_value("kepgw_package_drafts", {"state": "finished"}) == 1
    assert registry.get_sample_value("kepgw_package_draft_steps_total", {"step": "seal", "result": "done"}) == 1


async def test_the_history_cannot_be_changed(writer: Writer) -> None:
    await writer.begin()
    database: Database = drafts_of(writer).database
    for statement in ("UPDATE package_draft_events SET kind = 'x'", "DELETE FROM package_draft_events"):
        with pytest.raises(DBAPIError, match="append-only"):
            async with database.unit_of_work() as work:
                await work.session.execute(text(statement))


# Sending


async def test_a_finished_package_is_sent_by_its_id(database_url: str, tmp_path: Path, pki: Pki) -> None:
    async with (
        sealing_signer(pki, tmp_path, "seal-1") as url,
        served_relay(database_url, tmp_path / "blobs") as relay,
        running_gateway(database_url, tmp_path, signer_url=url, kep_relay_url=relay.url) as gateway,
    ):
        await gateway.institution(SENDER)
        await gateway.institution(OTHER)
        key = await gateway.key("packages:write", "messages:send", institutions=(SENDER, OTHER))
        writer = Writer(gateway, key, pki)

        async def send(key: str, *recipients: int, file: bytes | None = None, **message: Any) -> httpx.Response:
            named = {"institution_no": SENDER, "recipients": [{"detsis_no": number} for number in recipients]} | message
            files: dict[str, Any] = {"message": (None, json.dumps(named), "application/json")}
            files |= {"package": ("a.eyp", file)} if file is not None else {}
            return await writer.call("POST", "/outbound-messages", files=files, headers={"Idempotency-Key": key})

        metadata = letter(distributions=[to(RECIPIENT, ANNEX), to(OTHER)])
        package = await writer.finished(metadata, institution_no=SENDER)
        whole, copy = await writer.content(package), await writer.content(package, recipient=str(RECIPIENT))
        for recipient, content in ((OTHER, whole), (RECIPIENT, copy)):
            sent = done(await send(f"to-{recipient}", recipient, package_id=package), 202)
            assert sent["package_sha256"] == hashlib.sha256(content).hexdigest()
            again = done(await send(f"to-{recipient}", recipient, package_id=package), 202)
            assert again == sent
        apart = await send("both", RECIPIENT, OTHER, package_id=package)
        assert refused(apart) == (422, "validation-failed")
        assert "apart" in apart.json()["errors"][0]["detail"]
        for key, options, wanted in (
            ("stranger", {"package_id": package, "recipients": [{"detsis_no": 10000009}]}, (422, "validation-failed")),
            ("two", {"package_id": package, "file": whole}, (422, "validation-failed")),
            ("none", {}, (422, "validation-failed")),
            ("another", {"package_id": package, "institution_no": OTHER}, (404, "not-found")),
            ("unfinished", {"package_id": await writer.unsealed(institution_no=SENDER)}, (409, "state-conflict")),
        ):
            assert refused(await send(key, OTHER, **options)) == wanted, key  # type: ignore[arg-type]
        assert list(gateway.settings.spool_directory.iterdir()) == []


# What the directory says


async def test_the_version_and_what_is_empty_come_from_the_directory(
    database_url: str, tmp_path: Path, pki: Pki
) -> None:
    async with (
        served_directory(database_url) as register,
        running_gateway(database_url, tmp_path, detsis_sync_url=register.url) as gateway,
    ):
        await gateway.institution(SENDER)
        await register.unit(SENDER, "Örnek Belediyesi", address="a@hs98.kep.tr")
        await register.unit(RECIPIENT, "Deneme Müdürlüğü", address="b@hs99.kep.tr")
        await register.unit(OTHER, "Öteki Müdürlük", address="c@hs99.kep.tr")
        async with register.database.unit_of_work() as work:
            work.session.add(EypVersionRecord(detsis_no=RECIPIENT, version="1.3", changed_run_id=1))
            work.session.add(EypVersionRecord(detsis_no=OTHER, version="2.0", changed_run_id=1))
        writer = Writer(gateway, await gateway.key("packages:write", institutions=(SENDER,)), pki)
        unknown = await writer.begin(letter(distributions=[to(10000009)]), version="auto")
        assert (unknown["version"], "10000009" in unknown["version_reason"]) == ("2.0", True)
        newer = await writer.begin(letter(distributions=[to(OTHER)]), version="auto")
        assert (newer["version"], newer["version_reason"]) == ("2.0", f"{OTHER} reads up to 2.0")
        both = await writer.begin(older_letter(distributions=[to(OTHER), to(RECIPIENT)]), version="auto")
        assert (both["version"], both["version_reason"]) == ("1.3", f"{RECIPIENT} reads up to 1.3")
        empty = {name: value for name, value in letter().items() if name not in {"originator", "distributions"}}
        asked = {"recipients": [OTHER], "mode": "mirror"}
        filled = await writer.begin(empty, version="auto", correspondence=asked)
        values = {item["pointer"]: (item["value"], item["origin"]) for item in filled["filled"]}
        assert values["/metadata/distributions/0/recipient/name"] == ("Öteki Müdürlük", "mirror")
        assert values["/metadata/distributions/0/recipient/contact/kep_address"] == ("c@hs99.kep.tr", "mirror")
        assert values["/metadata/originator/name"] == (f"Kurum {SENDER}", "gateway")
        foreign = {
            "version": "2.0",
            "metadata": empty,
            "correspondence": {"institution_no": OTHER, "recipients": [OTHER]},
        }
        answer = await writer.call("POST", "/packages", json=foreign, headers={"Idempotency-Key": "foreign"})
        assert refused(answer) == (422, "validation-failed")
        register.line.down = True
        away = await writer.begin(letter(), version="auto")
        assert (away["version"], "directory-unavailable" in away["version_reason"]) == ("2.0", True)
        register.line.calls.clear()
        await writer.begin(letter(distributions=[to(10000100 + number) for number in range(40)]), version="auto")
        assert len(register.line.calls) <= 8, "a directory that does not answer is not asked for everybody"
