"""What came out of judging one letter, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from services.kep_relay.inbound.addressees import ADDRESSED_ELSEWHERE, SENDER_MISMATCH, suspicion_in
from services.kep_relay.inbound.consumer_rules import Addressing
from services.kep_relay.inbound.letter import PACKAGE_ENCRYPTED
from services.kep_relay.inbound.package import OpenedPackage
from services.kep_relay.inbound.packages import KEY_MAY_COME, closed_conclusion
from services.kep_relay.inbound.scanning import WITHHELD
from services.kep_relay.reverifying import maturity_of, says_the_same
from services.kep_relay.tables import InboundMessageRow
from shared.contracts.envelopes import PackageOpening
from shared.contracts.inbound import ComponentVerification, InboundVerification, PackageFinding
from shared.contracts.signatures import Maturity
from shared.domain.verdict import Conclusion, Indication, worst

SIGNER_AWAY = "signer-unavailable"
PACKAGE_INVALID = "package-invalid"
SIGNATURE_FAILED = "signature-failed"
ENVELOPE = "envelope"
SENDER_SIGNATURE = "sender-signature"
REQUIRED = frozenset({ENVELOPE, SENDER_SIGNATURE})
_ENCRYPTED = "encrypted-"


@dataclass(frozen=True)
class Judged:
    """Everything found out about one letter in one run."""

    verification: InboundVerification
    package: OpenedPackage | None
    """The package, if there is exactly one."""
    security_code: str | None = None
    opening: PackageOpening | None = None
    """The worst one, of a letter with several packages."""
    from_administration: bool | None = None
    """Whether a public body wrote at least one of the packages; None when none was looked into."""
    addressing: Addressing | None = None

    def reason_code(self, current: str | None) -> str | None:
        """Why a person should look, most tangible first; None when nothing speaks against the letter.

        What is withheld stays so whatever the verdict: only a person releases it.
        """
        if current in WITHHELD:
            return current
        if self.package is not None and self.opening not in {None, PackageOpening.OPENED}:
            return f"{_ENCRYPTED}{self.opening}"
        if self.package is not None and not self.package.acceptable:
            return PACKAGE_INVALID
        suspicion = suspicion_in(self.verification.findings)
        provisional = {
            None, SIGNER_AWAY, SIGNATURE_FAILED, PACKAGE_INVALID, PACKAGE_ENCRYPTED, SENDER_MISMATCH, ADDRESSED_ELSEWHERE
        }  # fmt: skip
        if current not in provisional and not (current or "").startswith(_ENCRYPTED):
            return current
        if suspicion == SENDER_MISMATCH or self.verification.conclusion is not Conclusion.FAILED:
            return suspicion
        return SIGNATURE_FAILED

    def but(self, findings: list[PackageFinding]) -> Judged:
        """The same with more findings, before those of the package; the conclusion is about signatures and stays."""
        found = [*findings, *self.verification.findings]
        return replace(self, verification=self.verification.model_copy(update={"findings": found}))

    @property
    def maturity(self) -> Maturity:
        """Preliminary while one of the signatures is."""
        return maturity_of(self.verification.conclusion, [item.report for item in self.verification.components])

    def still_closed(self, row: InboundMessageRow) -> bool:
        """Whether another try to open it ended as the one before: nobody gains by the same verdict every hour."""
        return (
            row.verifications > 0
            and self.opening in KEY_MAY_COME
            and row.opening == self.opening
            and row.conclusion == self.verification.conclusion.value
        )

    def repeats(self, before: InboundVerification | None) -> bool:
        """Whether it is open for the same reasons as the one on record."""
        if before is None or not before.conclusion == self.verification.conclusion == Conclusion.INDETERMINATE:
            return False
        return (
            before.findings == self.verification.findings
            and [item.component for item in before.components]
            == [item.component for item in self.verification.components]
            and all(
                says_the_same(old.report, new.report)
                for old, new in zip(before.components, self.verification.components, strict=True)
            )
        )


def confined(verification: InboundVerification) -> InboundVerification:
    """What may be told of a sealed letter: the signatures of the mail, and nothing of what it carries."""
    outside = [item for item in verification.components if item.component in REQUIRED]
    return verification.model_copy(
        update={"components": outside, "findings": [], "conclusion": conclude(outside, None)}
    )


def conclude(components: list[ComponentVerification], package: OpenedPackage | None) -> Conclusion:
    """The letter's conclusion: the worst of all.

    A KEP message must be signed by the provider and by the sender, so a missing signature of either
    is a failure; so is a package with a fatal finding, or an envelope that no key will ever open.
    """
    conclusions = [
        Conclusion.FAILED
        if item.component in REQUIRED and item.report.indication is Indication.NO_SIGNATURE_FOUND
        else item.report.conclusion
        for item in components
    ]
    if package is not None and not package.acceptable:
        conclusions.append(Conclusion.FAILED)
    if package is not None:
        conclusions.append(closed_conclusion(package.opening))
    return worst(conclusions)
