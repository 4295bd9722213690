"""Who and what exists in the sandbox: the plan its parts are built from, and ``world.json`` for everyone else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

TlsMode: TypeAlias = Literal["implicit", "starttls"]


class Behaviour(StrEnum):
    """What becomes of a letter to a scripted recipient; evidence codes as in kep.md 1.3."""

    NORMAL = "normal"
    """20 (if relayed), 40 at once, 60 when the message is read over IMAP."""
    FULL = "full"
    """41, mailbox full."""
    UNKNOWN = "unknown"
    """41, no such recipient, although DETSİS still lists the address."""
    DOWN = "down"
    """31, the recipient's provider cannot be reached."""
    REJECT = "reject"
    """21, the recipient's provider refuses the relay."""
    REFUSE = "refuse"
    """11, the sender's provider refuses the submission."""
    SLOW = "slow"
    """20 at once, 40 only after a delay."""
    LATE40 = "late40"
    """31 first, yet 40 later: the later 40 must win."""
    LOST = "lost"
    """10 and nothing more."""
    REPEATED = "repeated"
    """Every piece of evidence twice."""
    DISORDERED = "disordered"
    """40 before 20 before 10."""


@dataclass(frozen=True)
class DetsisAccount:
    """A login of the DETSİS web service: the header's KurumID and Password."""

    institution_no: int
    account_id: str
    password: str


@dataclass(frozen=True)
class ListenerPlan:
    """One port to listen on, on ``WorldPlan.host``, and whether TLS comes first or on request."""

    port: int
    tls: TlsMode = "implicit"


@dataclass(frozen=True)
class ProviderPlan:
    """A KEP provider: ``name`` such as ``hs98``, ``domain`` such as ``hs98.kep.tr``.

    ``identity`` names its transaction certificate in the PKI. ``soap``: PTT KEP's SOAP service (EYWS).
    """

    name: str
    domain: str
    smtp: ListenerPlan
    imap: ListenerPlan
    soap: ListenerPlan
    identity: str


@dataclass(frozen=True)
class KeyPlan:
    """Names, in the PKI, of the keys an institution owns."""

    signing: str
    """The authorised agent's qualified certificate: signs KEP messages (S/MIME)."""
    person: str
    """A qualified certificate of someone who signs letters."""
    seal: str
    """The institution's electronic seal."""
    encryption: str
    """The institution's encryption certificate (RSA, key encipherment)."""


@dataclass(frozen=True)
class InstitutionPlan:
    """A body of state in the register; with ``username`` also a KEP account holder.

    ``kep_address`` None: DETSİS lists none. ``username`` None with an address: DETSİS lists the
    address, but the provider does not know it.
    """

    detsis_no: int
    name: str
    active: bool = True
    kep_address: str | None = None
    provider: str | None = None
    username: str | None = None
    password: str | None = None
    agent_no: str | None = None
    """For the SOAP service: 11 digits that are no one's identity number."""
    second_password: str | None = None
    """For the SOAP service, besides ``password``."""
    behaviour: Behaviour = Behaviour.NORMAL
    keys: KeyPlan | None = None


@dataclass(frozen=True)
class UnitPlan:
    """A unit below a named institution; nobody writes to it alone."""

    detsis_no: int
    name: str
    parent_no: int
    active: bool = True
    external_addressee: bool = True


@dataclass(frozen=True)
class KepSenderPlan:
    """A KEP account that belongs to no institution of the register, with the key that signs its mail."""

    address: str
    password: str
    signing: str
    """Name in the PKI."""


