"""Distribution points: where a certificate says its revocation lists are, and what a list says it is (RFC 5280).

Both sides are brought to one form, so that "do they share a name" is an intersection of sets. A part
that cannot be read matches nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from services.signer import der
from services.signer.certificates import ASN1_FAULTS, Certificate, name_key
from services.signer.findings import CheckFailed

ALL_REASONS = frozenset(
    {
        *("key_compromise", "ca_compromise", "affiliation_changed", "superseded"),
        *("cessation_of_operation", "certificate_hold", "privilege_withdrawn", "aa_compromise"),
    }
)
"""The reasons a certificate may be revoked for, by which lists are split (RFC 5280, 5.2.5)."""

_FULL_NAME, _RELATIVE_NAME, _DIRECTORY_NAME, _URI = 0xA0, 0xA1, 0xA4, 0x86
_POINT_NAME, _POINT_ISSUER = 0xA0, 0xA2
_POINTS, _NAMES = 64, 64
_DESCRIPTIONS, _URLS, _LONGEST_URL = 32, 4, 2048
_NOBODY = ""
"""Equal to no name: an issuer that is named in a way that cannot be read is not the certificate's own."""

OCSP, ISSUER_CERTIFICATES = "1.3.6.1.5.5.7.48.1", "1.3.6.1.5.5.7.48.2"
"""Access methods of authorityInfoAccess (RFC 5280, 4.2.2.1)."""

PointNames = frozenset[tuple[str, str]]
"""Kind and value of each name of a distribution point."""


@dataclass(frozen=True)
class DistributionPoint:
    """One DistributionPoint of a certificate (RFC 5280, 4.2.1.13).

    Its reasons are left aside: what a list covers is what the list itself says.
    """

    names: PointNames
    issuers: frozenset[str] = frozenset()
    """Who issues its list, as ``name_key`` has it; empty for the certificate's own issuer."""


@lru_cache(maxsize=1024)
def distribution_points(certificate: Certificate) -> tuple[DistributionPoint, ...]:
    """The points of a certificate; a point that cannot be read is left out."""
    try:
        value = _extension(certificate, "2.5.29.31")
        return () if value is None else tuple(_points(value, certificate))
    except (CheckFailed, *ASN1_FAULTS):
        return ()


def list_issuers(certificate: Certificate) -> frozenset[str]:
    """Who else than its issuer may issue lists about ``certificate`` (cRLIssuer)."""
    return frozenset(name for point in distribution_points(certificate) for name in point.issuers)


def directory_name(encoded: bytes) -> tuple[str, str] | None:
    """A distinguished name as a name of a point; None for one that equals no other."""
    key = name_key(encoded)
    return None if key is None else ("directory", key)


def point_names(point_name: der.Element, issuer_der: bytes) -> PointNames:
    """The names of a DistributionPointName; one relative to an issuer is completed. Raises ``CheckFailed``."""
    found: set[tuple[str, str]] = set()
    if point_name.tag == _RELATIVE_NAME:
        # The implicit tag stands in place of the SET's.
        relative = der.encode(der.SET, point_name.contents)
        parts = [item.encoded for item in der.children(der.read_whole(issuer_der))]
        name = directory_name(der.encode(der.SEQUENCE, *parts, relative))
        return frozenset() if name is None else frozenset({name})
    # Bounded: a name costs up to a millisecond, and nobody has signed for these yet. What is left out matches nothing.
    for general in der.children(der.expect(point_name, _FULL_NAME, "DistributionPointName"))[:_NAMES]:
        name = _general(general)
        if name is not None:
            found.add(name)
    return frozenset(found)


@lru_cache(maxsize=1024)
def access_urls(certificate: Certificate, method: str) -> tuple[str, ...]:
    """The http(s) addresses in authorityInfoAccess for a method, at most four; none when it cannot be read."""
    try:
        value = _extension(certificate, "1.3.6.1.5.5.7.1.1")
        if value is None:
            return ()
        descriptions = der.children(der.expect(der.read_whole(value), der.SEQUENCE, "AuthorityInfoAccessSyntax"))
        pairs = [der.children(item) for item in descriptions[:_DESCRIPTIONS]]
        named = [pair[1] for pair in pairs if len(pair) == 2 and der.oid(pair[0]) == method]
        urls = [item.contents.decode("ascii") for item in named if item.tag == _URI]
    except (CheckFailed, *ASN1_FAULTS):
        return ()
    web = [url for url in urls if url.lower().startswith(("http://", "https://")) and len(url) <= _LONGEST_URL]
    return tuple(dict.fromkeys(web))[:_URLS]


def _extension(certificate: Certificate, oid: str) -> bytes | None:
    extension: Any
    for extension in certificate.asn1["tbs_certificate"]["extensions"]:
        if extension["extn_id"].dotted == oid:
            return bytes(extension["extn_value"].contents)
    return None


def _points(value: bytes, certificate: Certificate) -> list[DistributionPoint]:
    points = der.children(der.expect(der.read_whole(value), der.SEQUENCE, "CRLDistributionPoints"))
    return [_point(der.children(point), certificate) for point in points[:_POINTS]]


def _point(parts: list[der.Element], certificate: Certificate) -> DistributionPoint:
    named = {part.tag: part for part in parts}
    issuers: tuple[bytes, ...] = ()
    known: PointNames = frozenset()
    if _POINT_ISSUER in named:
        generals = der.children(named[_POINT_ISSUER])
        issuers = tuple(general.contents for general in generals[:_NAMES] if general.tag == _DIRECTORY_NAME)
        known = frozenset(name for name in map(directory_name, issuers) if name is not None)
    # A point without a name of its own is known by its issuers' names (6.3.3 b 2 i).
    names = known
    if _POINT_NAME in named:
        relative_to = issuers[0] if issuers else certificate.issuer_der
        names = point_names(der.children(named[_POINT_NAME])[0], relative_to)
    keys = frozenset(key for _kind, key in known)
    if _POINT_ISSUER in named and not keys:
        keys = frozenset({_NOBODY})
    return DistributionPoint(names, keys)


def _general(general: der.Element) -> tuple[str, str] | None:
    if general.tag == _URI:
        return "uri", general.contents.decode("latin-1")
    return directory_name(general.contents) if general.tag == _DIRECTORY_NAME else None
