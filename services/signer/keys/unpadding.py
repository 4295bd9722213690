"""RSA paddings taken off a block that a token decrypted without looking at them (RFC 8017, 7.1.2 and 7.2.2).

Every octet is looked at, whatever the ones before it were, and there is one decision at the end: how long it
takes does not depend on where a padding is wrong. Python promises no constant time to the nanosecond; what
is left of a difference is far below the jitter of the process, the token and the network around it.
"""

from __future__ import annotations

import hashlib
import hmac


def pkcs1_message(block: bytes) -> bytes:
    """The message in a block of PKCS#1 v1.5; no octets for a wrong padding, never an exception.

    The caller takes a random key where the length is not the expected one, so a wrong padding and a wrong
    length go the same way.
    """
    bad = block[0] | (block[1] ^ 2)
    found = separator = 0
    for index in range(2, len(block)):
        zero = ((block[index] - 1) >> 8) & 1
        separator += index * (zero & (1 - found))
        found |= zero
    # At least eight octets of padding stand before the separator.
    bad |= (1 - found) | (((separator - 10) >> 16) & 1)
    good = ((bad - 1) >> 16) & 1
    return block[good * (separator + 1) + (1 - good) * len(block) :]


def oaep_message(block: bytes, digest: str, mask_digest: str) -> bytes | None:
    """The message in a block of OAEP with an empty label; None when the padding is wrong in any way."""
    size = hashlib.new(digest).digest_size
    if len(block) < 2 * size + 2:
        return None
    masked_seed, masked = block[1 : 1 + size], block[1 + size :]
    seed = _xor(masked_seed, _mask(masked, size, mask_digest))
    data = _xor(masked, _mask(seed, len(masked), mask_digest))
    bad = block[0] | (1 - hmac.compare_digest(data[:size], hashlib.new(digest).digest()))
    found = separator = 0
    for index in range(size, len(data)):
        octet = data[index]
        one = (((octet ^ 1) - 1) >> 8) & 1
        zero = ((octet - 1) >> 8) & 1
        separator += index * (one & (1 - found))
        bad |= (1 - found) & (1 - one) & (1 - zero)
        found |= one
    bad |= 1 - found
    return None if bad else data[separator + 1 :]


def _mask(seed: bytes, size: int, digest: str) -> bytes:
    """MGF1 (RFC 8017, B.2.1)."""
    made = b""
    while len(made) < size:
        counter = (len(made) // hashlib.new(digest).digest_size).to_bytes(4, "big")
        made += hashlib.new(digest, seed + counter).digest()
    return made[:size]


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).to_bytes(len(one), "big")
