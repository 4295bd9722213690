"""Passwords, locks, second factors, credit and quota of the SOAP service (kep.md 2.5, 2.8, 7.4 to 7.8)."""

from __future__ import annotations

import base64
from datetime import timedelta
from hashlib import sha256

import pytest

from services.sandbox.kephs import LoginPolicy
from services.sandbox.kephs.cms import sign_detached
from services.sandbox.kephs.eyws.refusals import RefusalCode
from shared.clock import SystemClock
from tests.support.eyws_provider import SMS_KEY, A, B, C, EywsProviders
from tests.unit.sandbox_kephs.eyws_calls import Caller
from tests.unit.sandbox_kephs.eyws_fixtures import Callers, callers, eyws

__all__ = ["callers", "eyws"]
WRONG = "Şifre veya Parola Yanlış"


async def test_a_wrong_password_is_told_somewhere_else_by_each_call(callers: Callers, eyws: EywsProviders) -> None:
    eyws.providers.change_standing(A, locks_after=None)
    caller, code = callers(), str(int(RefusalCode.WRONG_PASSWORD))
    wrong = {"parola": "wrong"}
    log_in = await caller("Giris", ("girisTur", "BASE"), **wrong)
    assert (log_in.text("durum"), log_in.text("hataaciklama")) == ("1", WRONG)
    credit = await caller.flat("KontorSorgula", **wrong)
    assert (credit.texts("miktar"), credit.text("cins")) == ([], WRONG)
    assert (await caller.flat("KotaSorgula", **wrong)).texts("return") == [None]
    assert (await caller.flat("DizinSorgula", **wrong)).texts("return") == [None]
    assert (await caller.flat("IstatistikSorgula", **wrong)).text("sonuc") == WRONG
    for operation in ("PaketSorgula", "PaketSorgula2", "PaketDelilSorgula", "PaketDetayDelilSorgula"):
        listed = await caller(operation, **wrong)
        assert listed.text("durum") == code
        assert listed.text("hataaciklama") == WRONG
        assert listed.texts("kepId") == listed.texts("delilId") == []
    for operation in ("Yukle", "SmimeGonder", "Indir", "AlindiOnay", "PaketSil", "PaketDelilIndir"):
        answer = await caller(operation, **wrong)
        assert (answer.text("durum"), answer.text("hataaciklama")) == (code, WRONG)
        assert answer.texts("ePaket") == answer.texts("eDelil") == []


@pytest.mark.parametrize("field", ["kepHesap", "tcno", "parola", "sifre"])
async def test_all_four_parts_must_be_right(callers: Callers, field: str) -> None:
    assert (await callers()("Giris", ("girisTur", "BASE"))).text("durum") == "0"
    assert (await callers()("Giris", ("girisTur", "BASE"), **{field: "x@hs98.kep.tr"})).text("durum") == "1"


async def test_wrong_passwords_lock_the_account_until_somebody_opens_it(callers: Callers, eyws: EywsProviders) -> None:
    eyws.providers.change_standing(A, locks_after=2)
    caller = callers()
    assert (await caller("Giris", sifre="wrong")).text("durum") == "1"
    assert (await caller("Giris")).text("durum") == "0", "a right password between starts the count again"
    for _ in range(2):
        assert (await caller("Giris", sifre="wrong")).text("hataaciklama") == WRONG
    assert (await caller("Giris")).text("hataaciklama") == "Hesap kilitlenmiştir"
    assert eyws.providers.standing(A).locked
    eyws.providers.change_standing(A, locked=False, wrong_passwords=0)
    assert (await caller("Giris")).text("durum") == "0"
    assert (await callers(C)("Giris")).text("durum") == "0"


async def deliver(eyws: EywsProviders, callers: Callers) -> str:
    letter = eyws.letter()
    await callers(A)("Yukle", ("ePaket", letter.raw), ("ePaketTur", "EYazisma"))
    return (await eyws.delivered(letter)).message_id


async def reads(caller: Caller, message_id: str, security_id: str | None) -> bool:
    answer = await caller("Indir", ("kepId", message_id), ("eGuvenlikId", security_id))
    if answer.texts("ePaket"):
        return bool(answer.binaries("ePaket")[0])
    assert answer.text("durum") == str(int(RefusalCode.SECOND_FACTOR))
    return False


