"""Which file of a package is which annex."""

from __future__ import annotations

from dataclasses import replace

from services.gateway.printing.letters import annexes_with_parts
from shared.eyp import Annex, AnnexKind, inspect
from tests.unit.eyp import letters


def test_annexes_come_in_the_letters_order_and_none_is_lost() -> None:
    """Signed and unsigned annexes lie in folders of their own, so two files may have one name."""
    inspection = inspect(letters.package())
    assert inspection.metadata is not None
    annexes = (
        Annex("3", AnnexKind.PHYSICAL, 3, name="Maket"),
        Annex("2", AnnexKind.FILE, 2, "liste.csv", name="Unsigned"),
        Annex("1", AnnexKind.FILE, 1, "Liste.csv", name="12345678901 listesi"),
        Annex("4", AnnexKind.FILE, 4, "withheld.pdf"),
    )
    parts = ("/Ekler/liste.csv", "/ImzasizEkler/liste.csv", "/Ekler/%C5%9Fema.pdf")
    found = replace(inspection, metadata=replace(inspection.metadata, annexes=annexes), annex_parts=parts)
    assert [(annex.name, part) for annex, part in annexes_with_parts(found)] == [
        ("12*******01 listesi (Liste.csv)", "/Ekler/liste.csv"),
        ("Unsigned (liste.csv)", "/ImzasizEkler/liste.csv"),
        ("Maket", None),
        ("withheld.pdf", None),
        ("şema.pdf", "/Ekler/%C5%9Fema.pdf"),
    ]
