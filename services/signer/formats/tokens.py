"""TSTInfo, the statement inside a time-stamp token (RFC 3161, 2.4.2)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.signer import der
from services.signer.checks.mathematics import digest_name
from services.signer.formats import cms
from services.signer.limits import Limits, definite, malformed


@dataclass(frozen=True)
class TokenStatement:
    """What a token says: which digest existed when."""

    digest: str
    """By its ``hashlib`` name."""
    hashed: bytes
    generated_at: datetime


def parse_info(encoded: bytes) -> TokenStatement:
    """Read a TSTInfo; raises ``CheckFailed`` (FORMAT_FAILURE, or CRYPTO_CONSTRAINTS_FAILURE for an unknown digest)."""
    fields = der.children(der.expect(der.read_whole(encoded), der.SEQUENCE, "TSTInfo"))
    if len(fields) < 5:
        raise malformed("TSTInfo is incomplete")
    imprint = der.children(der.expect(fields[2], der.SEQUENCE, "messageImprint"))
    if len(imprint) != 2:
        raise malformed("bad messageImprint")
    return TokenStatement(digest_name(imprint[0]), der.octets(imprint[1]), der.moment(fields[4]))


def read_info(token: bytes, limits: Limits) -> TokenStatement:
    """The same from a whole token whose signature nobody has looked at; raises as ``parse_info`` does."""
    info = der.children(der.expect(der.read_whole(definite(token, limits)), der.SEQUENCE, "ContentInfo"))
    if len(info) != 2:
        raise malformed("not a time-stamp token")
    data = der.children(der.children(info[1])[0])
    if len(data) < 3:
        raise malformed("not a time-stamp token")
    content_type, content = cms.encapsulated(data[2])
    if content_type != cms.TST_INFO or content is None:
        raise malformed("not a time-stamp token")
    return parse_info(content)
