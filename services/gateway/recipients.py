"""Checks a letter's recipients before it is accepted, so that a wrong number is an answer and not a dead letter."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from shared.clients.directory import DirectoryClient
from shared.contracts.directory import ResolutionRequest, ResolvedAddress, WarningCode
from shared.errors import DomainError, ErrorCode, Fault

log = structlog.get_logger(__name__)

_ABSENT = frozenset(
    {ErrorCode.DIRECTORY_UNAVAILABLE, ErrorCode.SERVICE_UNAVAILABLE, ErrorCode.DURABILITY_UNAVAILABLE,
     ErrorCode.DIRECTORY_REFUSED}
)  # fmt: skip
"""The directory cannot say: the letter is accepted and kep_relay waits for the directory, visibly."""

_TEXTS = {
    "recipient-unknown": "DETSİS has no unit with this number",
    "recipient-inactive": "the unit is not active, or not open to outside correspondence",
    "recipient-kep-missing": "the unit has no KEP address",
    "recipient-kep-inactive": "the unit's KEP address is not active",
}


async def check_recipients(
    directory: DirectoryClient, *, sender_no: int, recipient_nos: Sequence[int], eyp_version: str | None = None
) -> dict[int, str]:
    """Raise the recipient-… problem of the recipients that cannot be written to by KEP.

    The mirror spares DETSİS most questions; before anyone is refused DETSİS itself is asked, because
    the mirror may be a day old or empty. The answer names, with a sentence, the recipients that by the directory
    cannot read a package of ``eyp_version``; nobody when the directory cannot be reached or does not know.
    """
    refused = list(recipient_nos)
    problems: list[ResolvedAddress] = []
    behind: dict[int, str] = {}
    for mode in ("mirror", "live"):
        request = ResolutionRequest.model_validate(
            {"sender_no": sender_no, "recipient_nos": refused, "mode": mode, "eyp_version": eyp_version}
        )
        try:
            answer = await directory.resolve(request)
        except DomainError as error:
            if error.code not in _ABSENT:
                raise
            log.info("recipients_not_checked", because=error.code, mode=mode)
            if mode == "live":
                return behind
            continue
        behind |= {
            item.detsis_no: warning.detail
            for item in answer.recipients
            for warning in item.warnings
            if warning.code is WarningCode.EYP_VERSION_LOWER
        }
        problems = [item for item in answer.recipients if item.problem is not None]
        refused = [item.detsis_no for item in problems]
        if not refused:
            return behind
    faults = [
        Fault(f"/message/recipients/{recipient_nos.index(item.detsis_no)}/detsis_no", _TEXTS[item.problem])
        for item in problems
        if item.problem is not None
    ]
    first = problems[0].problem
    assert first is not None
    raise DomainError(ErrorCode(first.value), _TEXTS[first], faults=faults)
