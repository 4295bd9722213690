"""What an envelope says about itself without any key, for reports."""

from __future__ import annotations

from services.signer import der
from services.signer.certificates import readable_name
from services.signer.envelopes.algorithms import (
    KNOWN_CIPHERS,
    agreement_scheme,
    algorithm,
    cipher_name,
    content_cipher,
    transport_padding,
)
from services.signer.envelopes.reading import Envelope
from services.signer.envelopes.recipients import KeyAgreement, KeyTransport, Recipient
from services.signer.envelopes.refusals import EnvelopeRefused, reading
from services.signer.findings import CheckFailed
from shared.contracts.envelopes import (
    CipherStrength,
    EnvelopeCipher,
    EnvelopeFacts,
    EnvelopeRecipient,
    RecipientKind,
)

_NAME_CHARACTERS = 200


def envelope_facts(envelope: Envelope, sha256: str) -> EnvelopeFacts:
    """The facts; raises ``EnvelopeRefused`` (MALFORMED) when not even the cipher can be named."""
    with reading("content cipher"):
        oid, _ = algorithm(envelope.cipher)
    _, bits, strength = KNOWN_CIPHERS.get(oid, (oid, None, CipherStrength.UNKNOWN))
    return EnvelopeFacts(
        sha256=sha256,
        authenticated=envelope.authenticated,
        content_type=envelope.content_type,
        encrypted_bytes=envelope.encrypted_bytes,
        cipher=EnvelopeCipher(
            oid=oid, name=cipher_name(oid), bits=bits, strength=strength, accepted=_cipher_accepted(envelope)
        ),
        recipients=[_recipient(recipient) for recipient in envelope.recipients],
    )


def _cipher_accepted(envelope: Envelope) -> bool:
    try:
        content_cipher(envelope.cipher, authenticated=envelope.authenticated)
    except (EnvelopeRefused, CheckFailed):
        return False
    return True


def _recipient(recipient: Recipient) -> EnvelopeRecipient:
    if not isinstance(recipient, KeyTransport | KeyAgreement):
        return EnvelopeRecipient(kind=RecipientKind.OTHER, algorithm=recipient.label, accepted=False)
    named = recipient.identifier
    transport = isinstance(recipient, KeyTransport)
    name, accepted = _delivery(recipient.algorithm, transport=transport)
    return EnvelopeRecipient(
        kind=RecipientKind.KEY_TRANSPORT if transport else RecipientKind.KEY_AGREEMENT,
        issuer=None if named.issuer is None else readable_name(named.issuer)[:_NAME_CHARACTERS],
        serial_number=None if named.serial_number is None else f"{named.serial_number:x}",
        key_identifier=None if named.key_identifier is None else named.key_identifier[:64].hex(),
        algorithm=name,
        accepted=accepted,
    )


def _delivery(identifier: der.Element, *, transport: bool) -> tuple[str, bool]:
    try:
        return (transport_padding(identifier) if transport else agreement_scheme(identifier)).name, True
    except (EnvelopeRefused, CheckFailed):
        return algorithm(identifier)[0], False
