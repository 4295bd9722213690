"""Deciding the world at first start, and finding the same decisions at every later one."""

from __future__ import annotations

import random
import secrets
import socket
from datetime import date

from pydantic import BaseModel, ConfigDict, Field

from services.sandbox.detsis.register import FIRST_DAY
from services.sandbox.pki.identity import write_private
from services.sandbox.settings import Settings
from services.sandbox.world import (
    Behaviour,
    DetsisAccount,
    InstitutionPlan,
    KepSenderPlan,
    KeyPlan,
    ListenerPlan,
    ProviderPlan,
    TlsMode,
    UnitPlan,
    WorldPlan,
)

FIRST_INSTITUTION, SECOND_INSTITUTION = 10_000_001, 10_000_002
_PORTS = range(20_000, 32_000)
"""Below the range from which Linux takes ports for outgoing connections, so a kept port stays free."""

_SCRIPTED: tuple[tuple[int, str, Behaviour], ...] = (
    (10_000_011, "DOLU KUTU MÜDÜRLÜĞÜ", Behaviour.FULL),
    (10_000_012, "ULAŞILAMAYAN KURUM MÜDÜRLÜĞÜ", Behaviour.DOWN),
    (10_000_013, "GERİ ÇEVİREN KURUM MÜDÜRLÜĞÜ", Behaviour.REJECT),
    (10_000_014, "YAVAŞ TESLİM MÜDÜRLÜĞÜ", Behaviour.SLOW),
    (10_000_015, "GEÇ TESLİM MÜDÜRLÜĞÜ", Behaviour.LATE40),
    (10_000_016, "TANINMAYAN KUTU MÜDÜRLÜĞÜ", Behaviour.UNKNOWN),
    (10_000_017, "KABUL EDİLMEYEN GÖNDERİ MÜDÜRLÜĞÜ", Behaviour.REFUSE),
    (10_000_018, "KAYIP DELİL MÜDÜRLÜĞÜ", Behaviour.LOST),
    (10_000_019, "YİNELENEN DELİL MÜDÜRLÜĞÜ", Behaviour.REPEATED),
    (10_000_020, "SIRASIZ DELİL MÜDÜRLÜĞÜ", Behaviour.DISORDERED),
)
"""At provider hs99, by local part; the local part is the behaviour's name."""


_OWN_UNITS = (
    UnitPlan(10_000_101, "YAZI İŞLERİ MÜDÜRLÜĞÜ", FIRST_INSTITUTION),
    UnitPlan(10_000_102, "BİLGİ İŞLEM DAİRESİ BAŞKANLIĞI", FIRST_INSTITUTION),
    UnitPlan(10_000_103, "YAZILIM ŞUBE MÜDÜRLÜĞÜ", 10_000_102, external_addressee=False),
    UnitPlan(10_000_104, "AĞ İŞLETİM ŞEFLİĞİ", 10_000_103, external_addressee=False),
    UnitPlan(10_000_105, "FEN İŞLERİ DAİRESİ BAŞKANLIĞI", FIRST_INSTITUTION),
    UnitPlan(10_000_106, "ESKİ İMAR MÜDÜRLÜĞÜ", FIRST_INSTITUTION, active=False),
    UnitPlan(10_000_201, "YAZI İŞLERİ MÜDÜRLÜĞÜ", SECOND_INSTITUTION),
    UnitPlan(10_000_202, "İL PLANLAMA MÜDÜRLÜĞÜ", SECOND_INSTITUTION),
    UnitPlan(10_000_203, "DENEME KAYMAKAMLIĞI", SECOND_INSTITUTION),
    UnitPlan(10_000_204, "YAZI İŞLERİ ŞEFLİĞİ", 10_000_203, external_addressee=False),
)
"""Below the two institutions that have an account, so that their own tree is one."""


class AddressConflictError(Exception):
    """The settings ask for another control address than the one that the certificates point at."""


class _Kept(BaseModel):
    """``plan.json``: what was drawn at first start."""

    model_config = ConfigDict(extra="forbid")

    public_host: str | None = None
    ports: dict[str, int] = Field(default_factory=dict)
    first_day: date | None = None
    passwords: dict[str, str] = Field(default_factory=dict, repr=False)