async def test_sms_opens_reading_for_a_while(callers: Callers, eyws: EywsProviders) -> None:
    """Listing works without; the key answers the log-in it was sent for, once, and what it opens expires."""
    eyws.providers.change_standing(B, policy=LoginPolicy.OTP)
    message_id = await deliver(eyws, callers)
    caller = callers(B)
    assert (await caller("PaketSorgula")).texts("kepId") == [message_id]
    assert not await reads(caller, message_id, None)

    async def begin() -> str:
        begun = await caller("Giris", ("girisTur", "OTP"))
        assert begun.text("durum") == "0"
        return begun.text("eGuvenlikId") or ""

    async def answer(security_id: str, key: str) -> tuple[str | None, str | None]:
        given = await caller(
            "GuvenliGiris", ("girisTur", "OTP"), ("smsKey", key), ("eGuvenlikId", security_id)
        )  # fmt: skip
        return given.text("durum"), (given.texts("eGuvenlikId") or [None])[0]

    first = await begin()
    assert not await reads(caller, message_id, first), "the challenge itself opens nothing"
    assert await answer(first, "000000") == ("1", None)
    assert await answer(first, SMS_KEY) == ("1", None), "a wrong answer uses the challenge up"
    older = await begin()
    newer = await begin()
    assert await answer(older, SMS_KEY) == ("1", None), "a newer log-in voids the one before"
    state, opened = await answer(newer, SMS_KEY)
    assert state == "0"
    assert opened is not None
    assert await answer(newer, SMS_KEY) == ("1", None)
    assert await reads(caller, message_id, opened)
    assert not await reads(caller, message_id, newer)
    eyws.clock.move_to(timedelta(minutes=31))
    assert not await reads(caller, message_id, opened)
    late = await begin()
    eyws.clock.move_to(timedelta(minutes=35))
    assert await answer(late, SMS_KEY) == ("1", None)


async def test_a_signature_over_the_challenge_opens_reading(callers: Callers, eyws: EywsProviders) -> None:
    eyws.providers.change_standing(B, policy=LoginPolicy.SIGNATURE)
    message_id = await deliver(eyws, callers)
    caller = callers(B)
    assert (await caller("Giris", ("girisTur", "OTP"))).text("durum") == "1", "not how this account logs in"
    for right in (False, True):
        begun = await caller("Giris", ("girisTur", "EIMZA"))
        text = (begun.text("eMetin") or "").encode()
        assert begun.text("eHash") == base64.b64encode(sha256(text).digest()).decode()
        signature = sign_detached(text if right else b"other", eyws.signer, SystemClock().now())
        given = await caller(
            "GuvenliGiris", ("girisTur", "EIMZA"), ("eCadesBes", signature), ("eGuvenlikId", begun.text("eGuvenlikId"))
        )
        assert given.text("durum") == ("0" if right else "1")
        if right:
            assert await reads(caller, message_id, given.text("eGuvenlikId"))


async def test_a_security_id_is_one_accounts_own(callers: Callers, eyws: EywsProviders) -> None:
    for address in (B, C):
        eyws.providers.change_standing(address, policy=LoginPolicy.OTP)
    message_id = await deliver(eyws, callers)
    begun = await callers(C)("Giris", ("girisTur", "OTP"))
    fields = (("girisTur", "OTP"), ("smsKey", SMS_KEY), ("eGuvenlikId", begun.text("eGuvenlikId")))
    assert (await callers(A)("GuvenliGiris", *fields)).text("durum") == "1", "another account of the same provider"
    begun = await callers(C)("Giris", ("girisTur", "OTP"))
    fields = (("girisTur", "OTP"), ("smsKey", SMS_KEY), ("eGuvenlikId", begun.text("eGuvenlikId")))
    opened = (await callers(C)("GuvenliGiris", *fields)).text("eGuvenlikId")
    assert not await reads(callers(B), message_id, opened)


async def test_credit_is_counted_and_runs_out(callers: Callers, eyws: EywsProviders) -> None:
    """Nothing is taken without credit; after a top-up the same message is."""
    eyws.providers.change_standing(A, credit=1)
    caller, first, second = callers(), eyws.letter(), eyws.letter()
    assert (await caller("Yukle", ("ePaket", first.raw), ("ePaketTur", "EYazisma"))).text("durum") == "0"
    told = await caller.flat("KontorSorgula")
    assert (told.text("miktar"), told.text("cins")) == ("0", "Kontör")
    refused = await caller("Yukle", ("ePaket", second.raw), ("ePaketTur", "EYazisma"))
    assert refused.text("durum") == str(int(RefusalCode.NO_CREDIT))
    assert [mail.message_id for mail in eyws.mails(A, "Sent")] == [first.message_id]
    eyws.providers.change_standing(A, credit=2.5)
    assert (await caller.flat("KontorSorgula")).text("miktar") == "2.5"
    assert (await caller("Yukle", ("ePaket", second.raw), ("ePaketTur", "EYazisma"))).text("durum") == "0"


async def test_a_mailbox_over_its_quota_takes_nothing_in(callers: Callers, eyws: EywsProviders) -> None:
    """41 for the sender, and a low figure for the account itself; room comes back by deleting."""
    eyws.providers.change_standing(B, quota_kilobytes=40)
    caller = callers(B)
    assert (await caller.flat("KotaSorgula")).text("return") == "40"
    first = await deliver(eyws, callers)
    left = int((await caller.flat("KotaSorgula")).text("return") or "")
    assert 0 < left < 40
    large = eyws.letter(attachment=bytes(40_000))
    await callers(A)("Yukle", ("ePaket", large.raw), ("ePaketTur", "EYazisma"))
    issued = await eyws.issued(large, 41)
    assert b"MailboxFull" in issued[-1].xml
    assert [mail.message_id for mail in eyws.mails(B)] == [first]
    await caller("PaketSil", ("kepId", first))
    assert (await caller.flat("KotaSorgula")).text("return") == "40"
