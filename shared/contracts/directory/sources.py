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
    """What a person may have to know although an answer can be used. The list is closed."""

    MIRROR_STALE = "mirror-stale"
    """The nightly copy is older than ``KEPGW_DETSIS_SYNC_STALE_AFTER_HOURS``."""
    UNIT_HALF_OPEN = "unit-half-open"
    """Active but not operating, or the reverse: about to open, or about to close."""
    UNIT_ABSENT = "unit-absent"
    """No list of DETSİS names the unit any more."""
    SEVERAL_ADDRESSES = "several-addresses"
    """More than one KEP address of the unit is active."""
    ADDRESS_BEING_REPLACED = "address-being-replaced"
    """Beside the active KEP address another one is listed, which is not active (yet)."""
    ADDRESS_DIFFERS_FROM_MIRROR = "address-differs-from-mirror"
    """DETSİS named another KEP address than the nightly copy has."""
    ADDRESS_UNUSABLE = "address-unusable"
    """What DETSİS gave as KEP address is none."""
    SEVERAL_OWNERS = "several-owners"
    """DETSİS lists one KEP address as active for several units."""
    OWNER_UNKNOWN = "owner-unknown"
    """A KEP address is listed for a unit that the nightly copy does not know."""
    LEFT_OUT = "left-out"
    """DETSİS did not name a recipient it was asked about."""
    REPEATED = "repeated"
    """DETSİS named a recipient more than once, with the same values."""
    CONTRADICTING = "contradicting"
    """DETSİS named a recipient more than once with different values; what differs is not used."""
    FOREIGN_RECIPIENTS = "foreign-recipients"
    """DETSİS named units nobody asked about; nothing of these is used."""
    ADDRESSEE_NOT_INFLECTED = "addressee-not-inflected"
    """Nobody said how the name becomes an addressee line: it stands there as it is."""
    EYP_VERSION_LOWER = "eyp-version-lower"
    """The recipient takes only lower versions of the package than the letter has."""
    EYP_VERSION_UNKNOWN = "eyp-version-unknown"
    """Which versions of the package the recipient takes is not known."""
    NO_ENCRYPTION_CERTIFICATE = "no-encryption-certificate"
    """The letter is to be encrypted, and no usable certificate is known for the recipient."""
    CERTIFICATE_EXPIRES_SOON = "certificate-expires-soon"
    CERTIFICATE_EXPIRED = "certificate-expired"
    CERTIFICATE_NOT_YET_VALID = "certificate-not-yet-valid"
    CERTIFICATE_UNUSABLE = "certificate-unusable"
    """What DETSİS gave as certificate is none, or contradicts itself."""
    CERTIFICATE_ONLY_IN_MIRROR = "certificate-only-in-mirror"
    """DETSİS gave none for the letter; the nightly copy has one."""
    CERTIFICATE_NOT_ESTABLISHED = "certificate-not-established"
    """No certificate passed all checks; the chosen one is the best of those whose checks are open."""
    CERTIFICATE_NOT_CHECKED = "certificate-not-checked"
    """signer did not answer: chain and revocation were not looked at."""


class DirectoryWarning(Contract):
    """Something a person should know although the answer can be used."""

    code: WarningCode
    detail: str
    """One sentence in English."""
