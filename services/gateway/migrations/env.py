from __future__ import annotations

from services.gateway.tables import Base
from shared.db.environment import run

run(Base.metadata)
