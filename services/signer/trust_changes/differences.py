"""What a proposal would change, for the officer who reads it aloud and compares it with the issuer's publication."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.signer.certificates import Certificate
from services.signer.trust import INTERMEDIATES
from services.signer.trust_changes.manifest import Entry, Manifest
from services.signer.trust_changes.scrutiny import Warning_, describe_key, scrutinise

_GROUP = 4


@dataclass(frozen=True)
class Difference:
    """One certificate whose standing would change."""

    kind: str
    """``add``, ``remove``, ``purposes``, ``end`` or ``purposes-and-end``."""
    certificate: Certificate
    before: Entry | None
    after: Entry | None
    warnings: tuple[Warning_, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def gains_trust(self) -> bool:
        """Whether anything will be believed that was not: then its fingerprint has to be compared."""
        if self.after is None or self.after.purposes == (INTERMEDIATES,):
            return False
        if self.before is None:
            return True
        wider = not set(self.after.purposes) <= set(self.before.purposes)
        return wider or self._later_end()

    def _later_end(self) -> bool:
        assert self.before is not None
        assert self.after is not None
        old, new = self.before.valid_for_signatures_until, self.after.valid_for_signatures_until
        return old is not None and (new is None or new > old)

    def as_json(self) -> dict[str, Any]:
        """For people and programs; what is said of the certificate is read from the certificate itself."""
        certificate, entry = self.certificate, self.after or self.before
        assert entry is not None
        return {
            "change": self.kind,
            "subject": certificate.subject_name[:500],
            "issuer": certificate.issuer_name[:500],
            "not_before": certificate.not_before.isoformat(),
            "not_after": certificate.not_after.isoformat(),
            "key": describe_key(certificate),
            "sha256": certificate.sha256,
            "fingerprint": in_groups(certificate.sha256),
            "purposes": [] if self.after is None else list(self.after.purposes),
            "purposes_before": [] if self.before is None else list(self.before.purposes),
            "valid_for_signatures_until": _end(self.after),
            "valid_for_signatures_until_before": _end(self.before),
            "source": entry.source,
            "comment": entry.comment,
            "notes": list(self.notes),
            "warnings": [{"code": item.code, "text": item.text} for item in self.warnings],
            "compare_fingerprint": self.gains_trust,
        }


def differences(
    before: Manifest | None,
    after: Manifest,
    certificates: Mapping[str, Certificate],
    moment: datetime,
    *,
    notes: Mapping[str, tuple[str, ...]] | None = None,
) -> tuple[Difference, ...]:
    """Every certificate whose purposes or end differ, what is new first.

    Args:
        before: the set in use; None when nothing is, or when what is there is not signed by enough persons, so
            that nothing in it is taken for granted.
        after: the set proposed.
        certificates: all of both sets by fingerprint.
        moment: the time of judgement for the warnings (aware).
        notes: what was seen where certificates came from, by fingerprint.
    """
    old = {} if before is None else before.by_sha256()
    new = after.by_sha256()
    # Beside each new one lie those that stay and the others that are new.
    beside = [certificates[sha256] for sha256 in sorted({*old, *new})]
    found = []
    for sha256 in sorted({*old, *new}):
        one, other, certificate = old.get(sha256), new.get(sha256), certificates[sha256]
        kind = _kind(one, other)
        if kind is None:
            continue
        warnings: tuple[Warning_, ...] = ()
        if other is not None:
            present = [item for item in beside if item != certificate]
            warnings = (*scrutinise(certificate, other.purposes, present, moment), *_again(one, other))
        found.append(Difference(kind, certificate, one, other, warnings, (notes or {}).get(sha256, ())))
    return tuple(sorted(found, key=lambda item: (item.kind != "add", item.certificate.subject_name)))


def in_groups(sha256: str) -> str:
    """A fingerprint as it is read aloud: capital letters in groups of four."""
    text = sha256.upper()
    return " ".join(text[index : index + _GROUP] for index in range(0, len(text), _GROUP))


def from_groups(text: str) -> str:
    """What somebody typed or pasted, as a fingerprint: without spaces and colons, in small letters."""
    return "".join(letter for letter in text if letter not in " :\t\r\n-").lower()


def _kind(before: Entry | None, after: Entry | None) -> str | None:
    if before is None or after is None:
        return "remove" if after is None else "add"
    purposes = before.purposes != after.purposes
    end = before.valid_for_signatures_until != after.valid_for_signatures_until
    if purposes and end:
        return "purposes-and-end"
    return "purposes" if purposes else "end" if end else None


def _again(before: Entry | None, after: Entry) -> tuple[Warning_, ...]:
    if before is None:
        return ()
    was_anchor = before.purposes != (INTERMEDIATES,)
    return (
        Warning_("already-there", f"is in the store for {', '.join(before.purposes)}"),
        *(
            (Warning_("becomes-anchor", "was an intermediate, and would be trusted"),)
            if not was_anchor and after.purposes != before.purposes
            else ()
        ),
    )


def _end(entry: Entry | None) -> str | None:
    if entry is None or entry.valid_for_signatures_until is None:
        return None
    return entry.valid_for_signatures_until.isoformat()
