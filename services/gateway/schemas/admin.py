"""What an operator sends and sees."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from services.gateway.callers import Scope
from services.gateway.schemas.text import Body, Line, Moment, StrictDetsisNo, Whole
from shared.contracts.mailboxes import (
    EywsService,
    MailboxConfiguration,
    ReadPolicy,
    ServerAddress,
    driver_faults,
    https_url,
)

Strictness = Literal["refuse", "warn", "pass"]
EncryptedDegree = Literal["unclassified", "personal", "restricted"]
_HttpsUrl = Annotated[str, Field(min_length=9, max_length=1000, pattern=r"^https://[^@#\s]+$")]
_Host = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9.:\[\]-]+$")]


class InstitutionPolicy(Body):
    """How strict the gateway is with what an institution hands over."""

    package_findings: Strictness = "refuse"
    """For a package that breaks a rule: ``refuse`` it, ``warn`` in the answer, or let it ``pass`` silently."""
    signatures: Strictness = "warn"
    """For a signature that fails: ``refuse`` the letter, ``warn`` in the answer, or ``pass`` without checking."""
    restricted: Literal["encrypt", "refuse"] = "encrypt"
    """A letter that should be encrypted and comes plain: ``encrypt`` it for recipients that have a certificate in the
    directory, or ``refuse`` it, so that the document system hands over an .eyps."""
    encrypted_degrees: list[EncryptedDegree] = Field(default=["restricted"], min_length=1, max_length=3)
    """Degrees that travel encrypted, or unencrypted by a recorded decision only. ``restricted`` (HİZMETE ÖZEL; ÖZEL
    counts as such) is always among them; ``personal`` is KİŞİYE ÖZEL."""

    print_profile: Literal["P-2020", "P-2015", "by-date"] = "P-2020"
    """What letters are printed under unless a print asks for something else (legal.md L.18); ``by-date``: P-2015 for
    documents of 01.03.2015 to 30.06.2020. ``P-2015`` for all asks for a directive of the institution's own."""
    print_needs_authorisation: bool = Field(default=True, strict=True)
    """Whether an official print names a recorded authorisation (L.17)."""

    @field_validator("encrypted_degrees")
    @classmethod
    def _with_restricted(cls, degrees: list[EncryptedDegree]) -> list[EncryptedDegree]:
        if "restricted" not in degrees:
            raise ValueError("must contain restricted (L.26)")
        return degrees


class InstitutionBody(Body):
    """An institution whose letters pass here."""

    name: Annotated[Line, Field(min_length=1, max_length=300)]
    """Its official name."""
    policy: InstitutionPolicy = InstitutionPolicy()
    """How strict the gateway is with its letters."""


class InstitutionAnswer(InstitutionBody):
    """An institution as stored."""

    detsis_no: int
    """Its DETSİS number."""
    created_at: datetime
    updated_at: datetime


class ApiKeyBody(Body):
    """A new key."""

    client_id: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    """The document system that will hold it; made if unknown."""
    label: Annotated[Line, Field(min_length=1, max_length=200)] | None = None
    """A reminder for people."""
    scopes: list[Scope] = Field(min_length=1, max_length=20)
    """What the key may do."""
    institutions: list[StrictDetsisNo] = Field(default_factory=list, max_length=500)
    """Institutions the client may act for, added to those it has; each must exist."""
    expires_at: Moment | None = None
    """After this time the key is refused."""


class ApiKeyAnswer(Body):
    """A key without its secret."""

    key_id: str
    """The part of the key between the underscores."""
    client_id: str
    label: str | None
    scopes: list[Scope]
    institutions: list[int]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    """To within a minute."""


class NewApiKeyAnswer(ApiKeyAnswer):
    """A key, with its secret for this one time."""

    key: str
    """The key itself: store it now, it is never shown again."""


class ApiKeyList(Body):
    """All keys, oldest first."""

    keys: list[ApiKeyAnswer]


class ServerBody(Body):
    """One mail server of a KEP provider."""

    host: _Host
    """Name or address."""
    port: Whole = Field(ge=1, le=65535)
    tls: Literal["implicit", "starttls"] = "implicit"
    """There is no way to do without."""
    ca_file: Annotated[Line, Field(min_length=1, max_length=1000)] | None = None
    """PEM bundle on kep_relay's machine to trust instead of the system's."""

    def contract(self) -> ServerAddress:
        """As kep_relay takes it."""
        return ServerAddress(host=self.host, port=self.port, tls=self.tls, ca_file=self.ca_file)


