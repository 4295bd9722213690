"""The README names every switch with its own sentence, and every control call."""

from __future__ import annotations

import re
from pathlib import Path

from services.sandbox.detsis.quirks import FAULTS, QUIRKS, VARIANTS
from services.sandbox.settings import Settings
from tests.unit.sandbox_detsis.conftest import World

README = (Path(__file__).parents[3] / "services" / "sandbox" / "README.md").read_text(encoding="utf-8")


def test_every_switch_of_detsis() -> None:
    sentences = FAULTS | {name: sentence for name, (sentence, _) in QUIRKS.items()} | VARIANTS
    rows = dict(re.findall(r"^\| `(detsis\.\w+)` \| (.*) \|$", README, re.MULTILINE))
    assert rows == sentences


def test_every_setting() -> None:
    for name in Settings.model_fields:
        if name.startswith("detsis_"):
            assert f"`{name.upper()}`" in README


async def test_every_call_of_detsis(world: World) -> None:
    paths = (await world.http.get("/openapi.json")).json()["paths"]
    ours = [path for path in paths if path.startswith("/control/detsis")]
    assert len(ours) > 5
    for path in ours:
        assert re.sub(r"\{(\w+)\}", r"<\1>", path) in README.replace("$U/", "/").replace("?token", "")
    kinds = (await world.http.get("/openapi.json")).json()["components"]["schemas"]["ChangeOrder"]["properties"]["kind"]
    for kind in kinds["enum"]:
        assert f'"kind": "{kind}"' in README
