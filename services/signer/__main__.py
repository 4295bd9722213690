"""``python -m services.signer``."""

from __future__ import annotations

from services.signer.app import NAME, build
from services.signer.settings import Settings
from shared.service import main

if __name__ == "__main__":
    raise SystemExit(main(NAME, Settings, build))
