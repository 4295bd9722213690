"""Managers of units on the wire; birth date, age and age group stay there (data minimisation)."""

from __future__ import annotations

from dataclasses import dataclass

from services.detsis_sync.soap.wire.rows import RowShape


@dataclass(slots=True)
class WireManager:
    """One manager in one post, as text."""

    post: str | None
    unit_name: str | None
    path: str | None
    parent: str | None
    title: str | None
    manager_code: str | None
    name: str | None
    legal_basis: str | None
    kind_of_post: str | None
    start: str | None
    end: str | None
    active: str | None


MANAGER = RowShape(
    "IyemYoneticiObj",
    WireManager,
    (
        "ID",
        "Ad",
        "KurumHiyerarsik",
        "ParentIdareKimlikKodu",
        "UnvanAdi",
        "YoneticiKodu",
        "YoneticiAdiSoyadi",
        "HukukiDayanak",
        "GorevTuru",
        "GorevBaslamaTarihi",
        "GorevBitisTarihi",
        "Aktifmi",
    ),
    unread=("DogumTarihi", "Yasi", "YasGrup"),
)
