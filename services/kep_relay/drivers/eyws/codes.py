"""What a refusal means, by a table that operators extend: no list of the service's codes is public (kep.md 2.8)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.kep_relay.drivers.eyws.failures import BusyError, CallError, FaultError, RefusalError, masked
from services.kep_relay.drivers.eyws.wire import Operation
from services.kep_relay.drivers.protocol import (
    Blocked,
    LoginRefusedError,
    OutcomeUnknown,
    PermanentFailure,
    SecondFactorNeededError,
    SubmissionOutcome,
    TemporaryFailure,
)
from shared.errors import DomainError, ErrorCode

BUNDLED = Path(__file__).parent / "codes.json"
_FOLDED = str.maketrans("ıİşŞğĞüÜöÖçÇâÂîÎûÛ", "iissgguuooccaaiiuu")
_LARGEST = 1024 * 1024


class Meaning(StrEnum):
    """What follows from a refusal."""

    TEMPORARY = "temporary"
    """The same may work later."""
    BUSY = "busy"
    """As temporary, and other calls would fare the same."""
    CREDIT = "credit"
    """The account's credit is used up."""
    LOGIN = "login"
    """The account or its passwords are refused: nothing more is tried with it."""
    SECOND_FACTOR = "second_factor"
    """Messages are handed out after a second factor only."""
    PERMANENT = "permanent"
    """This message will never be taken."""
    TOO_LARGE = "too_large"
    NOT_FOUND = "not_found"
    BLOCKED = "blocked"
    """A person must look; so is everything that no rule names."""


class Rule(BaseModel):
    """Fits when every part that is given does. ``text`` is looked for without regard to case and Turkish dots."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    operation: Operation | None = None
    code: str | None = Field(default=None, min_length=1, max_length=50)
    text: str | None = Field(default=None, min_length=3, max_length=200)
    meaning: Meaning

    def fits(self, operation: str, code: str | None, text: str) -> bool:
        """Whether this rule speaks about such a refusal."""
        if self.code is None and self.text is None:
            return False
        return (
            self.operation in {None, operation}
            and self.code in {None, code}
            and (self.text is None or folded(self.text) in folded(text))
        )


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rules: list[Rule] = Field(max_length=2000)


class Codes:
    """Operators' rules first, then the bundled ones; the first that fits counts."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)

    @classmethod
    def load(cls, file: Path | None = None) -> Codes:
        """Raises VALIDATION_FAILED for a file that cannot be used."""
        own = [] if file is None else _read(file)
        return cls([*own, *_read(BUNDLED)])

    def meaning(self, operation: str, code: str | None, text: str) -> Meaning | None:
        """None when no rule speaks about it."""
        return next((rule.meaning for rule in self._rules if rule.fits(operation, code, text)), None)

    def outcome(self, error: RefusalError, secrets: Sequence[str]) -> SubmissionOutcome:
        """Of a submission that was answered with no."""
        words = masked(error.words, secrets)
        match self.meaning(error.operation, error.code, error.text):
            case Meaning.TEMPORARY:
                return TemporaryFailure(ErrorCode.PROVIDER_UNAVAILABLE, words)
            case Meaning.BUSY:
                return TemporaryFailure(ErrorCode.PROVIDER_UNAVAILABLE, words, unreachable=True, account_only=True)
            case Meaning.CREDIT:
                return Blocked(ErrorCode.KEP_CREDIT_EXHAUSTED, words)
            case Meaning.LOGIN:
                return Blocked(ErrorCode.MAILBOX_NOT_READY, f"the login was refused: {words}", stop_account=True)
            case Meaning.SECOND_FACTOR:
                return Blocked(ErrorCode.MAILBOX_NOT_READY, words)
            case Meaning.PERMANENT:
                return PermanentFailure(ErrorCode.PROVIDER_REFUSED, words)
            case Meaning.TOO_LARGE:
                return PermanentFailure(ErrorCode.TOO_LARGE, words)
            case _:
                return Blocked(ErrorCode.PROVIDER_REFUSED, words)

    def error(self, error: RefusalError, secrets: Sequence[str]) -> DomainError:
        """Of a question that was answered with no."""
        words = masked(error.words, secrets)
        match self.meaning(error.operation, error.code, error.text):
            case Meaning.LOGIN:
                return LoginRefusedError(f"the login was refused: {words}")
            case Meaning.SECOND_FACTOR:
                return SecondFactorNeededError(words)
            case Meaning.TEMPORARY | Meaning.BUSY:
                return DomainError(ErrorCode.PROVIDER_UNAVAILABLE, words)
            case Meaning.TOO_LARGE:
                return DomainError(ErrorCode.TOO_LARGE, words)
            case Meaning.NOT_FOUND:
                return DomainError(ErrorCode.NOT_FOUND, words)
            case Meaning.CREDIT:
                return DomainError(ErrorCode.KEP_CREDIT_EXHAUSTED, words)
            case _:
                return DomainError(ErrorCode.PROVIDER_REFUSED, words)


def outcome_of_failure(error: DomainError, *, handed_over: bool) -> SubmissionOutcome:
    """Of a submission without a usable answer; ``handed_over``: the last byte of the request was on its way."""
    if isinstance(error, CallError) and error.certain:
        if error.code is ErrorCode.TOO_LARGE:
            return PermanentFailure(error.code, error.detail)
        if isinstance(error, FaultError) or error.code in {ErrorCode.PROVIDER_REFUSED, ErrorCode.MAILBOX_NOT_READY}:
            return Blocked(error.code, error.detail)
        alone = isinstance(error, BusyError)
        return TemporaryFailure(error.code, error.detail, unreachable=True, account_only=alone)
    if isinstance(error, LoginRefusedError):
        return Blocked(error.code, error.detail, stop_account=True)
    if handed_over:
        detail = f"no usable answer after the whole message: {error.detail}"
        return OutcomeUnknown(ErrorCode.PROVIDER_UNAVAILABLE, detail)
    if error.code is ErrorCode.MAILBOX_NOT_READY:
        return Blocked(error.code, error.detail)
    return TemporaryFailure(error.code, error.detail, unreachable=isinstance(error, CallError))


def folded(text: str) -> str:
    """Lower case without Turkish letters, runs of white space as one: texts come in every spelling."""
    return " ".join(text.translate(_FOLDED).lower().split())


def _read(file: Path) -> list[Rule]:
    try:
        content = file.read_bytes()
        if len(content) > _LARGEST:
            raise DomainError(ErrorCode.VALIDATION_FAILED, f"the file of codes {file.name} is larger than 1 MB")
        return _File.model_validate_json(content).rules
    except (OSError, ValidationError) as error:
        raise DomainError(
            ErrorCode.VALIDATION_FAILED, f"the file of codes {file.name} cannot be used: {error}"
        ) from error
