"""``python -m services.sandbox``: the outside world, until Ctrl-C."""

from __future__ import annotations

from services.sandbox.app import build
from services.sandbox.settings import Settings
from shared.service import main

if __name__ == "__main__":
    raise SystemExit(main("sandbox", Settings, build))
