"""For every rule of every profile: a file that keeps them all, and one that breaks this rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta

from cryptography import x509
from cryptography.x509.oid import ObjectIdentifier

from shared.contracts.signatures import Profile
from tests.support.pki import NES_USAGE, SEAL_USAGE, Holder, Pki, usage
from tests.unit.signer import levels
from tests.unit.signer.levels import SIGNED_AT, File
from tests.unit.signer.signing import Attributes, sign, signed_data, signer_info, signing_certificate, timestamp
from tests.unit.signer.test_ocsp import NO_CHECK, OCSP_SIGNING, basic, respond, responder
from tests.unit.signer.test_usage_profiles import P2, P3, P4, with_policy

CONTENT = b"<NihaiOzet/>" * 8
POLICIES = {Profile.P2: P2, Profile.P3: P3, Profile.P4: P4}
_LONG_TERM = frozenset({Profile.P3, Profile.P4})


@dataclass(frozen=True)
class Recipe:
    """What goes into a file for one profile; each field is what one rule looks at."""

    profile: Profile
    holder: Holder
    bound: bool = True
    timed: bool = True
    reference_digest: str = "sha256"
    policy: str | None = None
    signers: int = 1
    stamped: bytes | None = b""
    """None: no time-stamp; otherwise what it is about instead of the signature."""
    delay: timedelta = timedelta(minutes=1)
    by_ocsp: bool = False
    left_out: tuple[str, ...] = ()
    extended_stamp: bool = False
    also: tuple[Callable[[Attributes], Attributes], ...] = field(default=())


def good(pki: Pki, profile: Profile) -> Recipe:
    """What keeps every rule of the profile."""
    holder = {
        Profile.INSTITUTION_SEAL: pki.sealer,
        Profile.KEPHS_TRANSACTION: pki.transaction,
    }.get(profile, pki.signer)
    return Recipe(profile, holder, policy=POLICIES.get(profile), by_ocsp=profile is Profile.P4)


def make(pki: Pki, recipe: Recipe) -> bytes:
    """The file."""

    def change(items: Attributes) -> Attributes:
        kept = [item for item in items if recipe.timed or item["type"].native != "signing_time"]
        if recipe.reference_digest != "sha256":
            kept = [item for item in kept if not item["type"].native.startswith("signing_certificate")]
            kept.append(signing_certificate(recipe.holder.der, recipe.reference_digest))
        for more in (with_policy(recipe.policy) if recipe.policy else None, *recipe.also):
            kept = more(kept) if more else kept
        return kept

    if recipe.signers > 1:
        infos = [
            signer_info(recipe.holder, CONTENT, at=SIGNED_AT - timedelta(hours=number))
            for number in range(recipe.signers)
        ]
        return signed_data(infos, list(recipe.holder.chain_der), CONTENT)
    file = File.of(sign(recipe.holder, CONTENT, at=SIGNED_AT, change=change, bound=recipe.bound))
    if recipe.profile not in POLICIES:
        return file.encode()
    if recipe.stamped:
        file = file.plus(levels.SIGNATURE_STAMP, timestamp(pki.tsa, recipe.stamped, SIGNED_AT + recipe.delay))
    elif recipe.stamped is not None:
        file = levels.with_signature_stamp(file, pki.tsa, SIGNED_AT + recipe.delay)
    if recipe.profile in _LONG_TERM:
        file = _with_validation_data(pki, file, recipe)
    elif recipe.by_ocsp:
        file = file.plus(levels.REVOCATION_VALUES, levels.revocation_values([], [_response(pki)]))
    if recipe.extended_stamp:
        file = file.plus(levels.C_STAMP, timestamp(pki.tsa, file.under_c_stamp(), SIGNED_AT + timedelta(hours=1)))
    return file.without(*recipe.left_out).encode()


def _response(pki: Pki) -> bytes:
    return basic(respond(pki, responder(pki, OCSP_SIGNING, NO_CHECK)))


def _with_validation_data(pki: Pki, file: File, recipe: Recipe) -> File:
    crls = [pki.qualified.root.crl()] if recipe.by_ocsp else pki.qualified.crls()
    responses = (_response(pki),) if recipe.by_ocsp else ()
    authorities = levels.authorities(pki.qualified)
    file = file.plus(levels.CERTIFICATE_REFERENCES, levels.certificate_references(authorities))
    file = file.plus(levels.REVOCATION_REFERENCES, levels.revocation_references(crls, responses))
    file = file.plus(levels.CERTIFICATE_VALUES, levels.sequence(*authorities))
    return file.plus(levels.REVOCATION_VALUES, levels.revocation_values(crls, responses))


def needed_crls(pki: Pki, recipe: Recipe) -> list[bytes]:
    """What is at hand beside the file: where the file is to bring the signer's, nothing else may speak for it."""
    if recipe.by_ocsp:
        return [pki.qualified.root.crl(), *pki.timestamp.crls()]
    return pki.crls()


