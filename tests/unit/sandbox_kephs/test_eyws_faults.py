"""What can be made to go wrong over the SOAP service: each switch does what its sentence says, and no more."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest
from lxml import etree

from services.sandbox.faults import Fault
from services.sandbox.kephs.eyws.refusals import RefusalCode
from services.sandbox.kephs.faults import EYWS_FAULTS, FAULTS, SCOPES
from tests.support.eyws_provider import A, B, C, EywsProviders, WrittenLetter, eventually
from tests.unit.sandbox_kephs.eyws_calls import Caller, Reply
from tests.unit.sandbox_kephs.eyws_fixtures import Callers, callers, eyws

__all__ = ["callers", "eyws"]
BROKEN = (httpx.ReadError, httpx.RemoteProtocolError, httpx.ConnectError)


async def upload(caller: Caller, letter: WrittenLetter) -> Reply:
    return await caller("Yukle", ("ePaket", letter.raw), ("ePaketTur", "EYazisma"))


async def delivered(eyws: EywsProviders, callers: Callers, count: int = 1) -> list[str]:
    """So many letters in B's mailbox; their Message-IDs there, oldest first."""
    for _ in range(count):
        letter = eyws.letter()
        await upload(callers(A), letter)
        await eyws.delivered(letter)
    return [mail.message_id for mail in eyws.mails(B)]


@pytest.mark.parametrize("fault", ["eyws.refuse_connection", "eyws.drop"])
async def test_a_reset_before_the_call_leaves_nothing(eyws: EywsProviders, callers: Callers, fault: str) -> None:
    eyws.order(fault, count=1, provider="hs98")
    letter = eyws.letter()
    with pytest.raises(BROKEN):
        await upload(callers(), letter)
    assert eyws.mails(A, "Sent") == []
    assert (await upload(callers(), letter)).text("durum") == "0"


async def test_a_lost_answer_leaves_exactly_one_message(eyws: EywsProviders, callers: Callers) -> None:
    eyws.order("eyws.lost_answer", count=1, operation="Yukle", account=A)
    letter = eyws.letter()
    assert (await callers().flat("KontorSorgula")).text("cins") == "Kontör", "another operation is spared"
    with pytest.raises(BROKEN):
        await upload(callers(), letter)
    listed = await callers()("PaketSorgula", ("dizin", "INBOX.Sent"))
    assert listed.texts("kepId") == [letter.message_id]
    await eyws.delivered(letter)


async def test_pages_empty_bodies_and_faults_are_told_apart_and_do_nothing(
    eyws: EywsProviders, callers: Callers
) -> None:
    caller, letter = callers(), eyws.letter()
    for status in (200, 502):
        eyws.order("eyws.html_page", count=1, value=status)
        page = await upload(caller, letter)
        assert (page.status, page.content_type.partition(";")[0]) == (status, "text/html")
    eyws.order("eyws.empty_body", count=1)
    empty = await upload(caller, letter)
    assert (empty.status, empty.body) == (200, b"")
    eyws.order("eyws.soap_fault", count=1)
    assert "memory" in (await upload(caller, letter)).fault
    assert eyws.mails(A, "Sent") == []


async def test_an_answer_that_is_cut(eyws: EywsProviders, callers: Callers) -> None:
    """As if whole: the last boundary is missing. By a reset: HTTP itself shows it."""
    (message_id,) = await delivered(eyws, callers)
    eyws.order("eyws.truncated_xop", count=1)
    cut = await callers(B)("Indir", ("kepId", message_id))
    assert cut.status == 200
    assert not cut.body.rstrip().endswith(b"--")
    with pytest.raises(ValueError, match="boundary"):
        assert cut.parts
    eyws.order("eyws.truncated_xop", count=1, value=1)
    with pytest.raises(BROKEN):
        await callers(B)("Indir", ("kepId", message_id))
    assert (await callers(B)("Indir", ("kepId", message_id))).binaries("ePaket")[0]


