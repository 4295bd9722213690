"""The plan is drawn once and then kept; ``world.json`` tells clients all of it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from services.sandbox.furnishing import describe, write_world
from services.sandbox.pki.store import Pki
from services.sandbox.planning import AddressConflictError, plan_world
from services.sandbox.settings import Settings
from services.sandbox.world import Behaviour, WorldDocument, WorldPlan
from shared.config import load_settings
from shared.domain.identifiers import detsis_number, kep_address


def test_the_plan_is_the_same_at_every_start(tmp_path: Path) -> None:
    """Ports and passwords survive; two state directories share no password."""
    first = plan_world(Settings(state_directory=tmp_path / "one"))
    assert plan_world(Settings(state_directory=tmp_path / "one")) == first
    other = plan_world(Settings(state_directory=tmp_path / "two"))
    assert not {one.password for one in first.institutions} & {
        one.password for one in other.institutions if one.password
    }
    assert len(set(first.ports.values())) == len(first.ports) == 8


def test_ports_can_be_forced(tmp_path: Path) -> None:
    """A forced port is kept too; the control port cannot move, because certificates point at it."""
    plan = plan_world(Settings(state_directory=tmp_path, port=20_001, hs99_imap_port=20_002))
    assert plan.ports["control"] == 20_001
    assert plan.ports["hs99-imap"] == 20_002
    assert plan_world(Settings(state_directory=tmp_path)) == plan
    assert plan_world(Settings(state_directory=tmp_path, hs99_imap_port=20_003)).ports["hs99-imap"] == 20_003
    with pytest.raises(AddressConflictError, match="20001"):
        plan_world(Settings(state_directory=tmp_path, port=20_004))
    with pytest.raises(AddressConflictError, match="sandbox"):
        plan_world(Settings(state_directory=tmp_path, public_host="sandbox"))


def test_a_start_without_settings_works() -> None:
    """Every setting has a default, and the environment's names are the documented ones."""
    assert load_settings(Settings, service="sandbox", environ={}).port == 0
    settings = load_settings(Settings, service="sandbox", environ={"KEPGW_SANDBOX_STATE_DIRECTORY": "/srv/world"})
    assert settings.state_directory == Path("/srv/world")


def test_institutions_cover_every_case(plan: WorldPlan) -> None:
    """Two play with all keys, at different providers; one for each scripted outcome; one closed, one without address."""
    playing = [one for one in plan.institutions if one.keys is not None]
    assert [one.provider for one in playing] == ["hs98", "hs99"]
    assert {one.behaviour for one in plan.institutions} == set(Behaviour)
    assert [one.detsis_no for one in plan.institutions if not one.active] == [10_000_031]
    assert [one.detsis_no for one in plan.institutions if one.kep_address is None] == [10_000_032]
    assert len({one.detsis_no for one in plan.institutions}) == len(plan.institutions)
    for one in plan.institutions:
        assert detsis_number(one.detsis_no) == one.detsis_no
        assert one.kep_address is None or kep_address(one.kep_address) == one.kep_address
        assert (one.username is None) == (one.password is None) == (one.second_password is None)
        assert one.agent_no is None or (len(one.agent_no) == 11 and one.agent_no.startswith("0"))


def test_world_json_round_trips(plan: WorldPlan, pki: Pki) -> None:
    """What is written is read back equal; every file it names exists; only its owner may read it."""
    document = describe(plan, pki, detsis_path="/DETSISServis.asmx", soap_path="/eyws")
    write_world(plan, document)
    assert stat.S_IMODE(plan.world_file.stat().st_mode) == 0o600
    read = WorldDocument.model_validate_json(plan.world_file.read_bytes())
    assert read == document
    assert read.tls_ca_file.is_file()
    for purpose in ("qualified", "seal", "kephs", "timestamp"):
        assert (read.trust_directory / purpose / "root.crt").is_file()
    assert (read.trust_directory / "intermediates" / "seal.crt").is_file()
    first, second = (one for one in read.institutions if one.signing_key is not None)
    assert (first.detsis_no, second.detsis_no) == (10_000_001, 10_000_002)
    for one in (first, second):
        for key in (one.signing_key, one.person_key, one.seal_key, one.encryption_key):
            assert key is not None
            assert key.pkcs12.is_absolute()
            assert key.pkcs12.is_file()
            assert key.password_file.is_file()
            assert key.certificate.is_file()
    for provider in read.providers:
        assert provider.transaction_certificate.is_file()
    assert {provider.smtp.tls for provider in read.providers} == {"implicit", "starttls"}
    assert first.password is not None
    assert first.password not in repr(read)
