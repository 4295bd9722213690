"""Run by shared.db.migrate."""

from services.detsis_sync.tables import Base
from shared.db.environment import run

run(Base.metadata)
