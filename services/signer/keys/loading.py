"""From the keys file to the keys: what is wrong with an entry is found at the start, a token that is away is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from services.signer.certificates import Certificate, load_certificate, pem_or_der
from services.signer.findings import CheckFailed
from services.signer.keys.entries import HardwareEntry, KeysUnreadable, SoftwareEntry, read_entries
from services.signer.keys.hardware import KeyUnfit, TokenBoundKey, check_certificate, fault_text
from services.signer.keys.hardware_decryption import TokenDecryptionKey
from services.signer.keys.hardware_signing import TokenSigningKey
from services.signer.keys.ring import DecryptionKey, HeldKey, KeyRing, LoadedKey
from services.signer.keys.software import SoftwareDecryptionKey, SoftwareKey, open_store
from services.signer.tokens.pool import OnFault, TokenLimits, TokenPool
from services.signer.tokens.vocabulary import FaultKind, KeySelector, Operation, TokenAddress, TokenFault

log = structlog.get_logger(__name__)

_MISCONFIGURED = frozenset(
    {
        FaultKind.MODULE_UNUSABLE,
        FaultKind.TOKEN_AMBIGUOUS,
        FaultKind.KEY_ABSENT,
        FaultKind.KEY_AMBIGUOUS,
        FaultKind.NOT_POSSIBLE,
    }
)
"""What time does not heal. A refused PIN is not among them: who restarts again and again would lock the token."""


def load_keys(keys_file: Path, *, limits: TokenLimits | None = None, on_fault: OnFault = lambda _kind: None) -> KeyRing:
    """Every key of the keys file; a key on a token has proved that it belongs to its certificate.

    A token that is away, or refuses its PIN, leaves its keys in the ring with a fault. Raises
    ``KeysUnreadable`` naming the entry for everything that somebody has to correct.
    """
    tokens = _Tokens(limits or TokenLimits(), on_fault)
    try:
        keys = [_load(entry, keys_file.parent, tokens) for entry in read_entries(keys_file)]
        _refuse_double_use(keys)
    except BaseException:
        tokens.close()
        raise
    return KeyRing(keys, tokens.all())


class _Tokens:
    """One pool for each token, however many keys lie on it."""

    def __init__(self, limits: TokenLimits, on_fault: OnFault) -> None:
        self._limits = limits
        self._on_fault = on_fault
        self._pools: dict[TokenAddress, TokenPool] = {}

    def of(self, entry: HardwareEntry, directory: Path) -> TokenPool:
        place = entry.pkcs11
        address = TokenAddress(str(directory / place.module), place.token_label, place.token_serial)
        pin_file = directory / entry.pin_file
        pool = self._pools.setdefault(address, TokenPool(address, pin_file, self._limits, self._on_fault))
        if pool.pin_file != pin_file:
            raise KeysUnreadable(f"key {entry.key_id}: its token has another PIN file in another entry")
        return pool

    def all(self) -> Sequence[TokenPool]:
        return list(self._pools.values())

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()


def _load(entry: SoftwareEntry | HardwareEntry, directory: Path, tokens: _Tokens) -> HeldKey:
    if isinstance(entry, SoftwareEntry):
        return _in_memory(entry, directory)
    return _on_token(entry, directory, tokens.of(entry, directory))


def _in_memory(entry: SoftwareEntry, directory: Path) -> HeldKey:
    store = open_store(entry, directory)
    purposes = frozenset(entry.purposes)
    if entry.decrypts:
        port = SoftwareDecryptionKey(store.key)
        return DecryptionKey(entry.key_id, entry.institution_no, purposes, store.certificate, port)
    signing = SoftwareKey(store.key, pss=entry.rsa_padding == "pss")
    chain = _without_roots(store.others)
    return LoadedKey(entry.key_id, entry.institution_no, purposes, store.certificate, chain, signing, entry.seal_level)


def _on_token(entry: HardwareEntry, directory: Path, pool: TokenPool) -> HeldKey:
    selector = KeySelector(entry.pkcs11.key_label, entry.pkcs11.key_id_hex)
    if not _is_readable(pool.pin_file):
        raise KeysUnreadable(f"key {entry.key_id}: PIN file unreadable or empty")
    candidates = _candidates(entry, directory, pool, selector)
    faults: list[KeyUnfit] = []
    for certificate in sorted(candidates, key=lambda item: item.not_after, reverse=True):
        try:
            return _held(entry, directory, pool, selector, certificate)
        except KeyUnfit as error:
            faults.append(error)
    raise KeysUnreadable(f"key {entry.key_id}: {faults[0] if faults else 'its certificate is not on the token'}")


def _held(
    entry: HardwareEntry, directory: Path, pool: TokenPool, selector: KeySelector, certificate: Certificate
) -> HeldKey:
    check_certificate(certificate)
    purposes = frozenset(entry.purposes)
    if entry.decrypts:
        opening = TokenDecryptionKey(entry.key_id, pool, selector, certificate)
        _prove(entry, opening)
        return DecryptionKey(entry.key_id, entry.institution_no, purposes, certificate, opening)
    signing = TokenSigningKey(entry.key_id, pool, selector, certificate, pss=entry.rsa_padding == "pss")
    _prove(entry, signing)
    chain = () if entry.pkcs11.chain is None else _read_certificates(entry, directory / entry.pkcs11.chain)
    return LoadedKey(
        entry.key_id, entry.institution_no, purposes, certificate, _without_roots(chain), signing, entry.seal_level
    )


def _prove(entry: HardwareEntry, key: TokenBoundKey) -> None:
    try:
        key.prove()
    except TokenFault as fault:
        if fault.kind in _MISCONFIGURED:
            raise KeysUnreadable(f"key {entry.key_id}: {fault_text(fault)}") from fault
        log.error("key_not_usable_at_start", key_id=entry.key_id, fault=str(fault))  # noqa: TRY400 - the fault says it all


def _candidates(
    entry: HardwareEntry, directory: Path, pool: TokenPool, selector: KeySelector
) -> tuple[Certificate, ...]:
    """The certificate of the file, else what the token shows without a PIN: no attempt is spent on a bad entry."""
    if entry.pkcs11.certificate is not None:
        return _read_certificates(entry, directory / entry.pkcs11.certificate)[:1]
    try:
        answer = pool.ask_publicly(Operation.CERTIFICATES, key_label=selector.label, key_id_hex=selector.id_hex)
    except TokenFault as fault:
        raise KeysUnreadable(
            f"key {entry.key_id}: its certificate cannot be read from the token: {fault_text(fault)}"
        ) from fault
    return _certificates(entry, lambda: [bytes.fromhex(item) for item in answer["certificates"]])


def _read_certificates(entry: HardwareEntry, path: Path) -> tuple[Certificate, ...]:
    found = _certificates(entry, lambda: pem_or_der(path.read_bytes()))
    if not found:
        raise KeysUnreadable(f"key {entry.key_id}: no certificate in {path.name}")
    return found


def _certificates(entry: HardwareEntry, encoded: Callable[[], list[bytes]]) -> tuple[Certificate, ...]:
    try:
        return tuple(load_certificate(item) for item in encoded())
    except (OSError, ValueError, CheckFailed) as error:
        raise KeysUnreadable(f"key {entry.key_id}: unreadable certificate") from error


def _without_roots(certificates: tuple[Certificate, ...]) -> tuple[Certificate, ...]:
    # A relying party has its own roots; sending ours would only invite trust in it.
    return tuple(item for item in certificates if not item.self_issued)


def _is_readable(pin_file: Path) -> bool:
    try:
        return bool(pin_file.read_bytes().rstrip(b"\r\n").decode())
    except (OSError, ValueError):
        return False


def _refuse_double_use(keys: Sequence[HeldKey]) -> None:
    """No key pair under two entries may both sign and decrypt (record 0019)."""
    signing = {key.certificate.public_key().public_numbers(): key.key_id for key in keys if isinstance(key, LoadedKey)}
    for key in keys:
        other = signing.get(key.certificate.public_key().public_numbers())
        if isinstance(key, DecryptionKey) and other is not None:
            raise KeysUnreadable(f"key {key.key_id}: it signs under key_id {other}; a key that decrypts must not sign")
