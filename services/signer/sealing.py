"""Signing and sealing: CAdES-B with exactly the attributes the profile wants, checked before it leaves.

The two entrances are bound to a purpose ("sign this mail", "seal this package component"); there
is none that signs whatever one likes.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import datetime
from functools import partial

import structlog

from services.signer import der
from services.signer.certificates import certificate_fields, issuer_and_serial
from services.signer.checks.algorithms import ECDSA, OID_BY_DIGEST, RSA_PSS, SIGNATURE_BY_OID
from services.signer.facts import BytesContent, Content, DigestedContent
from services.signer.formats import cms
from services.signer.keys import KeyRing, LoadedKey, SigningPort
from services.signer.pipeline import read_facts
from shared.clock import Clock
from shared.contracts.signatures import SignatureFormat, SigningPurpose
from shared.errors import DomainError, ErrorCode

log = structlog.get_logger(__name__)

_OID_BY_SIGNATURE = {named: oid for oid, named in SIGNATURE_BY_OID.items() if named[1] is not None}
_OID_OF_PSS = next(oid for oid, (scheme, _digest) in SIGNATURE_BY_OID.items() if scheme == RSA_PSS)
_MGF1 = "1.2.840.113549.1.1.8"


def build_signed_data(
    port: SigningPort,
    certificates: tuple[bytes, ...],
    content_digest: bytes,
    attached: bytes | None,
    signing_time: datetime,
) -> bytes:
    """CAdES-B SignedData in DER (EN 319 122-1).

    ``certificates``: the signer's first, then what helps to build its path. ``content_digest`` is
    by ``port.digest``. ``attached`` is None for a detached signature. No algorithm-protection
    attribute: some verifiers compare it byte for byte, and the national tools do not write it.
    """
    attributes = [
        _attribute(cms.CONTENT_TYPE, der.encode_oid(cms.DATA)),
        _attribute(cms.MESSAGE_DIGEST, der.encode(der.OCTET_STRING, content_digest)),
        _attribute(cms.SIGNING_TIME, der.encode_time(signing_time)),
        _attribute(cms.SIGNING_CERTIFICATE_V2, _signing_certificate(certificates[0])),
    ]
    to_sign = der.encode_set_of(attributes)
    signature = port.sign(hashlib.new(port.digest, to_sign).digest())
    digest_algorithm = der.encode(der.SEQUENCE, der.encode_oid(OID_BY_DIGEST[port.digest]))
    signer_info = der.encode(
        der.SEQUENCE,
        der.encode_integer(1),
        issuer_and_serial(certificates[0]),
        digest_algorithm,
        der.encode_set_of(attributes, der.CONTEXT_0),
        _signature_algorithm(port),
        der.encode(der.OCTET_STRING, signature),
    )
    encapsulated = [der.encode_oid(cms.DATA)]
    if attached is not None:
        encapsulated.append(der.encode(der.CONTEXT_0, der.encode(der.OCTET_STRING, attached)))
    signed_data = der.encode(
        der.SEQUENCE,
        der.encode_integer(1),
        der.encode(der.SET, digest_algorithm),
        der.encode(der.SEQUENCE, *encapsulated),
        der.encode_set_of(list(dict.fromkeys(certificates)), der.CONTEXT_0),
        der.encode(der.SET, signer_info),
    )
    return der.encode(der.SEQUENCE, der.encode_oid(cms.SIGNED_DATA), der.encode(der.CONTEXT_0, signed_data))


def _attribute(oid: str, value: bytes) -> bytes:
    return der.encode(der.SEQUENCE, der.encode_oid(oid), der.encode(der.SET, value))


def _signing_certificate(certificate: bytes) -> bytes:
    """SigningCertificateV2 with one entry; SHA-256 is its default and so not written (RFC 5035)."""
    issuer, serial_number = certificate_fields(certificate)
    names = der.encode(der.SEQUENCE, der.encode(0xA4, issuer))
    entry = der.encode(
        der.SEQUENCE,
        der.encode(der.OCTET_STRING, hashlib.sha256(certificate).digest()),
        der.encode(der.SEQUENCE, names, serial_number),
    )
    return der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, entry))


def _signature_algorithm(port: SigningPort) -> bytes:
    if port.scheme == RSA_PSS:
        return der.encode(der.SEQUENCE, der.encode_oid(_OID_OF_PSS), _pss_parameters(port.digest))
    oid = der.encode_oid(_OID_BY_SIGNATURE[port.scheme, port.digest])
    parameters = b"" if port.scheme == ECDSA else der.encode(der.NULL)
    return der.encode(der.SEQUENCE, oid, parameters)


def _pss_parameters(digest: str) -> bytes:
    """RSASSA-PSS-params (RFC 4055, 3.1): one digest for everything, the salt as long as it."""
    hashed = der.encode(der.SEQUENCE, der.encode_oid(OID_BY_DIGEST[digest]), der.encode(der.NULL))
    mask = der.encode(der.SEQUENCE, der.encode_oid(_MGF1), hashed)
    return der.encode(
        der.SEQUENCE,
        der.encode(der.CONTEXT_0, hashed),
        der.encode(der.CONTEXT_1, mask),
        der.encode(der.CONTEXT_2, der.encode_integer(hashlib.new(digest).digest_size)),
    )


class Sealing:
    """The two uses of the key ring; at most ``at_once`` keys are at work at the same time."""

    def __init__(self, keys: KeyRing, clock: Clock, *, at_once: int = 8) -> None:
        self._keys = keys
        self._clock = clock
        # Threads of its own: a token that does not answer must not take those that everything else waits for.
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="sealing")

    def close(self) -> None:
        """Take no more work; what a token has in hand is left behind."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def message_key(self, key_id: str, institution_no: int | None) -> LoadedKey:
        """The key for one mail, refused before any byte is read."""
        return self._keys.take(key_id, SigningPurpose.KEP_MESSAGE, institution_no)

    def seal_key(self, key_id: str, institution_no: int | None) -> LoadedKey:
        """The key for one seal, refused before any byte is read."""
        return self._keys.take(key_id, SigningPurpose.PACKAGE_SEAL, institution_no)

    async def sign_message(self, key: LoadedKey, body: AsyncIterable[bytes], requester: str) -> bytes:
        """A detached signature over a stream of bytes, which is never held as a whole."""
        # SHA-256 names the content in the audit line, whatever the key signs with.
        hashes = {name: hashlib.new(name) for name in {"sha256", key.port.digest}}
        size = 0
        async for chunk in body:
            size += len(chunk)
            for hashed in hashes.values():
                hashed.update(chunk)
        if not size:
            raise DomainError(ErrorCode.VALIDATION_FAILED, "there is nothing to sign")
        content = DigestedContent({name: hashed.digest() for name, hashed in hashes.items()})
        return await self._in_thread(key, content, None, SigningPurpose.KEP_MESSAGE, requester)

    async def seal(self, key: LoadedKey, component: bytes, requester: str) -> bytes:
        """An attached signature over one package component."""
        if not component:
            raise DomainError(ErrorCode.VALIDATION_FAILED, "there is nothing to seal")
        content = BytesContent(component)
        return await self._in_thread(key, content, component, SigningPurpose.PACKAGE_SEAL, requester)

    async def _in_thread(
        self, key: LoadedKey, content: Content, attached: bytes | None, purpose: SigningPurpose, requester: str
    ) -> bytes:
        making = partial(copy_context().run, self._make, key, content, attached, purpose, requester)
        return await asyncio.get_running_loop().run_in_executor(self._threads, making)

    def _make(
        self, key: LoadedKey, content: Content, attached: bytes | None, purpose: SigningPurpose, requester: str
    ) -> bytes:
        now = self._clock.now()
        if not key.certificate.not_before <= now <= key.certificate.not_after:
            raise DomainError(
                ErrorCode.SIGNING_KEY_UNAVAILABLE, f"the certificate of key {key.key_id!r} is not in force"
            )
        # Written before the key is used: a signature without its audit line must not exist.
        log.info(
            "key_used",
            audit=True,
            key_id=key.key_id,
            institution_no=key.institution_no,
            purpose=purpose.value,
            content_sha256=content.digest("sha256").hex(),
            certificate_sha256=key.certificate.sha256,
            requester=requester,
        )
        certificates = (key.certificate.der, *(item.der for item in key.chain))
        signed = build_signed_data(key.port, certificates, content.digest(key.port.digest), attached, now)
        _check_own(signed, content, key)
        return signed


def _check_own(signed: bytes, content: Content, key: LoadedKey) -> None:
    """Our own verifier must accept what leaves; a broken key store shows here and not at the recipient."""
    facts = read_facts(signed, content, SignatureFormat.CADES)
    good = (
        len(facts.signers) == 1
        and facts.signers[0].integrity
        and facts.signers[0].bound
        and facts.signers[0].certificate == key.certificate
        and not any(finding.conclusive for finding in facts.signers[0].findings)
    )
    if not good:
        log.error("own_signature_refused", key_id=key.key_id)
        raise DomainError(
            ErrorCode.SIGNING_KEY_UNAVAILABLE, f"key {key.key_id!r} made a signature that does not verify"
        )
