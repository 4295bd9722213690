"""What kind of file the cover letter is (rule R.7)."""

from __future__ import annotations

from collections.abc import Iterator

from shared.errors import DomainError
from shared.eyp.container import Container
from shared.eyp.findings import Finding
from shared.eyp.rules import layout as rules

_CHUNK = 256 * 1024
_PDF = b"%PDF-"
_OFFICE_MARKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
_MACROS = (b"vbaproject", "_VBA_PROJECT".encode("utf-16-le").lower(), b"basic/script-lc.xml")
"""How programs inside office files are called, in lower case: their names stand there uncompressed."""


def check_cover_letter(container: Container, name: str) -> Iterator[Finding]:
    """A PDF; of other files, none that can run programs.

    Whether the PDF is of the archival kind (PDF/A) is not judged: that takes a validator of its own,
    and what a file claims about itself proves nothing.
    """
    try:
        with container.open_part(name) as stream:
            head = stream.read(len(_OFFICE_MARKS[1]))
            if head.startswith(_PDF):
                return
            yield rules.COVER_LETTER_NOT_PDF.found(name)
            window = head
            while head.startswith(_OFFICE_MARKS) and (chunk := stream.read(_CHUNK)):
                window = window[-64:] + chunk.lower()
                if any(mark in window for mark in _MACROS):
                    yield rules.COVER_LETTER_MACROS.found(name)
                    return
    except DomainError:
        # Found and told by whoever digests the part.
        return
