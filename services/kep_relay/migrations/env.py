"""Alembic's entry point for kep_relay."""

from services.kep_relay.tables import Base
from shared.db.environment import run

run(Base.metadata)