def plan_world(settings: Settings, today: date | None = None) -> WorldPlan:
    """The plan of ``settings.state_directory``; draws and keeps what has not been drawn yet.

    ``today`` becomes the register's first day, unless there is one already.

    Raises:
        AddressConflictError: host name or control port differ from those of an existing state directory.
    """
    directory = settings.state_directory.resolve()
    path = directory / "plan.json"
    kept = _Kept.model_validate_json(path.read_bytes()) if path.exists() else _Kept()
    before = kept.model_copy(deep=True)
    _settle_ports(kept, settings)
    kept.first_day = kept.first_day or today
    plan = WorldPlan(
        directory=directory,
        host=settings.host,
        public_host=settings.public_host,
        control_port=kept.ports["control"],
        detsis_port=kept.ports["detsis"],
        # one provider with each TLS mode, so that clients are tried with both
        providers=(_provider("hs98", kept, "implicit"), _provider("hs99", kept, "starttls")),
        institutions=_institutions(kept),
        detsis_accounts=tuple(
            DetsisAccount(number, str(number), _password(kept, f"detsis-{number}"))
            for number in (FIRST_INSTITUTION, SECOND_INSTITUTION)
        ),
        own_units=_OWN_UNITS,
        first_day=kept.first_day or FIRST_DAY,
        detsis_sender=KepSenderPlan(
            settings.detsis_kep_address, _password(kept, settings.detsis_kep_address), "detsis-verification"
        ),
    )
    if kept != before:
        write_private(path, kept.model_dump_json(indent=1).encode())
    return plan


def _settle_ports(kept: _Kept, settings: Settings) -> None:
    forced = {
        "control": settings.port,
        "detsis": settings.detsis_port,
        "hs98-smtp": settings.hs98_smtp_port,
        "hs98-imap": settings.hs98_imap_port,
        "hs98-eyws": settings.hs98_eyws_port,
        "hs99-smtp": settings.hs99_smtp_port,
        "hs99-imap": settings.hs99_imap_port,
        "hs99-eyws": settings.hs99_eyws_port,
    }
    known = kept.ports.get("control")
    if kept.public_host not in {None, settings.public_host} or (settings.port and known not in {None, settings.port}):
        raise AddressConflictError(
            f"the certificates in {settings.state_directory} point at {kept.public_host}:{known}, the settings ask for "
            f"{settings.public_host}:{settings.port or 'any'}: use that address, or delete the directory for a new world"
        )
    kept.public_host = settings.public_host
    for name, port in forced.items():
        if port:
            kept.ports[name] = port
        elif name not in kept.ports:
            kept.ports[name] = _free_port(settings.host, set(kept.ports.values()) | set(forced.values()))


def _free_port(host: str, taken: set[int]) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in random.SystemRandom().sample(_PORTS, k=200):
        if port in taken:
            continue
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise OSError(f"no free port found on {host}")


def _provider(name: str, kept: _Kept, smtp_tls: TlsMode) -> ProviderPlan:
    return ProviderPlan(
        name=name,
        domain=f"{name}.kep.tr",
        smtp=ListenerPlan(kept.ports[f"{name}-smtp"], smtp_tls),
        imap=ListenerPlan(kept.ports[f"{name}-imap"]),
        soap=ListenerPlan(kept.ports[f"{name}-eyws"]),
        identity=f"provider-{name}",
    )


def _institutions(kept: _Kept) -> tuple[InstitutionPlan, ...]:
    playing = (
        _account(kept, FIRST_INSTITUTION, "ÖRNEK BELEDİYE BAŞKANLIĞI", "ornekbelediyesi", "hs98", keys=True),
        _account(kept, SECOND_INSTITUTION, "DENEME VALİLİĞİ", "denemevaliligi", "hs99", keys=True),
        _account(kept, 10_000_003, "KOMŞU BELEDİYE BAŞKANLIĞI", "komsubelediyesi", "hs98"),
    )
    scripted = tuple(
        _account(kept, number, name, behaviour.value, "hs99", behaviour=behaviour)
        for number, name, behaviour in _SCRIPTED
    )
    unreachable = (
        InstitutionPlan(
            10_000_031, "KAPATILMIŞ KURUM BAŞKANLIĞI", active=False, kep_address="kapali@hs99.kep.tr", provider="hs99"
        ),
        InstitutionPlan(10_000_032, "KEP ADRESSİZ KURUM MÜDÜRLÜĞÜ"),
    )
    return (*playing, *scripted, *unreachable)


def _account(
    kept: _Kept,
    detsis_no: int,
    name: str,
    local_part: str,
    provider: str,
    *,
    behaviour: Behaviour = Behaviour.NORMAL,
    keys: bool = False,
) -> InstitutionPlan:
    address = f"{local_part}@{provider}.kep.tr"
    prefix = f"institution-{detsis_no}"
    known = behaviour is not Behaviour.UNKNOWN
    return InstitutionPlan(
        detsis_no=detsis_no,
        name=name,
        kep_address=address,
        provider=provider,
        username=address if known else None,
        password=_password(kept, address) if known else None,
        agent_no=made_up_agent_no(detsis_no) if known else None,
        second_password=_password(kept, f"{address} second") if known else None,
        behaviour=behaviour,
        keys=KeyPlan(f"{prefix}-signing", f"{prefix}-person", f"{prefix}-seal", f"{prefix}-encryption")
        if keys
        else None,
    )


def made_up_agent_no(number: int) -> str:
    """Eleven digits for an authorised agent. Identity numbers do not begin with 0, so it is nobody's."""
    return f"{number:011d}"


def _password(kept: _Kept, owner: str) -> str:
    return kept.passwords.setdefault(owner, secrets.token_urlsafe(18))