@pytest.mark.parametrize(
    ("fault", "told"), [("eyws.tls_refused", None), ("eyws.tls_untrusted", "CERTIFICATE_VERIFY_FAILED")]
)
async def test_handshakes_that_fail(eyws: EywsProviders, callers: Callers, fault: str, told: str | None) -> None:
    eyws.order(fault, count=1, provider="hs98")
    with pytest.raises(httpx.TransportError, match=told):
        await upload(callers(), eyws.letter())
    assert eyws.faults.in_force() == ()
    assert (await upload(callers(), eyws.letter())).text("durum") == "0"


async def test_an_answer_without_end(eyws: EywsProviders, callers: Callers) -> None:
    eyws.order("eyws.endless_answer", count=1)
    caller, received = callers(), 0
    async with caller.open("KontorSorgula") as answer:
        async for piece in answer.aiter_bytes():
            received += len(piece)
            if received > 3_000_000:
                break
    assert (await callers().flat("KontorSorgula")).text("cins") == "Kontör"


async def test_a_clock_that_is_ahead_hides_what_has_just_come(eyws: EywsProviders, callers: Callers) -> None:
    (message_id,) = await delivered(eyws, callers)
    end = (eyws.mails(B)[0].received_at + timedelta(minutes=2)).isoformat()
    eyws.order("eyws.clock_skew", count=1)
    assert (await callers(B)("PaketSorgula", ("sontarih", end))).texts("kepId") == [None]
    assert (await callers(B)("PaketSorgula", ("sontarih", end))).texts("kepId") == [message_id]


async def test_a_late_answer_is_the_answer(eyws: EywsProviders, callers: Callers) -> None:
    eyws.order("eyws.delay", count=1, value=0.05)
    assert (await upload(callers(), eyws.letter())).text("durum") == "0"
    assert eyws.faults.in_force() == ()


async def test_success_outside_and_failure_inside(eyws: EywsProviders, callers: Callers) -> None:
    eyws.order("eyws.outer_ok_inner_failed", count=1)
    answer = await upload(callers(), eyws.letter())
    assert (answer.text("durum"), answer.texts("kepId")) == ("0", [])
    assert answer.text("hataaciklama")
    assert eyws.mails(A, "Sent") == []


@pytest.mark.parametrize(
    ("fault", "code"),
    [("eyws.credit_exhausted", RefusalCode.NO_CREDIT), ("eyws.rate_limited", RefusalCode.TOO_MANY_CALLS)],
)
async def test_ordered_refusals_take_nothing(
    eyws: EywsProviders, callers: Callers, fault: str, code: RefusalCode
) -> None:
    eyws.order(fault, account=A)
    letter = eyws.letter()
    assert (await upload(callers(), letter)).text("durum") == str(int(code))
    told = await callers().flat("KontorSorgula")
    assert told.text("cins") if fault == "eyws.rate_limited" else told.text("miktar") == "0"
    assert (await callers(C).flat("KontorSorgula")).text("miktar") == "1000000"
    eyws.faults.clear()
    assert eyws.mails(A, "Sent") == []
    assert (await upload(callers(), letter)).text("durum") == "0"


async def test_lists_that_lie(eyws: EywsProviders, callers: Callers) -> None:
    first, second = await delivered(eyws, callers, 2)
    caller = callers(B)
    eyws.order("eyws.nil_arrays", count=1)
    assert (await caller("PaketSorgula")).texts("kepId") == [None]
    eyws.order("eyws.duplicate_entry", count=1)
    twice = await caller("PaketSorgula")
    assert twice.texts("kepId") == [first, first, second, second]
    assert len(set(twice.texts("kepSiraNo"))) == 4
    eyws.order("eyws.renumber", count=1)
    moved = await caller("PaketSorgula")
    assert moved.texts("kepId") == [first, second]
    wrong = await caller("Indir", ("kepSiraNo", moved.texts("kepSiraNo")[0]))
    uid = eyws.mails(B)[1].uid
    assert wrong.binaries("ePaket") == [eyws.providers.content(B, "INBOX", uid)], "the number names the other one now"