@dataclass(frozen=True)
class WorldPlan:
    """Everything decided before anything runs; the same at every start of one state directory."""

    directory: Path
    """The state directory; parts keep their own files in a subdirectory of their name."""
    host: str
    """The address all parts listen on."""
    public_host: str
    """The name or address others reach it by: in certificates, URLs and ``world.json``."""
    control_port: int
    detsis_port: int
    providers: tuple[ProviderPlan, ...]
    institutions: tuple[InstitutionPlan, ...]
    detsis_accounts: tuple[DetsisAccount, ...]
    own_units: tuple[UnitPlan, ...]
    first_day: date
    """Of the register."""
    detsis_sender: KepSenderPlan

    @property
    def control_url(self) -> str:
        """Where the control API and the PKI answer, without a trailing slash."""
        return f"http://{self.public_host}:{self.control_port}"

    @property
    def world_file(self) -> Path:
        """Written when every listener is up, removed when the sandbox stops."""
        return self.directory / "world.json"

    @property
    def clock_file(self) -> Path:
        """How far the sandbox's time has been moved, in seconds."""
        return self.directory / "clock"

    @property
    def trust_directory(self) -> Path:
        """Anchors by purpose, PEM."""
        return self.directory / "trust"

    @property
    def kephs_directory(self) -> Path:
        """Where the providers keep mails and evidence."""
        return self.directory / "kephs"

    @property
    def opened_mailboxes_file(self) -> Path:
        """KEP mailboxes opened over the control API."""
        return self.kephs_directory / "opened.json"

    @property
    def detsis_directory(self) -> Path:
        """What DETSİS keeps: registrations of KEP addresses, and rendered lists."""
        return self.directory / "detsis"

    @property
    def ports(self) -> dict[str, int]:
        """Every listener's port, by a name for people."""
        ports = {"control": self.control_port, "detsis": self.detsis_port}
        for provider in self.providers:
            ports[f"{provider.name}-smtp"] = provider.smtp.port
            ports[f"{provider.name}-imap"] = provider.imap.port
            ports[f"{provider.name}-eyws"] = provider.soap.port
        return ports

    def provider(self, name: str) -> ProviderPlan:
        """The provider called ``name``; raise ``KeyError`` if there is none."""
        for provider in self.providers:
            if provider.name == name:
                return provider
        raise KeyError(name)


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AddressDocument(_Document):
    """A listener that is up."""

    host: str
    port: int
    tls: TlsMode


class ProviderDocument(_Document):
    """A KEP provider."""

    name: str
    domain: str
    smtp: AddressDocument
    imap: AddressDocument
    soap_url: str
    """Of PTT KEP's SOAP service (EYWS); its WSDL is there too."""
    transaction_certificate: Path
    """PEM."""


class KeyDocument(_Document):
    """A private key to take over: PKCS#12, its password's file, and the certificate alone (PEM)."""

    pkcs12: Path
    password_file: Path
    certificate: Path


class InstitutionDocument(_Document):
    """A named institution; the register holds many more that nobody plays."""

    detsis_no: int
    name: str
    active: bool
    kep_address: str | None
    provider: str | None
    username: str | None
    password: str | None = Field(repr=False)
    agent_no: str | None
    second_password: str | None = Field(repr=False)
    behaviour: Behaviour
    signing_key: KeyDocument | None
    person_key: KeyDocument | None
    seal_key: KeyDocument | None
    encryption_key: KeyDocument | None
    encryption_certificate: Path | None


class DetsisAccountDocument(_Document):
    """A login of the DETSİS web service."""

    institution_no: int
    account_id: str
    password: str = Field(repr=False)


class DetsisDocument(_Document):
    """The DETSİS web service."""

    endpoint: str
    kep_address: str | None = None
    """Where verification mails come from."""
    accounts: tuple[DetsisAccountDocument, ...]


class PkiDocument(_Document):
    """Revocation data and time stamps, by hierarchy."""

    crl_urls: dict[str, str]
    ocsp_urls: dict[str, str]
    timestamp_url: str


class WorldDocument(_Document):
    """``world.json``: what a client of the sandbox needs to know. Paths are absolute."""

    version: Literal[1] = 1
    process_id: int
    """Of the sandbox that wrote the file: one left by a killed run names a process that is not it."""
    control_url: str
    docs_url: str
    tls_ca_file: Path
    trust_directory: Path
    pki: PkiDocument
    detsis: DetsisDocument
    providers: tuple[ProviderDocument, ...]
    institutions: tuple[InstitutionDocument, ...]
