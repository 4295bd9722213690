"""An OCSP responder and a shelf of CA certificates for the web server of the tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from shared.clock import FixedClock
from tests.support.pki import SEAL_USAGE, Authority, Holder
from tests.unit.signer.httpd import Answer

MINUTE = timedelta(minutes=1)
OCSP_SIGNING = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), False)
NO_CHECK = (x509.OCSPNoCheck(), False)


def access(*, ocsp_url: str | None = None, issuer_url: str | None = None) -> tuple[x509.ExtensionType, bool]:
    """authorityInfoAccess with either address."""
    kinds = ((AuthorityInformationAccessOID.OCSP, ocsp_url), (AuthorityInformationAccessOID.CA_ISSUERS, issuer_url))
    named = [x509.AccessDescription(kind, x509.UniformResourceIdentifier(url)) for kind, url in kinds if url]
    return x509.AuthorityInformationAccess(named), False


@dataclass
class Responder:
    """Answers about certificates of ``authority``; ``change`` has the last word on an answer."""

    authority: Authority
    clock: FixedClock
    by: Holder | None = None
    """None: a responder of the authority's, exempt from being looked up."""
    age: timedelta = MINUTE
    lasting: timedelta | None = timedelta(hours=12)
    nonce: Callable[[bytes], bytes | None] = lambda sent: sent
    revoked: dict[int, datetime] = field(default_factory=dict)
    unknown: bool = False
    about: int | None = None
    """Another serial number to answer about."""
    change: Callable[[bytes], bytes] = lambda encoded: encoded
    asked: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.by = self.by or self.authority.issue("OCSP", key_usage=SEAL_USAGE, extensions=(OCSP_SIGNING, NO_CHECK))

    def __call__(self, body: bytes) -> Answer:
        assert self.by is not None
        request = ocsp.load_der_ocsp_request(body)
        self.asked.append(request.serial_number)
        revoked_at = self.revoked.get(request.serial_number)
        good = ocsp.OCSPCertStatus.GOOD if revoked_at is None else ocsp.OCSPCertStatus.REVOKED
        at = self.clock.now() - self.age
        builder = ocsp.OCSPResponseBuilder().add_response_by_hash(
            request.issuer_name_hash,
            request.issuer_key_hash,
            self.about or request.serial_number,
            algorithm=hashes.SHA1(),
            cert_status=ocsp.OCSPCertStatus.UNKNOWN if self.unknown else good,
            this_update=at,
            next_update=None if self.lasting is None else at + self.lasting,
            revocation_time=revoked_at,
            revocation_reason=None if revoked_at is None else x509.ReasonFlags.key_compromise,
        )
        nonce = self.nonce(request.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce)
        if nonce is not None:
            builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, self.by.certificate)
        response = builder.certificates([self.by.certificate]).sign(self.by.key, hashes.SHA256())
        return 200, {"Content-Type": "application/ocsp-response"}, self.change(response.public_bytes(Encoding.DER))
