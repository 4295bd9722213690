"""What the service says no with: numbers and texts of this sandbox, because the real ones are not published."""

from __future__ import annotations

from enum import IntEnum


class RefusalCode(IntEnum):
    """The number that stands where the service tells its state; kep.md 2.8 knows of no published table."""

    WRONG_PASSWORD = 101
    LOCKED = 102
    SECOND_FACTOR = 103
    NO_CREDIT = 104
    TOO_MANY_CALLS = 105
    NO_SUCH_MESSAGE = 106
    KIND_DISAGREES = 107
    BAD_MESSAGE = 108
    NO_SUCH_EVIDENCE = 109
    NO_SUCH_FOLDER = 110
    INNER_FAILURE = 111


TEXTS: dict[RefusalCode, str] = {
    RefusalCode.WRONG_PASSWORD: "Şifre veya Parola Yanlış",
    RefusalCode.LOCKED: "Hesap kilitlenmiştir",
    RefusalCode.SECOND_FACTOR: "Güvenli giriş yapılmalıdır",
    RefusalCode.NO_CREDIT: "Kontör yetersiz",
    RefusalCode.TOO_MANY_CALLS: "Çok sık sorgu yapıldı, daha sonra deneyiniz",
    RefusalCode.NO_SUCH_MESSAGE: "İleti bulunamadı",
    RefusalCode.KIND_DISAGREES: "Paket türü ile ileti başlığı uyuşmuyor",
    RefusalCode.BAD_MESSAGE: "İleti kabul edilemez",
    RefusalCode.NO_SUCH_EVIDENCE: "Delil bulunamadı",
    RefusalCode.NO_SUCH_FOLDER: "Dizin bulunamadı",
    RefusalCode.INNER_FAILURE: "İşlem tamamlanamadı",
}


class RefusedCall(Exception):  # noqa: N818 - an answer of the service, not a failure of it
    """The service understood the call and does not do it."""

    def __init__(self, code: RefusalCode, detail: str = "") -> None:
        self.code = code
        self.text = f"{TEXTS[code]}: {detail}" if detail else TEXTS[code]
        super().__init__(self.text)
