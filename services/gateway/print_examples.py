"""Examples of prints for the OpenAPI document. Made-up institutions; every value has the real form."""

from __future__ import annotations

from datetime import UTC, date, datetime
from uuid import UUID

from services.gateway.printing.orders import Obstacle, Position
from services.gateway.printing.profiles import ProfileName
from services.gateway.schemas.printing import (
    LeftOutAnnex,
    PrintAuthorisationAnswer,
    PrintAuthorisationBody,
    PrinterAnswer,
    PrintPage,
    PrintRecord,
)
from shared.domain.verdict import Conclusion

_NOW = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)
_INSTITUTION = 10000002

AUTHORISATION = PrintAuthorisationBody(
    name="Deneme MEMUR", title="Veri Hazırlama ve Kontrol İşletmeni", document_no="E-10000002-903.07-118",
    authorised_on=date(2026, 1, 5), valid_from=date(2026, 1, 5), valid_until=date(2027, 1, 4),
    scope="KEP ile gelen belgelerin çıktısı",
)  # fmt: skip
AUTHORISATION_ANSWER = PrintAuthorisationAnswer(
    **AUTHORISATION.model_dump(), institution_no=_INSTITUTION, authorisation_id="yazi-isleri-1", created_at=_NOW,
    updated_at=_NOW,
)  # fmt: skip
PRINT_PAGE = PrintPage(
    prints=[
        PrintRecord(
            print_id=UUID("019aaf5e-7c00-7000-8000-0000000000a1"), institution_no=_INSTITUTION, at=_NOW,
            client_id="ebys", key_id="Qm7xW2kPz9Lr", message_id=UUID("019aaf5e-7c00-7000-8000-000000000010"),
            document_id="0D1E2F30-4152-4637-8899-AABBCCDDEEFF", document_no="E-10000001-903.07-1",
            package_sha256="0b" * 32, letter_sha256="1c" * 32, print_sha256="2d" * 32, print_size=93_412, pages=3,
            profile=ProfileName.P_2020, profile_edition=date(2020, 7, 1),
            rules=["L.17", "L.18", "L.19", "L.20", "L.21", "L.22"], copy_number=2, purpose="Encümen toplantısı",
            printer=PrinterAnswer(
                authorisation="yazi-isleri-1", name=AUTHORISATION.name, title=AUTHORISATION.title,
                document_no=AUTHORISATION.document_no, authorised_on=AUTHORISATION.authorised_on,
            ),
            conclusion=Conclusion.PASSED, verified_at=_NOW, register_no="2026/4711", label_position=Position.TOP_RIGHT,
            codes=1, left_out=[LeftOutAnnex(name="Çizim (cizim.dwg)", reason=Obstacle.NOT_PRINTABLE)],
        )
    ],
    next_cursor=None,
)  # fmt: skip