async def test_downloads_that_lie(eyws: EywsProviders, callers: Callers) -> None:
    first, _ = await delivered(eyws, callers, 2)
    caller = callers(B)
    eyws.order("eyws.wrong_content", count=1)
    wrong = await caller("Indir", ("kepId", first))
    assert wrong.binaries("ePaket") == [eyws.providers.content(B, "INBOX", eyws.mails(B)[1].uid)]
    eyws.order("eyws.empty_download", count=1)
    assert (await caller("Indir", ("kepId", first))).binaries("ePaket") == [b""]
    right = await caller("Indir", ("kepId", first))
    assert right.binaries("ePaket") == [eyws.providers.content(B, "INBOX", eyws.mails(B)[0].uid)]


async def test_a_single_message_is_still_exchanged_for_another(eyws: EywsProviders, callers: Callers) -> None:
    (only,) = await delivered(eyws, callers)
    eyws.order("eyws.wrong_content", count=1)
    wrong = (await callers(B)("Indir", ("kepId", only))).binaries("ePaket")
    assert wrong != [eyws.providers.content(B, "INBOX", eyws.mails(B)[0].uid)]
    assert only.encode() not in wrong[0]


async def test_evidence_out_of_order_twice_and_not_to_be_had(eyws: EywsProviders, callers: Callers) -> None:
    caller, letter = callers(), eyws.letter()
    await upload(caller, letter)
    await eyws.issued(letter, 10, 20, 40)
    await eventually(lambda: eyws.providers.unfinished() == 0)

    async def codes() -> list[str | None]:
        return (await caller("PaketDelilSorgula", ("kepId", letter.message_id))).texts("delilTurId")

    plain = await codes()
    assert sorted(map(str, plain)) == ["10", "20", "40"]
    eyws.order("eyws.reorder_evidence", count=1)
    assert await codes() == plain[::-1]
    eyws.order("eyws.duplicate_entry", count=1)
    assert await codes() == [code for code in plain for _ in range(2)]
    eyws.order("eyws.nil_arrays", count=1)
    assert await codes() == [None]
    identifier = eyws.providers.evidence(letter.message_id)[0].identifier
    eyws.order("eyws.evidence_download_fails", count=1)
    failed = await caller("PaketDelilIndir", ("delilId", identifier))
    assert failed.texts("eDelil") == []
    assert failed.text("durum") == str(int(RefusalCode.NO_SUCH_EVIDENCE))
    assert (await caller("PaketDelilIndir", ("delilId", identifier))).binaries("eDelil")[0]


async def test_evidence_of_an_unknown_kind_or_with_a_broken_signature_is_listed(
    eyws: EywsProviders, callers: Callers
) -> None:
    eyws.order("evidence.unknown_code", count=1)
    eyws.order("evidence.bad_signature", count=1, code="40")
    caller, letter = callers(), eyws.letter()
    await upload(caller, letter)
    await eyws.issued(letter, 10, 20, 40, 70)
    await eventually(lambda: eyws.providers.unfinished() == 0)
    listed = await caller("PaketDelilSorgula", ("kepId", letter.message_id))
    assert sorted(map(str, listed.texts("delilTurId"))) == ["10", "20", "40", "70"]


async def test_a_wsdl_that_has_moved_on(eyws: EywsProviders, callers: Callers) -> None:
    usual = await callers().wsdl()
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    for value, added in ((None, b"TumKontorSorgula"), (1, b"klasor")):
        eyws.order("eyws.wsdl_changed", count=1, value=value)
        changed = await callers().wsdl()
        assert added in changed
        assert added not in usual
        etree.fromstring(changed, parser)


def test_every_switch_has_a_scope_that_is_asked_for() -> None:
    assert FAULTS.keys() == SCOPES.keys()
    assert EYWS_FAULTS.keys() <= FAULTS.keys()


async def test_an_order_for_another_account_spares_this_one(eyws: EywsProviders, callers: Callers) -> None:
    eyws.faults.order(Fault("eyws.html_page", {"account": C}))
    assert (await callers().flat("KontorSorgula")).text("cins") == "Kontör"
    assert (await callers(C).flat("KontorSorgula")).content_type.startswith("text/html")