class EywsBody(Body):
    """Access to a KEP account over PTT KEP's SOAP service."""

    url: _HttpsUrl
    """Where calls go: always this https address, whatever a WSDL says."""
    fallback_url: _HttpsUrl | None = None
    """The provider's second host, used while the first cannot be reached."""
    ca_file: Annotated[Line, Field(min_length=1, max_length=1000)] | None = None
    """PEM bundle on kep_relay's machine to trust instead of the system's."""
    agent_no: Annotated[str, Field(pattern=r"^[0-9]{11}$")] | None = Field(default=None, repr=False)
    """Identity number of the authorised agent (işlem yetkilisi, `tcno`). Goes in and never comes out; leave it out
    to keep the one stored."""
    second_password: Annotated[Line, Field(min_length=1, max_length=500)] | None = Field(default=None, repr=False)
    """The second of the two secrets (`sifre`; the mailbox's `password` is `parola`). Goes in and never comes out."""
    login: Literal["password", "sms", "signature"] = "password"
    """What the account asks for before it hands out messages: nothing more, a code sent by SMS, or a signature. Only
    `password` works unattended."""

    _can_be_called = field_validator("url", "fallback_url")(https_url)

    def contract(self) -> EywsService:
        """As kep_relay takes it."""
        return EywsService.model_validate(self.model_dump())


class MailboxBody(Body):
    """How one KEP account is reached: `smtp_imap` needs `username`, `smtp` and `imap`; `eyws` needs `eyws`."""

    institution_no: StrictDetsisNo
    """The institution that owns the account; must exist here."""
    address: Annotated[str, Field(min_length=3, max_length=320, pattern=r"^[!-~]+@[!-~]+$")]
    """The KEP address."""
    driver: Literal["smtp_imap", "eyws"] = "smtp_imap"
    """`smtp_imap`: mail servers. `eyws`: PTT KEP's SOAP service."""
    username: Annotated[Line, Field(min_length=1, max_length=320)] | None = None
    password: Annotated[Line, Field(min_length=1, max_length=500)] | None = Field(default=None, repr=False)
    """Goes in and never comes out; leave it out to keep the one stored."""
    smtp: ServerBody | None = None
    imap: ServerBody | None = None
    eyws: EywsBody | None = None
    inbox_folder: Annotated[Line, Field(min_length=1, max_length=200)] = "INBOX"
    sent_folder: Annotated[Line, Field(min_length=1, max_length=200)] | None = None
    """Left out: `Sent`, for `eyws` `INBOX.Sent`."""
    poll_interval_seconds: float = Field(default=60, ge=0.2, le=3600)
    read_policy: ReadPolicy = ReadPolicy.ON_ACK
    """When the provider learns that we took a letter; that may create evidence 60."""
    signing_key_id: Annotated[Line, Field(min_length=1, max_length=200)] | None = None
    """The key in signer that signs this mailbox's messages. None: the document system signs them itself and brings
    each one's signature along (`message_signature` of a letter); notices of refusal then cannot go out."""
    sends: bool = Field(default=True, strict=True)
    active: bool = Field(default=True, strict=True)
    force_reason: Annotated[Line, Field(min_length=10, max_length=500)] | None = None
    """Closes the mailbox, or changes its address, although DETSİS still lists the address; goes into the audit log."""

    @model_validator(mode="after")
    def _driver_has_its_part(self) -> Self:
        for fault in driver_faults(
            self.driver, username=self.username or "", smtp=self.smtp, imap=self.imap, eyws=self.eyws
        ):
            raise ValueError(fault)
        return self

    def contract(self) -> MailboxConfiguration:
        """As kep_relay takes it."""
        return MailboxConfiguration(
            institution_no=self.institution_no, address=self.address, driver=self.driver, username=self.username or "",
            password=self.password, smtp=None if self.smtp is None else self.smtp.contract(),
            imap=None if self.imap is None else self.imap.contract(),
            eyws=None if self.eyws is None else self.eyws.contract(), inbox_folder=self.inbox_folder,
            sent_folder=self.sent_folder or "", poll_interval_seconds=self.poll_interval_seconds,
            read_policy=self.read_policy, signing_key_id=self.signing_key_id, sends=self.sends, active=self.active,
        )  # fmt: skip


class RegisterAccountBody(Body):
    """The institution's account at DETSİS."""

    account_id: Annotated[Line, Field(min_length=1, max_length=100)]
    """``KurumID`` as DETSİS issued it."""
    endpoint: Annotated[str, Field(min_length=9, max_length=1000, pattern=r"^https://[!-~]+$")]
    """The https URL of the service. Another host than before needs the password again."""
    keeps_copy: bool = Field(default=True, strict=True)
    """False for an institution that asks DETSİS live and refreshes no copy at night (EK-3/3)."""
    has_own_tree: bool = Field(default=True, strict=True)
    """False where the endpoint does not offer the caller's own units, as that for the private sector."""
    password: Annotated[Line, Field(min_length=1, max_length=500)] | None = Field(default=None, repr=False)
    """Goes in and never comes out; leave it out to keep the one stored."""
