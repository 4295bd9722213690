"""The page that operators read is the page the settings would write today."""

from __future__ import annotations

from tests.support.configuration_page import PAGE, render


def test_configuration_page_is_up_to_date() -> None:
    """Run ``python -m tests.support.configuration_page`` after changing a setting."""
    assert PAGE.read_text(encoding="utf-8") == render()
