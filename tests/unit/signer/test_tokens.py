"""Tokens that misbehave: away, silent, dead, with another PIN; and signer, which loses neither them nor its head."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.signer.keys import KeyRing, load_keys
from services.signer.sealing import Sealing
from services.signer.tokens.pool import TokenLimits
from services.signer.tokens.session import TokenSession, _answer
from services.signer.tokens.vocabulary import FaultKind, KeySelector, Operation, TokenAddress, TokenFault
from shared.clock import FixedClock
from shared.contracts.signatures import Profile, SigningPurpose
from shared.domain.verdict import Conclusion
from shared.errors import DomainError, ErrorCode
from tests.support.broken_module import BrokenModule, needs_compiler
from tests.support.pki import NOW, PASSWORD, Pki
from tests.support.signer import TOKEN, RunningSigner, running_signer
from tests.support.softhsm import MODULE, PIN, SPY, SoftToken, needs_softhsm
from tests.unit.signer.conftest import Judge

pytestmark = needs_softhsm

OWN = 10000001
CONTENT = b"Content-Type: text/plain\r\n\r\nMerhaba\r\n"
LIMITS = TokenLimits(sessions=2, timeout_seconds=20, patience_seconds=30, rest_seconds=0)
ANY_DIGEST = b"\x5a" * 48


@pytest.fixture
def token(tmp_path: Path, pki: Pki, monkeypatch: pytest.MonkeyPatch) -> SoftToken:
    made = SoftToken(tmp_path / "hsm").make()
    monkeypatch.setenv("SOFTHSM2_CONF", str(made.configuration))
    made.put(pki.sealer, "seal", "a1", SIGN=True)
    (tmp_path / "seal.pem").write_bytes(pki.sealer.pem)
    (tmp_path / "chain.pem").write_bytes(pki.seal.issuing.pem)
    return made


def entry(token: SoftToken, **place: Any) -> dict[str, Any]:
    place = {"key_label": "seal", "certificate": "seal.pem", "chain": "chain.pem"} | place
    return token.entry("seal-1", OWN, "package-seal", **place)


class Faults(list[FaultKind]):
    """The kinds that were counted."""


@contextmanager
def loaded(tmp_path: Path, *entries: dict[str, Any], limits: TokenLimits = LIMITS) -> Iterator[tuple[KeyRing, Faults]]:
    path, faults = tmp_path / "keys.json", Faults()
    path.write_text(json.dumps(entries))
    ring = load_keys(path, limits=limits, on_fault=faults.append)
    try:
        yield ring, faults
    finally:
        ring.close()


def sign(ring: KeyRing) -> bytes:
    return ring.take("seal-1", SigningPurpose.PACKAGE_SEAL).port.sign(ANY_DIGEST)


def refused(ring: KeyRing) -> DomainError:
    with pytest.raises(DomainError) as caught:
        sign(ring)
    assert PIN not in str(caught.value)
    return caught.value


def processes(ring: KeyRing) -> list[int]:
    return [opened.session._process.pid for opened in ring.tokens[0]._idle]


def test_sessions_stay_within_their_number(token: SoftToken, tmp_path: Path) -> None:
    async def many() -> list[bytes]:
        return await asyncio.gather(*(asyncio.to_thread(sign, ring) for _ in range(20)))

    with loaded(tmp_path, entry(token)) as (ring, faults):
        signatures = asyncio.run(many())
        idle, busy = ring.tokens[0].sessions()
        assert len(set(signatures)) == 20, "ECDSA never gives the same twice"
        assert 1 <= idle <= LIMITS.sessions
        assert (busy, faults) == (0, [])


def test_a_session_that_died_is_opened_again_and_the_call_repeated(token: SoftToken, tmp_path: Path) -> None:
    with loaded(tmp_path, entry(token)) as (ring, faults):
        [before] = processes(ring)
        os.kill(before, signal.SIGKILL)
        assert sign(ring)
        assert processes(ring) != [before]
        assert (faults, ring.faults()) == ([], {})


def test_a_silent_token_is_not_waited_for(token: SoftToken, tmp_path: Path) -> None:
    """A stopped process stands for a module that hangs: it is ended, and the next call has a new one."""
    with loaded(tmp_path, entry(token)) as (ring, faults):
        [before] = processes(ring)
        os.kill(before, signal.SIGSTOP)
        ring.tokens[0].limits = replace(LIMITS, timeout_seconds=0.1)
        error = refused(ring)
        ring.tokens[0].limits = LIMITS
        assert (error.code, error.retryable, faults) == (ErrorCode.SERVICE_UNAVAILABLE, True, [FaultKind.NO_ANSWER])
        assert not Path(f"/proc/{before}").exists()
        assert "seal-1" in ring.faults()
        assert sign(ring)
        assert ring.faults() == {}


def test_more_callers_than_sessions_are_told_so(token: SoftToken, tmp_path: Path) -> None:
    limits = TokenLimits(sessions=1, timeout_seconds=20, patience_seconds=0.01)
    with loaded(tmp_path, entry(token), limits=limits) as (ring, faults):
        with ring.tokens[0]._permits:
            error = refused(ring)
        assert (error.code, faults) == (ErrorCode.SERVICE_UNAVAILABLE, [FaultKind.BUSY])
        assert ring.faults() == {}, "load says nothing against the token"


def test_a_token_that_was_away_is_used_again(token: SoftToken, tmp_path: Path) -> None:
    with loaded(tmp_path, entry(token)) as (ring, faults):
        assert sign(ring)
        token.remove()
        error = refused(ring)
        assert (error.code, error.retryable, error.retry_after_seconds) == (ErrorCode.SERVICE_UNAVAILABLE, True, 30)
        assert set(ring.faults()) == {"seal-1"}
        ring.look()
        assert set(faults) == {FaultKind.TOKEN_ABSENT}
        token.bring_back()
        ring.look()
        assert ring.faults() == {}
        assert sign(ring)


def test_a_token_away_at_the_start_is_waited_for(token: SoftToken, tmp_path: Path) -> None:
    token.remove()
    with loaded(tmp_path, entry(token)) as (ring, _faults):
        assert refused(ring).retryable
        token.bring_back()
        assert sign(ring)


def test_another_key_in_the_token_s_place_is_found_out(token: SoftToken, pki: Pki, tmp_path: Path) -> None:
    with loaded(tmp_path, entry(token)) as (ring, _faults):
        token.remove()
        (token.directory / "tokens").mkdir()
        token.initialise(token.label)
        token.put(pki.transaction, "seal", "a1", SIGN=True)
        error = refused(ring)
        assert (error.code, error.retryable) == (ErrorCode.SIGNING_KEY_UNAVAILABLE, False)
        assert "does not belong" in ring.faults()["seal-1"]


@pytest.mark.skipif(SPY is None, reason="OpenSC's pkcs11-spy is not installed (make test installs it on Debian)")
def test_a_wrong_pin_is_tried_exactly_once(token: SoftToken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the module sees it, by 20 callers and the watch; then again when the file has changed, and not before."""
    calls = tmp_path / "calls"
    monkeypatch.setenv("PKCS11SPY", str(MODULE))
    monkeypatch.setenv("PKCS11SPY_OUTPUT", str(calls))
    token.pin_file.write_text("161803")

    async def many() -> list[DomainError]:
        return await asyncio.gather(*(asyncio.to_thread(refused, ring) for _ in range(20)))

    def logins() -> int:
        return calls.read_text(errors="replace").count("C_Login\n")

    with loaded(tmp_path, entry(token, module=str(SPY))) as (ring, faults):
        errors = asyncio.run(many())
        ring.look()
        assert {(error.code, error.retryable) for error in errors} == {(ErrorCode.SIGNING_KEY_UNAVAILABLE, False)}
        assert (logins(), faults) == (1, [FaultKind.PIN_REFUSED])
        assert "PIN" in ring.faults()["seal-1"]
        os.utime(token.pin_file, (1, 1))
        refused(ring)
        refused(ring)
        assert logins() == 2, "an operator has it tried again by touching the file"
        token.pin_file.write_text(PIN)
        ring.look()
        assert (logins(), ring.faults()) == (3, {})
        assert sign(ring)


