"""Makes CMS signatures with asn1crypto, right ones and wrong ones: a second pen beside ``sealing.py``."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime

from asn1crypto import algos, cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from services.signer import der
from tests.support.pki import NOW, Holder

HASHES = {"sha1": hashes.SHA1, "sha256": hashes.SHA256, "sha384": hashes.SHA384, "sha512": hashes.SHA512}
Attributes = list[cms.CMSAttribute]


def attribute(kind: str, *values: object) -> cms.CMSAttribute:
    return cms.CMSAttribute({"type": kind, "values": list(values)})


def raw_attribute(oid: str, value: bytes) -> cms.CMSAttribute:
    """One of a kind asn1crypto has no class for, or whose value is to be just these bytes."""
    return cms.CMSAttribute.load(der.encode(der.SEQUENCE, der.encode_oid(oid), der.encode(der.SET, value)))


def signing_certificate(certificate: bytes, digest: str = "sha256") -> cms.CMSAttribute:
    if digest == "sha1":
        value = tsp.SigningCertificate({"certs": [{"cert_hash": hashlib.sha1(certificate).digest()}]})
        return attribute("signing_certificate", value)
    entry = {"hash_algorithm": {"algorithm": digest}, "cert_hash": hashlib.new(digest, certificate).digest()}
    return attribute("signing_certificate_v2", tsp.SigningCertificateV2({"certs": [entry]}))


def signer_info(
    holder: Holder,
    content: bytes,
    *,
    digest: str = "sha256",
    pss: bool = False,
    at: datetime = NOW,
    content_type: str = "data",
    change: Callable[[Attributes], Attributes] = lambda attributes: attributes,
    bound: bool = True,
    reference: bytes | None = None,
    attributes: bool = True,
    in_der_order: bool = True,
    by_key_identifier: bool = False,
) -> cms.SignerInfo:
    certificate = asn1_x509.Certificate.load(holder.der)
    items = [
        attribute("content_type", content_type),
        attribute("message_digest", hashlib.new(digest, content).digest()),
        attribute("signing_time", cms.Time({"utc_time": at})),
    ]
    if bound:
        items.append(signing_certificate(reference or holder.der))
    items = change(items)
    if in_der_order:
        items.sort(key=lambda item: item.dump())
    else:
        items.sort(key=lambda item: item.dump(), reverse=True)
    body = b"".join(item.dump() for item in items)
    to_sign = b"\x31" + core.OctetString(body).dump()[1:] if attributes else content
    algorithm = HASHES[digest]()
    if isinstance(holder.key, RSAPrivateKey):
        if pss:
            pad = padding.PSS(padding.MGF1(algorithm), algorithm.digest_size)
            parameters = algos.RSASSAPSSParams(
                {
                    "hash_algorithm": {"algorithm": digest},
                    "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": {"algorithm": digest}},
                    "salt_length": algorithm.digest_size,
                }
            )
            signature_algorithm = {"algorithm": "rsassa_pss", "parameters": parameters}
        else:
            pad = padding.PKCS1v15()
            signature_algorithm = {"algorithm": f"{digest}_rsa"}
        value = holder.key.sign(to_sign, pad, algorithm)
    else:
        value = holder.key.sign(to_sign, ec.ECDSA(algorithm))
        signature_algorithm = {"algorithm": f"{digest}_ecdsa"}
    if by_key_identifier:
        identifier = cms.SignerIdentifier("subject_key_identifier", core.OctetString(certificate.key_identifier))
    else:
        identifier = cms.SignerIdentifier(
            "issuer_and_serial_number",
            cms.IssuerAndSerialNumber({"issuer": certificate.issuer, "serial_number": certificate.serial_number}),
        )
    info: dict[str, object] = {
        "version": "v3" if by_key_identifier else "v1",
        "sid": identifier,
        "digest_algorithm": {"algorithm": digest},
        "signature_algorithm": signature_algorithm,
        "signature": value,
    }
    if attributes:
        raw = cms.CMSAttributes.load(to_sign)
        info["signed_attrs"] = raw
    return cms.SignerInfo(info)


def signed_data(
    infos: list[cms.SignerInfo],
    certificates: list[bytes],
    content: bytes | None,
    *,
    content_type: str = "data",
    crls: list[bytes] | None = None,
) -> bytes:
    encapsulated: dict[str, object] = {"content_type": content_type}
    if content is not None:
        encapsulated["content"] = content if content_type == "data" else core.ParsableOctetString(content)
    fields: dict[str, object] = {
        "version": "v1" if content_type == "data" else "v3",
        "digest_algorithms": [{"algorithm": info["digest_algorithm"]["algorithm"].native} for info in infos],
        "encap_content_info": encapsulated,
        "certificates": [asn1_x509.Certificate.load(item) for item in certificates],
        "signer_infos": infos,
    }
    if crls:
        fields["crls"] = [_crl(item) for item in crls]
    return cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(fields)}).dump()


def _crl(encoded: bytes) -> object:
    from asn1crypto.crl import CertificateList

    return CertificateList.load(encoded)


def sign(holder: Holder, content: bytes, *, attached: bool = True, **options: object) -> bytes:
    info = signer_info(holder, content, **options)  # type: ignore[arg-type]
    return signed_data([info], list(holder.chain_der), content if attached else None)


def timestamp(holder: Holder, stamped: bytes, at: datetime, *, digest: str = "sha256") -> bytes:
    info = tsp.TSTInfo(
        {
            "version": "v1",
            "policy": "2.16.792.1.2.1.1.5.7.3.1",
            "message_imprint": {
                "hash_algorithm": {"algorithm": digest},
                "hashed_message": hashlib.new(digest, stamped).digest(),
            },
            "serial_number": 7,
            "gen_time": at,
        }
    ).dump()
    signer = signer_info(holder, info, content_type="tst_info", at=at)
    return signed_data([signer], list(holder.chain_der), info, content_type="tst_info")


def with_timestamp(encoded: bytes, token: bytes) -> bytes:
    """Add a signature time-stamp to the first signer. By hand: asn1crypto takes minutes to re-encode."""
    info = der.children(der.read_whole(encoded))
    fields = [field.encoded for field in der.children(der.children(info[1])[0])]
    signer = der.children(der.children(der.read_whole(fields[-1]))[0])
    stamp = attribute("signature_time_stamp_token", cms.ContentInfo.load(token)).dump()
    changed = der.encode(der.SEQUENCE, *(part.encoded for part in signer), der.encode(der.CONTEXT_1, stamp))
    fields[-1] = der.encode(der.SET, changed)
    return der.encode(der.SEQUENCE, info[0].encoded, der.encode(der.CONTEXT_0, der.encode(der.SEQUENCE, *fields)))
