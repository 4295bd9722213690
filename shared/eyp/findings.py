"""Rules, what was found against them, and the profiles that weigh the findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

_LONGEST_VALUE = 80
_PER_RULE_AND_PART = 20
_PER_RULE = 200
"""Parts are named by the package, and may be very many."""
_REPETITIONS_PER_CHECK = 5_000


class Severity(StrEnum):
    """``FATAL``: not acceptable. ``IMPORTANT``: a person should look. ``WARNING``: tolerated."""

    FATAL = "fatal"
    IMPORTANT = "important"
    WARNING = "warning"


@dataclass(frozen=True)
class Rule:
    """One way to break one rule.

    ``key`` is unique and stable (``R.27.term-invalid``); its first two pieces are the rule's id.
    ``tr`` and ``en`` may contain ``{value}``. ``code`` is the official library's result code and
    ``guide`` the rule's number in the e-Yazışma guide, where they are known.
    """

    key: str
    severity: Severity
    tr: str
    en: str
    code: int | None = None
    guide: str | None = None

    @property
    def id(self) -> str:
        """The rule's id, for example ``R.27``."""
        return ".".join(self.key.split(".")[:2])

    def found(
        self, part: str | None = None, value: object = "", code: int | None = None, *, coded: bool = True
    ) -> Finding:
        """A finding against this rule; ``value`` is shown shortened, ``code`` replaces the rule's own.

        ``coded=False``: no code at all, for a variant the official library has none for.
        """
        shown = _shown(value)
        return Finding(
            rule=self.id,
            key=self.key,
            severity=self.severity,
            part=_shown(part, 200) if part else None,
            message_tr=self.tr.replace("{value}", shown),
            message_en=self.en.replace("{value}", shown),
            code=(self.code if code is None else code) if coded else None,
            guide=self.guide,
        )


@dataclass(frozen=True)
class Finding:
    """Something a package does against a rule, with sentences for people in both languages."""

    rule: str
    key: str
    severity: Severity
    part: str | None
    message_tr: str
    message_en: str
    code: int | None = None
    guide: str | None = None


@dataclass(frozen=True)
class Profile:
    """How strictly findings weigh: severities that differ from the rules' own, by rule id or key."""

    name: str
    severities: Mapping[str, Severity] = field(default_factory=dict)

    def weigh(self, finding: Finding) -> Finding:
        """The finding with the severity this profile gives it; a key goes before an id."""
        severity = self.severities.get(finding.key, self.severities.get(finding.rule, finding.severity))
        return replace(finding, severity=severity)


TOO_MANY = Rule(
    "R.21.too-many",
    Severity.FATAL,
    "Aynı türden çok fazla hata var; inceleme yarıda kesildi.",
    "There are too many faults of one kind; the check was cut short.",
)
STRICT = Profile("strict")
"""Every rule with its own weight: what we ask of packages we write."""

INTEROP = Profile(
    "interop",
    {
        "R.6": Severity.WARNING,
        "R.18.created-missing": Severity.IMPORTANT,
        "R.18.creator-missing": Severity.IMPORTANT,
        "R.18.subject-differs": Severity.IMPORTANT,
        "R.21.attribute": Severity.IMPORTANT,
        "R.21.empty": Severity.IMPORTANT,
        "R.21.namespace": Severity.IMPORTANT,
        "R.21.unexpected": Severity.IMPORTANT,
        "R.22.lower-case": Severity.WARNING,
        "R.27.term-invalid": Severity.WARNING,
        "R.28.empty": Severity.WARNING,
        "R.31.scheme-missing": Severity.IMPORTANT,
        "R.33": Severity.IMPORTANT,
        "R.37.empty": Severity.IMPORTANT,
        "R.38": Severity.IMPORTANT,
        "R.39": Severity.IMPORTANT,
        "R.54.unproven": Severity.IMPORTANT,
        "R.57.label-not-unique": Severity.IMPORTANT,
        "R.73": Severity.WARNING,
        "R.80.clear": Severity.IMPORTANT,
        "R.81.clear": Severity.IMPORTANT,
    },
)
"""For packages other software wrote: departures that change neither content nor proof do not block."""


class FindingList:
    """Collects findings; beyond twenty of one kind in one part, or two hundred of one kind, it only counts."""

    def __init__(self) -> None:
        self._findings: list[Finding] = []
        self._seen: Counter[tuple[str, str | None]] = Counter()
        self._kept: Counter[str] = Counter()
        self.suppressed = 0

    def add(self, *findings: Finding) -> None:
        """Take findings in the order they are met."""
        self.take(findings)

    def take(self, findings: Iterable[Finding]) -> None:
        """Take what a check yields, until it has yielded more repetitions than any honest package has.

        The check is then cut short, and because it might have gone on to find worse, that is fatal.
        """
        repeated = 0
        for finding in findings:
            place = (finding.key, finding.part)
            self._seen[place] += 1
            if self._seen[place] <= _PER_RULE_AND_PART and self._kept[finding.key] < _PER_RULE:
                self._kept[finding.key] += 1
                self._findings.append(finding)
                continue
            self.suppressed += 1
            repeated += 1
            if repeated >= _REPETITIONS_PER_CHECK:
                self._findings.append(TOO_MANY.found(finding.part))
                return

    def weighed(self, profile: Profile) -> tuple[Finding, ...]:
        """All findings under a profile, worst first, otherwise in the order met."""
        return worst_first(map(profile.weigh, self._findings))


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings by severity, otherwise in their order."""
    order = list(Severity)
    return tuple(sorted(findings, key=lambda finding: order.index(finding.severity)))


def _shown(value: object, longest: int = _LONGEST_VALUE) -> str:
    text = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in str(value))
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
