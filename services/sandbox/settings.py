"""Settings of the sandbox: ``KEPGW_SANDBOX_*``. A start without any of them works."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr

from shared.config import CommonSettings


class Settings(CommonSettings):
    """Where the sandbox keeps its world and which ports it is bound to. Port 0: chosen once, then kept."""

    port: int = Field(default=0, ge=0, le=65535, description="Port of the control API and the PKI.")
    ops_port: int = Field(default=0, ge=0, le=65535, description="Port of /livez, /readyz and /metrics.")
    service_tokens: dict[str, SecretStr] = Field(
        default_factory=dict, description="Not used: the sandbox stands outside and holds no service's token."
    )
    state_directory: Path = Field(
        default=Path("var/sandbox"), description="Everything generated at first start; delete it for a new world."
    )
    public_host: str = Field(
        default="127.0.0.1",
        pattern=r"^[A-Za-z0-9.-]{1,253}$",
        description="Name or IPv4 address by which others reach the sandbox; it stands in certificates.",
    )
    detsis_port: int = Field(default=0, ge=0, le=65535, description="Port of the DETSİS web service (https).")
    detsis_units: int = Field(
        default=2000, ge=100, le=400_000, description="Units in the register, the named institutions included."
    )
    detsis_daily_share: float = Field(
        default=0.002, ge=0, le=0.5, description="Part of the register's units that something happens to each day."
    )
    detsis_external_share: float = Field(
        default=0.6, ge=0, le=1, description="Part of the register's units that may be written to from outside."
    )
    detsis_cache_mebibytes: int = Field(
        default=1024, ge=0, le=100_000, description="Disk space for rendered lists of DETSİS; 0 renders them each time."
    )
    detsis_kep_address: str = Field(
        default="detsis@hs98.kep.tr",
        pattern=r"^[a-z0-9._-]{1,64}@hs9[89]\.kep\.tr$",
        description="KEP address from which DETSİS sends its verification mails.",
    )
    hs98_smtp_port: int = Field(default=0, ge=0, le=65535, description="Port of provider hs98's submission (SMTP).")
    hs98_imap_port: int = Field(default=0, ge=0, le=65535, description="Port of provider hs98's mailboxes (IMAP).")
    hs98_eyws_port: int = Field(
        default=0, ge=0, le=65535, description="Port of provider hs98's SOAP service (EYWS, https)."
    )
    hs99_smtp_port: int = Field(default=0, ge=0, le=65535, description="Port of provider hs99's submission (SMTP).")
    hs99_imap_port: int = Field(default=0, ge=0, le=65535, description="Port of provider hs99's mailboxes (IMAP).")
    hs99_eyws_port: int = Field(
        default=0, ge=0, le=65535, description="Port of provider hs99's SOAP service (EYWS, https)."
    )
    security_id_seconds: float = Field(
        default=1800, ge=1, le=864_000, description="How long a second factor opens an account over EYWS."
    )
    slow_delivery_seconds: float = Field(default=5, ge=0, le=864_000, description="Between 20 and 40 for slow@.")
    late_delivery_seconds: float = Field(default=5, ge=0, le=864_000, description="Between 31 and 40 for late40@.")
    unreachable_after_seconds: float = Field(
        default=2, ge=0, le=864_000, description="How long a provider tries to reach another one before 31."
    )
