"""Which signatures a CMS file holds, so that a further one cannot push out an earlier one."""

from __future__ import annotations

from shared.eyp.ber import BerError, Element, children, read_element

_OCTETS, _SET, _SEQUENCE = 0x04, 0x31, 0x30
_MOST = 1_000


def signature_values(cms: bytes) -> frozenset[bytes]:
    """The signature values of a SignedData's signers (RFC 5652, 5.3), counter-signatures left out.

    Serial signing adds an unsigned attribute and parallel signing a signer: either keeps the values
    that were there. Bytes that are no such thing have none.
    """
    try:
        outer = read_element(cms, 0, len(cms))
        explicit = children(cms, outer, 2)[1]
        signed_data = children(cms, explicit, 1)[0]
        signers = children(cms, signed_data, _MOST)[-1]
        if signers.identifier != _SET:
            return frozenset()
        return frozenset(filter(None, (_value(cms, signer) for signer in children(cms, signers, _MOST))))
    except (BerError, IndexError):
        return frozenset()


def _value(cms: bytes, signer: Element) -> bytes | None:
    # The identifier of the signer may be an octet string as well, but under a tag of its own.
    for element in children(cms, signer, _MOST) if signer.identifier == _SEQUENCE else ():
        if element.identifier == _OCTETS:
            return cms[element.start : element.content_end]
    return None
