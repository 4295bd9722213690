"""``python -m services.detsis_sync``."""

from __future__ import annotations

from services.detsis_sync.app import NAME, build, migrate_schema
from services.detsis_sync.settings import Settings
from shared.service import main

if __name__ == "__main__":
    raise SystemExit(main(NAME, Settings, build, migrate=migrate_schema))