@pytest.fixture
def broken(token: SoftToken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BrokenModule:
    made = BrokenModule(tmp_path, str(MODULE))
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    return made


@needs_compiler
@pytest.mark.parametrize("fault", ["login-crash", "login-error"])
def test_logins_without_an_answer_are_few(token: SoftToken, broken: BrokenModule, tmp_path: Path, fault: str) -> None:
    """Each may have been a wrong PIN; the third one might lock the token."""
    broken.order(fault)
    with loaded(tmp_path, entry(token, module=str(broken.path))) as (ring, faults):
        for _ in range(5):
            error = refused(ring)
            ring.look()
        assert (broken.logins, error.code) == (2, ErrorCode.SIGNING_KEY_UNAVAILABLE)
        assert faults.count(FaultKind.PIN_UNANSWERED) == 1
        broken.mend(fault)
        assert not refused(ring).retryable
        os.utime(token.pin_file, (1, 1))
        ring.look()
        assert (broken.logins, ring.faults()) == (3, {})
        assert sign(ring)


@needs_compiler
def test_a_module_that_crashes_takes_nothing_with_it(token: SoftToken, broken: BrokenModule, tmp_path: Path) -> None:
    with loaded(tmp_path, entry(token, module=str(broken.path))) as (ring, faults):
        broken.order("sign-crash")
        assert refused(ring).retryable
        assert faults == [FaultKind.DIED]
        broken.mend("sign-crash")
        assert sign(ring)
        assert ring.faults() == {}


@needs_compiler
async def test_a_module_that_signs_wrongly_is_found_out(token: SoftToken, broken: BrokenModule, tmp_path: Path) -> None:
    with loaded(tmp_path, entry(token, module=str(broken.path))) as (ring, _faults):
        broken.order("sign-wrong")
        sealing = Sealing(ring, FixedClock(NOW))
        with pytest.raises(DomainError) as caught:
            await sealing.seal(sealing.seal_key("seal-1", OWN), CONTENT, "test")
        sealing.close()
        assert caught.value.code is ErrorCode.SIGNING_KEY_UNAVAILABLE


def test_nothing_of_ours_reaches_the_process_of_a_module(
    token: SoftToken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither settings nor tokens, and the PIN stands in no argument and no variable."""
    monkeypatch.setenv("KEPGW_SERVICE_TOKENS", TOKEN)
    with loaded(tmp_path, entry(token)) as (ring, _faults):
        [pid] = processes(ring)
        seen = Path(f"/proc/{pid}/environ").read_bytes() + Path(f"/proc/{pid}/cmdline").read_bytes()
    assert b"KEPGW_" not in seen
    assert PIN.encode() not in seen
    assert b"SOFTHSM2_CONF" in seen


def test_no_process_to_be_had_is_a_token_that_cannot_be_used(
    token: SoftToken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when signer may open no more files: what looks at the tokens goes on."""
    with loaded(tmp_path, entry(token)) as (ring, faults):
        os.kill(processes(ring)[0], signal.SIGKILL)
        with monkeypatch.context() as patched:
            patched.setattr("sys.executable", str(tmp_path / "absent"))
            assert refused(ring).retryable
            ring.look()
            assert set(faults) == {FaultKind.DIED}
        ring.look()
        assert ring.faults() == {}


@pytest.mark.skipif(SPY is None, reason="OpenSC's pkcs11-spy is not installed (make test installs it on Debian)")
def test_an_empty_pin_file_costs_no_attempt(token: SoftToken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is empty for a moment while a new PIN is written to it."""
    calls = tmp_path / "calls"
    monkeypatch.setenv("PKCS11SPY", str(MODULE))
    monkeypatch.setenv("PKCS11SPY_OUTPUT", str(calls))
    with loaded(tmp_path, entry(token, module=str(SPY))) as (ring, _faults):
        os.kill(processes(ring)[0], signal.SIGKILL)
        token.pin_file.write_text("\n")
        assert refused(ring).code is ErrorCode.SIGNING_KEY_UNAVAILABLE
        token.pin_file.write_text(PIN)
        assert sign(ring)
    assert calls.read_text(errors="replace").count("C_Login\n") == 2


def test_a_session_without_login_sees_no_private_key(token: SoftToken) -> None:
    session = TokenSession.start(TokenAddress(str(MODULE), token.label), 20)
    session.open(None, 20)
    selector = KeySelector("seal")
    fields = {"key_label": selector.label, "key_id_hex": selector.id_hex}
    try:
        assert session.ask(Operation.CERTIFICATES, 20, **fields)["certificates"]
        with pytest.raises(TokenFault) as caught:
            session.ask(Operation.DESCRIBE, 20, **fields)
        assert caught.value.kind is FaultKind.KEY_ABSENT
        with pytest.raises(TokenFault):
            session.ask(Operation.SIGN, 20, **fields)
    finally:
        session.end()


def test_no_process_is_left_behind(token: SoftToken, tmp_path: Path) -> None:
    with loaded(tmp_path, entry(token)) as (ring, _faults):
        pids = processes(ring)
    assert pids
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert refused(ring).code is ErrorCode.SERVICE_UNAVAILABLE


@asynccontextmanager
async def running(token: SoftToken, pki: Pki, tmp_path: Path, *more: dict[str, Any]) -> AsyncIterator[RunningSigner]:
    keys_file = tmp_path / "keys.json"
    keys_file.write_text(json.dumps([entry(token), *more]))
    settings = {
        "keys_file": keys_file, "trust_directory": pki.write_trust(tmp_path / "trust"), "hardware_sessions": 2,
    }  # fmt: skip
    async with running_signer(settings, FixedClock(NOW)) as up:
        yield up


async def readiness(up: RunningSigner) -> str | None:
    [check] = [item for item in up.service.checks if item.name == "signing_keys"]
    try:
        await check.check()
    except Exception as error:  # noqa: BLE001 - as the operator's interface shows it
        return str(error)
    return None


async def test_the_service_seals_by_the_token_also_after_a_restart(
    token: SoftToken, pki: Pki, judge: Judge, tmp_path: Path
) -> None:
    for _ in range(2):
        async with running(token, pki, tmp_path) as up:
            signed = await asyncio.gather(*(up.client.seal("seal-1", CONTENT, institution_no=OWN) for _ in range(20)))
            for seal in signed:
                assert judge(seal, CONTENT, profile=Profile.INSTITUTION_SEAL).conclusion is Conclusion.PASSED
            assert up.sample("kepgw_signing_key_up", key_id="seal-1") == 1
            assert up.sample("kepgw_pkcs11_sessions", state="busy") == 0
            assert 1 <= (up.sample("kepgw_pkcs11_sessions", state="idle") or 0) <= 2
            assert up.sample("kepgw_certificate_expiry_timestamp_seconds", key_id="seal-1")
            assert await readiness(up) is None


async def test_an_absent_token_is_shown_and_takes_no_other_key_with_it(
    token: SoftToken, pki: Pki, tmp_path: Path
) -> None:
    pki.signer.write_pkcs12(tmp_path / "agent.p12")
    (tmp_path / "password").write_bytes(PASSWORD)
    agent = {"key_id": "kep-1", "institution_no": OWN, "purposes": ["kep-message"], "pkcs12": "agent.p12",
             "password_file": "password"}  # fmt: skip
    async with running(token, pki, tmp_path, agent) as up:
        token.remove()
        with pytest.raises(DomainError) as caught:
            await up.client.seal("seal-1", CONTENT, institution_no=OWN)
        assert (caught.value.code, caught.value.retryable) == (ErrorCode.SERVICE_UNAVAILABLE, True)
        assert (await up.client.sign_message("kep-1", CONTENT, institution_no=OWN))[:1] == b"\x30"
        assert up.sample("kepgw_signing_key_up", key_id="seal-1") == 0
        assert up.sample("kepgw_signing_key_up", key_id="kep-1") == 1
        assert up.sample("kepgw_pkcs11_failures_total", reason="token-absent") == 1
        assert await readiness(up) is None
        token.bring_back()
    token.remove()
    async with running(token, pki, tmp_path) as up:
        assert "seal-1: " in str(await readiness(up))


def test_an_answer_out_of_form_is_a_dead_process() -> None:
    """A module that wrote over its own process's memory may make it say anything."""
    for line in (
        b"\n",
        b"[]\n",
        b"1\n",
        b'{"fault": "?"}\n',
        b'{"answer": 1}\n',
        b'{"fault": []}\n',
        b"\xff\n",
        b"[" * 100_000,
    ):
        with pytest.raises(TokenFault) as caught:
            _answer(line)
        assert caught.value.kind is FaultKind.DIED
