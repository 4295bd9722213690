"""``python -m services.gateway``: the only interface clients see."""

from __future__ import annotations

from services.gateway.app import build
from services.gateway.settings import Settings
from shared.db.migrate import migrate
from shared.db.session import Database
from shared.service import main


def migrate_schema(settings: Settings) -> None:
    """Bring the schema ``gateway`` up to date."""
    migrate(Database(settings.database_url.get_secret_value(), schema="gateway"), package="gateway", with_jobs=False)


if __name__ == "__main__":
    raise SystemExit(main("gateway", Settings, build, migrate=migrate_schema))
