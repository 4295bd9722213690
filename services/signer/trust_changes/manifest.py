"""What a version of the store says: its anchors, what each is for, and where it comes from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from services.signer.certificates import Certificate
from services.signer.trust import ANCHOR_PURPOSES, INTERMEDIATES, TrustStore, make_store
from services.signer.trust_changes.documents import digest_of

ANCHORS = 2000
"""Certificates in one store."""
PURPOSES = (*ANCHOR_PURPOSES, INTERMEDIATES)


def _to_the_second(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC).replace(microsecond=0)
    except OverflowError as error:
        raise ValueError("no moment of the years 1 to 9999 in UTC") from error


def _known_purposes(purposes: tuple[str, ...]) -> tuple[str, ...]:
    unknown = [purpose for purpose in purposes if purpose not in PURPOSES]
    if unknown:
        raise ValueError(f"no such purpose: {unknown[0]}; there are {', '.join(PURPOSES)}")
    if INTERMEDIATES in purposes and len(purposes) > 1:
        raise ValueError(f"{INTERMEDIATES} are trusted for nothing, so they have no other purpose")
    return tuple(sorted(set(purposes)))


Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Moment = Annotated[AwareDatetime, AfterValidator(_to_the_second)]
Words = Annotated[str, Field(max_length=500)]
Name = Annotated[str, Field(min_length=1, max_length=100)]
Purposes = Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_known_purposes)]


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Entry(_Document):
    """One certificate of the store."""

    sha256: Sha256
    purposes: Purposes
    """Of ``ANCHOR_PURPOSES``, or ``intermediates`` alone."""
    subject: Words
    issuer: Words
    not_before: AwareDatetime
    not_after: AwareDatetime
    valid_for_signatures_until: Moment | None = None
    """After this the anchor counts only for signatures proven to have existed before."""
    source: Words = ""
    """Where the certificate was taken from, as the proposer said."""
    comment: Words = ""
    added_by: Name
    """Who proposed it, as he called himself."""
    since_version: int = Field(ge=1)
    approved_by: tuple[Name, ...] = ()
    """Whose signatures brought it in; empty in the version that did, which carries the signatures itself."""

    @staticmethod
    def told_by(certificate: Certificate) -> dict[str, Any]:
        """The fields that a certificate fills itself."""
        return {
            "sha256": certificate.sha256,
            "subject": certificate.subject_name[:500],
            "issuer": certificate.issuer_name[:500],
            "not_before": certificate.not_before,
            "not_after": certificate.not_after,
        }


class Manifest(_Document):
    """One version; ``previous_sha256`` is the digest of the manifest before, None in the first."""

    format: Literal[1] = 1
    version: int = Field(ge=1, le=999_999)
    previous_sha256: Sha256 | None
    created: Moment
    comment: Words = ""
    anchors: tuple[Entry, ...] = Field(max_length=ANCHORS)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.version == 1) != (self.previous_sha256 is None):
            raise ValueError("every version but the first names the one before")
        digests = [entry.sha256 for entry in self.anchors]
        if digests != sorted(set(digests)):
            raise ValueError("anchors are not in order, or one is there twice")
        return self

    def by_sha256(self) -> dict[str, Entry]:
        """The entries by fingerprint."""
        return {entry.sha256: entry for entry in self.anchors}


class OfficerSignature(_Document):
    """What one officer's key made of a manifest (``officers.signed_bytes``)."""

    key_sha256: Sha256
    """Of the public key (SubjectPublicKeyInfo)."""
    signature: str = Field(max_length=2000)
    """Base64."""


class Version(_Document):
    """A manifest as it was signed, and the signatures: what a file of ``versions/`` holds."""

    manifest: dict[str, Any]
    signatures: tuple[OfficerSignature, ...] = Field(max_length=64)

    @property
    def sha256(self) -> str:
        """Names the manifest; the signatures are no part of it."""
        return digest_of(self.manifest)


def store_of(manifest: Manifest, certificates: dict[str, Certificate]) -> TrustStore:
    """The anchors as verification uses them; ``certificates`` has every one of the manifest, by fingerprint."""
    anchors: dict[str, tuple[Certificate, ...]] = {
        purpose: tuple(certificates[entry.sha256] for entry in manifest.anchors if purpose in entry.purposes)
        for purpose in PURPOSES
    }
    intermediates = anchors.pop(INTERMEDIATES)
    # Institutions get both certificates from the same authority, as in the plain directory.
    anchors["encryption"] = anchors["encryption"] or anchors["seal"]
    ends = {
        entry.sha256: entry.valid_for_signatures_until
        for entry in manifest.anchors
        if entry.valid_for_signatures_until is not None
    }
    return make_store(anchors, intermediates, ends)