Breach = Callable[[Pki, Recipe], Recipe]


def _issued(pki: Pki, recipe: Recipe) -> Callable[..., Holder]:
    trees = {Profile.INSTITUTION_SEAL: pki.seal, Profile.KEPHS_TRANSACTION: pki.kephs}
    return trees.get(recipe.profile, pki.qualified).issuing.issue


def _without_non_repudiation(pki: Pki, recipe: Recipe) -> Recipe:
    return replace(recipe, holder=_issued(pki, recipe)("Yalnız imza", key_usage=SEAL_USAGE, qualified=True))


def _for_encryption_only(pki: Pki, recipe: Recipe) -> Recipe:
    return replace(recipe, holder=_issued(pki, recipe)("Şifreleme", key_usage=usage(key_encipherment=True)))


def _authority(pki: Pki, recipe: Recipe) -> Recipe:
    trees = {Profile.INSTITUTION_SEAL: pki.seal, Profile.KEPHS_TRANSACTION: pki.kephs}
    return replace(recipe, holder=trees.get(recipe.profile, pki.qualified).issuing)


def _not_qualified(pki: Pki, recipe: Recipe) -> Recipe:
    policies = x509.CertificatePolicies([x509.PolicyInformation(ObjectIdentifier("2.16.792.1.2.1.1.5.7.1.1"), None)])
    holder = _issued(pki, recipe)("Niteliksiz", key_usage=NES_USAGE, extensions=((policies, False),))
    return replace(recipe, holder=holder)


def _without_policies(pki: Pki, recipe: Recipe) -> Recipe:
    qualified = _issued(pki, recipe)("İlkesiz", key_usage=NES_USAGE, qualified=True)
    statements = qualified.certificate.extensions.get_extension_for_oid(ObjectIdentifier("1.3.6.1.5.5.7.1.3")).value
    return replace(
        recipe, holder=_issued(pki, recipe)("İlkesiz", key_usage=NES_USAGE, extensions=((statements, False),))
    )


def _tax_seal(pki: Pki, recipe: Recipe) -> Recipe:
    tax = x509.ExtendedKeyUsage([ObjectIdentifier("2.16.792.1.2.1.1.5.7.50.1")])
    return replace(recipe, holder=_issued(pki, recipe)("Mali mühür", key_usage=SEAL_USAGE, extensions=((tax, False),)))


def _other_policy(_pki: Pki, recipe: Recipe) -> Recipe:
    return replace(recipe, policy=P3 if recipe.policy == P2 else P2)


BREACHES: dict[str, Breach] = {
    "signing-certificate-attribute": lambda _pki, recipe: replace(recipe, bound=False),
    "end-entity": _authority,
    "non-repudiation": _without_non_repudiation,
    "qualified-statement": _not_qualified,
    "certificate-policy": _without_policies,
    "signing-time": lambda _pki, recipe: replace(recipe, timed=False),
    "signing-usage": _for_encryption_only,
    "not-tax-seal": _tax_seal,
    "single-seal": lambda _pki, recipe: replace(recipe, signers=2),
    "signing-certificate-v2": lambda _pki, recipe: replace(recipe, reference_digest="sha1"),
    "signature-policy": _other_policy,
    "signature-time-stamp": lambda _pki, recipe: replace(recipe, stamped=b"another value"),
    "time-stamp-delay": lambda _pki, recipe: replace(recipe, delay=timedelta(hours=2, seconds=1)),
    "level": lambda _pki, recipe: replace(recipe, left_out=(levels.CERTIFICATE_VALUES, levels.SIGNATURE_STAMP)),
    "revocation-source": lambda _pki, recipe: replace(recipe, by_ocsp=not recipe.by_ocsp),
    "validation-data": lambda _pki, recipe: replace(recipe, left_out=(levels.REVOCATION_REFERENCES,)),
    "no-extended-time-stamp": lambda _pki, recipe: replace(recipe, extended_stamp=True),
}
"""By rule id."""
