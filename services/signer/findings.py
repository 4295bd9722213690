"""The numbered steps of a verification, what a step found, and the one exception that checks raise.

The numbers are those of ``pipeline.py`` and of the report; they never change their meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from shared.contracts.signatures import Text, VerificationStep
from shared.domain.verdict import Indication, StepResult, SubIndication


class Step(Enum):
    """Number and stable id of each step."""

    FORMAT = (1, "format")
    CONTENT = (2, "signed-content")
    ATTRIBUTES = (3, "signed-attributes")
    CERTIFICATE = (4, "signing-certificate")
    DIGEST = (5, "message-digest")
    SIGNATURE = (6, "signature-value")
    TIME = (7, "time")
    ALGORITHMS = (8, "algorithms")
    PATH = (9, "certificate-path")
    REVOCATION = (10, "revocation")
    RULES = (11, "profile-rules")

    @property
    def number(self) -> int:
        """Position in the pipeline, from 1."""
        return self.value[0]

    @property
    def id(self) -> str:
        """Stable name for programs."""
        return self.value[1]


TOTAL_FAILURES = frozenset(
    {
        SubIndication.FORMAT_FAILURE,
        SubIndication.HASH_FAILURE,
        SubIndication.SIG_CRYPTO_FAILURE,
        SubIndication.REVOKED,
        SubIndication.EXPIRED,
        SubIndication.NOT_YET_VALID,
    }
)
"""Sub-indications of TOTAL_FAILED; all others belong to INDETERMINATE (EN 319 102-1, tables 5 and 6)."""


class CheckFailed(Exception):  # noqa: N818 - reads as what happened; it is a verdict, not a fault of ours
    """A check that did not hold: why in the standard's words and in a sentence."""

    def __init__(self, sub_indication: SubIndication, text: Text, *, retry_after_seconds: int | None = None) -> None:
        super().__init__(f"{sub_indication}: {text.en}")
        self.sub_indication = sub_indication
        self.text = text
        self.retry_after_seconds = retry_after_seconds

    def to_keep(self) -> CheckFailed:
        """The same without the frames it passed through: they hold the bytes of the file."""
        return CheckFailed(self.sub_indication, self.text, retry_after_seconds=self.retry_after_seconds)


@dataclass(frozen=True)
class Finding:
    """What one step (or one rule of a step) found."""

    step: Step
    result: StepResult
    text: Text
    sub_indication: SubIndication | None = None
    rule: str | None = None
    retry_after_seconds: int | None = None

    @property
    def conclusive(self) -> bool:
        """Whether this finding keeps the signature from passing."""
        return self.result in (StepResult.FAILED, StepResult.INDETERMINATE)

    def as_step(self) -> VerificationStep:
        """The contract's form; a rule's id is ``<step>.<rule>``."""
        step_id = f"{self.step.id}.{self.rule}" if self.rule else self.step.id
        return VerificationStep(number=self.step.number, id=step_id, result=self.result, text=self.text)


def passed(step: Step, text: Text, *, rule: str | None = None) -> Finding:
    """The step holds."""
    return Finding(step, StepResult.PASSED, text, rule=rule)


def warned(step: Step, text: Text, *, rule: str | None = None) -> Finding:
    """The step holds, but a person should know something."""
    return Finding(step, StepResult.WARNING, text, rule=rule)


def skipped(step: Step, text: Text) -> Finding:
    """The step was not taken, and why."""
    return Finding(step, StepResult.SKIPPED, text)


def failed(step: Step, failure: CheckFailed, *, rule: str | None = None) -> Finding:
    """The step does not hold; whether that is final depends on the sub-indication."""
    final = failure.sub_indication in TOTAL_FAILURES
    return Finding(
        step,
        StepResult.FAILED if final else StepResult.INDETERMINATE,
        failure.text,
        failure.sub_indication,
        rule,
        failure.retry_after_seconds,
    )


def indication(findings: list[Finding]) -> tuple[Indication, SubIndication | None]:
    """Main and sub-indication of one signature: a final failure first, then what is open, in step order."""
    for wanted, main in (
        (StepResult.FAILED, Indication.TOTAL_FAILED),
        (StepResult.INDETERMINATE, Indication.INDETERMINATE),
    ):
        for finding in findings:
            if finding.result == wanted:
                return main, finding.sub_indication
    return Indication.TOTAL_PASSED, None
