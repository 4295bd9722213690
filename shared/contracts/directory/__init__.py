"""What detsis_sync is asked and what it answers."""

from __future__ import annotations

from shared.contracts.directory.accounts import RegisterAccount
from shared.contracts.directory.correspondence import (
    AddresseeLine,
    CertificateHolder,
    ClosingKind,
    ClosingPhrase,
    ContactLine,
    ContactLines,
    CorrespondenceData,
    CorrespondenceRequest,
    DistributionLine,
    DistributionList,
    EncryptionCertificate,
    Letterhead,
    LetterKepAddress,
    LetterRecipient,
    LetterSenderContact,
    LetterSignatory,
    MissingItem,
    MissingReason,
    NumberUnit,
    Signatories,
    SourcedText,
)
from shared.contracts.directory.freshness import Freshness
from shared.contracts.directory.resolution import (
    AddressSource,
    ResolutionAnswer,
    ResolutionLevel,
    ResolutionProblem,
    ResolutionRequest,
    ResolvedAddress,
)
from shared.contracts.directory.runs import DirectoryCount, DirectoryStatus, RefreshRun
from shared.contracts.directory.sources import AnswerSource, DirectoryWarning, ItemSource, Origin, WarningCode
from shared.contracts.directory.units import Unit, UnitAnswer, UnitKepAddress, UnitPage

__all__ = [
    "AddressSource",
    "AddresseeLine",
    "AnswerSource",
    "CertificateHolder",
    "ClosingKind",
    "ClosingPhrase",
    "ContactLine",
    "ContactLines",
    "CorrespondenceData",
    "CorrespondenceRequest",
    "DirectoryCount",
    "DirectoryStatus",
    "DirectoryWarning",
    "DistributionLine",
    "DistributionList",
    "EncryptionCertificate",
    "Freshness",
    "ItemSource",
    "LetterKepAddress",
    "LetterRecipient",
    "LetterSenderContact",
    "LetterSignatory",
    "Letterhead",
    "MissingItem",
    "MissingReason",
    "NumberUnit",
    "Origin",
    "RefreshRun",
    "RegisterAccount",
    "ResolutionAnswer",
    "ResolutionLevel",
    "ResolutionProblem",
    "ResolutionRequest",
    "ResolvedAddress",
    "Signatories",
    "SourcedText",
    "Unit",
    "UnitAnswer",
    "UnitKepAddress",
    "UnitPage",
    "WarningCode",
]
