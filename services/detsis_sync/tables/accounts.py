"""Who may ask DETSİS."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from services.detsis_sync.tables.base import Base


class Account(Base):
    """One institution's access to DETSİS."""

    __tablename__ = "accounts"

    institution_no: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    account_id: Mapped[str]
    endpoint: Mapped[str]
    password_token: Mapped[bytes] = mapped_column(LargeBinary)
    keeps_copy: Mapped[bool] = mapped_column(server_default=text("true"))
    """False for an institution that asks DETSİS live instead of refreshing a copy each night (EK-3/3)."""
    has_own_tree: Mapped[bool] = mapped_column(server_default=text("true"))
    """False where the endpoint does not offer the caller's own tree (the private sector's)."""
    next_run_at: Mapped[datetime | None]
    updated_at: Mapped[datetime]
