"""``python -m services.kep_relay``."""

from __future__ import annotations

from services.kep_relay.app import build
from services.kep_relay.settings import Settings
from services.kep_relay.tables import SCHEMA
from shared.db.session import Database
from shared.service import main


def migrate_schema(settings: Settings) -> None:
    """Bring the schema up to date."""
    from shared.db.migrate import migrate  # Alembic is a fifth of all the imports, and serving needs none of it

    database = Database(settings.database_url.get_secret_value(), schema=SCHEMA)
    migrate(database, package="kep_relay", with_jobs=True)


if __name__ == "__main__":
    raise SystemExit(main("kep_relay", Settings, build, migrate=migrate_schema))
