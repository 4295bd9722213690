"""Where an answer, or one value of it, comes from."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from shared.contracts.base import Contract


class AnswerSource(StrEnum):
    """``live``: DETSİS was asked for this; ``stored``: what DETSİS last said to such a question; ``mirror``: the nightly copy."""

    LIVE = "live"
    STORED = "stored"
    MIRROR = "mirror"


class Origin(StrEnum):
    """Where one value of a letter's data comes from. ``built``: made here from other values, by a rule."""

    LIVE = "live"
    MIRROR = "mirror"
    CONTACTS = "contacts"
    BUILT = "built"


class ItemSource(Contract):
    """Why one value is believed."""

    origin: Origin
    operation: str | None = None
    """The question put to DETSİS, by the name ``services/detsis_sync/soap/wire/operations.py`` gives it."""
    as_of: datetime | None = None
    """When DETSİS said so; of the mirror: completion of the refresh. None before the first."""
    stale: bool = False
    rule: str
    """Stable id of the rule that chose or made the value: docs/flows.md lists them."""


class WarningCode(StrEnum):
    """What a person may have to know although an answer can be used. The list is closed.

    - `mirror-stale`: the nightly copy is older than `KEPGW_DETSIS_SYNC_STALE_AFTER_HOURS`.
    - `unit-half-open`: active but not operating, or the reverse: about to open, or about to close.
    - `unit-absent`: no list of DETSİS names the unit any more.
    - `several-addresses`: more than one KEP address of the unit is active.
    - `address-being-replaced`: beside the active KEP address another one is listed, which is not active (yet).
    - `address-differs-from-mirror`: DETSİS named another KEP address than the nightly copy has.
    - `address-unusable`: what DETSİS gave as KEP address is none.
    - `several-owners`: DETSİS lists one KEP address as active for several units.
    - `owner-unknown`: a KEP address is listed for a unit that the nightly copy does not know.
    - `left-out`: DETSİS did not name a recipient it was asked about.
    - `repeated`: DETSİS named a recipient more than once, with the same values.
    - `contradicting`: DETSİS named a recipient more than once with different values; what differs is not used.
    - `foreign-recipients`: DETSİS named units nobody asked about; nothing of these is used.
    - `addressee-not-inflected`: nobody said how the name becomes an addressee line: it stands there as it is.
    - `eyp-version-lower`: the recipient takes only lower versions of the package than the letter has.
    - `eyp-version-unknown`: which versions of the package the recipient takes is not known.
    - `no-encryption-certificate`: the letter is to be encrypted, and no usable certificate is known for the
      recipient.
    - `certificate-expires-soon`: the certificate to encrypt with ends within
      `KEPGW_DETSIS_SYNC_CERTIFICATE_WARNING_DAYS`.
    - `certificate-expired`: the certificate DETSİS gave for the letter ran out.
    - `certificate-not-yet-valid`: the certificate DETSİS gave for the letter is not valid yet.
    - `certificate-unusable`: what DETSİS gave as certificate is none, or contradicts itself.
    - `certificate-only-in-mirror`: DETSİS gave none for the letter; the nightly copy has one.
    - `certificate-not-established`: no certificate passed all checks; the chosen one is the best of those whose
      checks are open.
    - `certificate-not-checked`: signer did not answer: chain and revocation were not looked at.
    """

    MIRROR_STALE = "mirror-stale"
    UNIT_HALF_OPEN = "unit-half-open"
    UNIT_ABSENT = "unit-absent"
    SEVERAL_ADDRESSES = "several-addresses"
    ADDRESS_BEING_REPLACED = "address-being-replaced"
    ADDRESS_DIFFERS_FROM_MIRROR = "address-differs-from-mirror"
    ADDRESS_UNUSABLE = "address-unusable"
    SEVERAL_OWNERS = "several-owners"
    OWNER_UNKNOWN = "owner-unknown"
    LEFT_OUT = "left-out"
    REPEATED = "repeated"
    CONTRADICTING = "contradicting"
    FOREIGN_RECIPIENTS = "foreign-recipients"
    ADDRESSEE_NOT_INFLECTED = "addressee-not-inflected"
    EYP_VERSION_LOWER = "eyp-version-lower"
    EYP_VERSION_UNKNOWN = "eyp-version-unknown"
    NO_ENCRYPTION_CERTIFICATE = "no-encryption-certificate"
    CERTIFICATE_EXPIRES_SOON = "certificate-expires-soon"
    CERTIFICATE_EXPIRED = "certificate-expired"
    CERTIFICATE_NOT_YET_VALID = "certificate-not-yet-valid"
    CERTIFICATE_UNUSABLE = "certificate-unusable"
    CERTIFICATE_ONLY_IN_MIRROR = "certificate-only-in-mirror"
    CERTIFICATE_NOT_ESTABLISHED = "certificate-not-established"
    CERTIFICATE_NOT_CHECKED = "certificate-not-checked"


class DirectoryWarning(Contract):
    """Something a person should know although the answer can be used."""

    code: WarningCode
    detail: str
    """One sentence in English."""
