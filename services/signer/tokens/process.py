"""``python -m services.signer.tokens.process``: loads one PKCS#11 module and holds one session with one token.

It is a program of its own so that a module that crashes, hangs or does not know about threads takes
nothing of signer with it (record 0026). It reads questions from stdin and ends with it; the PIN comes
that way too, and is in no argument, environment or file of this process.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import IO, Any

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass, TokenFlag, exceptions
from pkcs11.constants import MechanismFlag
from pkcs11.mechanisms import KDF, MGF

from services.signer.tokens.vocabulary import LONGEST_LINE, FaultKind, KeySelector, Operation, TokenFault, Transform

_KINDS: dict[FaultKind, tuple[type[Exception], ...]] = {
    FaultKind.PIN_REFUSED: (
        exceptions.PinIncorrect,
        exceptions.PinExpired,
        exceptions.PinInvalid,
        exceptions.PinLenRange,
        exceptions.PinLocked,
        exceptions.UserPinNotInitialized,
    ),
    FaultKind.INPUT_REFUSED: (
        exceptions.EncryptedDataInvalid,
        exceptions.EncryptedDataLenRange,
        exceptions.DataInvalid,
        exceptions.DataLenRange,
    ),
    FaultKind.NOT_POSSIBLE: (
        AttributeError,  # python-pkcs11 gives a key no method for what its attributes do not permit
        exceptions.ArgumentsBad,
        exceptions.AttributeSensitive,
        exceptions.AttributeTypeInvalid,
        exceptions.AttributeValueInvalid,
        exceptions.FunctionNotSupported,
        exceptions.KeySizeRange,
        exceptions.KeyTypeInconsistent,
        exceptions.MechanismInvalid,
        exceptions.MechanismParamInvalid,
        exceptions.TemplateIncomplete,
        exceptions.TemplateInconsistent,
    ),
    FaultKind.TOKEN_ABSENT: (exceptions.TokenNotPresent, exceptions.TokenNotRecognised),
}
_ABOUT_THE_SESSION = (
    exceptions.DeviceRemoved,
    exceptions.KeyHandleInvalid,
    exceptions.MechanismInvalid,
    exceptions.ObjectHandleInvalid,
    exceptions.SessionClosed,
    exceptions.SessionHandleInvalid,
    exceptions.TokenNotPresent,
    exceptions.UserNotLoggedIn,
)
"""What no ciphertext can bring about."""
_HASHES = {
    "sha1": (Mechanism.SHA_1, MGF.SHA1),
    "sha224": (Mechanism.SHA224, MGF.SHA224),
    "sha256": (Mechanism.SHA256, MGF.SHA256),
    "sha384": (Mechanism.SHA384, MGF.SHA384),
    "sha512": (Mechanism.SHA512, MGF.SHA512),
}
_MOST_OBJECTS = 32


class TokenProcess:
    """One module, one token, one session."""

    def __init__(self) -> None:
        self._token: Any = None
        self._session: Any = None
        self._keys: dict[KeySelector, Any] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to one question, a fault included: nothing but the end of the input ends this process."""
        try:
            return {"answer": self._answer(Operation(request.pop("operation")), request)}
        except TokenFault as fault:
            return {"fault": fault.kind.value, "name": fault.name}
        except Exception as error:  # noqa: BLE001 - whatever a module makes of a call, signer is to hear of it
            return {"fault": _kind(error).value, "name": type(error).__name__}

    def _answer(self, operation: Operation, request: dict[str, Any]) -> dict[str, Any]:
        match operation:
            case Operation.FIND:
                return self._find(**request)
            case Operation.OPEN:
                return self._open(**request)
            case Operation.CERTIFICATES:
                return {"certificates": [item.hex() for item in self._certificates(_selector(request))]}
            case Operation.DESCRIBE:
                return _described(self._key(_selector(request)))
            case Operation.SIGN:
                key = self._key(_selector(request))
                mechanism, parameter = _mechanism(Transform(request["transform"]), request)
                signature = key.sign(bytes.fromhex(request["data"]), mechanism=mechanism, mechanism_param=parameter)
                return {"value": signature.hex()}
            case Operation.DECRYPT:
                return {"value": self._decrypted(request).hex()}
            case Operation.DERIVE:
                return {"value": self._derived(request).hex()}
            case Operation.CHECK:
                return self._checked()

    def _find(self, *, module: str, label: str | None, serial: str | None) -> dict[str, Any]:
        try:
            library = pkcs11.lib(module)
        except exceptions.PKCS11Error as error:
            # Its own type, without a return code: the library could not be loaded. With one it could, and has no device.
            kind = FaultKind.MODULE_UNUSABLE if type(error) is exceptions.PKCS11Error else FaultKind.TOKEN_ABSENT
            raise TokenFault(kind, type(error).__name__) from error
        found = [token for token in _tokens(library) if _named(token, label, serial)]
        if len(found) != 1:
            raise TokenFault(FaultKind.TOKEN_AMBIGUOUS if found else FaultKind.TOKEN_ABSENT)
        self._token = found[0]
        return {}

    def _open(self, *, pin: str | None, suspicious: bool) -> dict[str, Any]:
        """``suspicious``: a login before ended without an answer, so a count of failures may be ours."""
        spent = TokenFlag.USER_PIN_FINAL_TRY | TokenFlag.USER_PIN_LOCKED
        if suspicious:
            spent |= TokenFlag.USER_PIN_COUNT_LOW
        if pin is not None and self._token.flags & spent:
            raise TokenFault(FaultKind.PIN_LAST_TRY)
        try:
            self._session = self._token.open(user_pin=pin)
        except exceptions.UserAlreadyLoggedIn:
            # Some modules share the login between the processes of a machine.
            self._session = self._token.open()
        return {}

    def _certificates(self, selector: KeySelector) -> Iterator[bytes]:
        """Certificates with the key's label or identifier; public objects, to be seen without a PIN.

        A key known by its label has its identifier from the public objects that bear the same label.
        """
        identifiers = set() if selector.id_hex is None else {bytes.fromhex(selector.id_hex)}
        every = list(self._session.get_objects({Attribute.CLASS: ObjectClass.CERTIFICATE}))[:_MOST_OBJECTS]
        labelled = [item for item in every if selector.label in (None, _value(item, Attribute.LABEL))]
        if selector.label is not None:
            public_keys = {Attribute.CLASS: ObjectClass.PUBLIC_KEY, Attribute.LABEL: selector.label}
            named = [*labelled, *self._session.get_objects(public_keys)]
            identifiers |= {_value(item, Attribute.ID) for item in named} - {None, b""}
        for certificate in every:
            if _value(certificate, Attribute.ID) in identifiers or (
                selector.label is not None and certificate in labelled
            ):
                yield bytes(certificate[Attribute.VALUE])

    def _key(self, selector: KeySelector) -> Any:
        if selector not in self._keys:
            sought: dict[Attribute, Any] = {Attribute.CLASS: ObjectClass.PRIVATE_KEY}
            if selector.label is not None:
                sought[Attribute.LABEL] = selector.label
            if selector.id_hex is not None:
                sought[Attribute.ID] = bytes.fromhex(selector.id_hex)
            found = list(self._session.get_objects(sought))
            if len(found) != 1:
                raise TokenFault(FaultKind.KEY_AMBIGUOUS if found else FaultKind.KEY_ABSENT)
            self._keys[selector] = found[0]
        return self._keys[selector]

    def _decrypted(self, request: dict[str, Any]) -> bytes:
        key = self._key(_selector(request))
        mechanism, parameter = _mechanism(Transform(request["transform"]), request)
        try:
            plain = key.decrypt(bytes.fromhex(request["data"]), mechanism=mechanism, mechanism_param=parameter)
        except exceptions.PKCS11Error as error:
            # Modules have many codes for a bad padding. Those of OAEP are sorted as far as they can be; of PKCS#1 v1.5
            # none may be told from another. Without a padding nothing is wrong with what was given.
            sorted_out = mechanism is Mechanism.RSA_PKCS_OAEP and _kind(error) is not FaultKind.LOST
            if mechanism is Mechanism.RSA_X_509 or sorted_out or isinstance(error, _ABOUT_THE_SESSION):
                raise
            raise TokenFault(FaultKind.UNCLEAR, type(error).__name__) from error
        return bytes(plain)

    def _derived(self, request: dict[str, Any]) -> bytes:
        secret = self._key(_selector(request)).derive_key(
            KeyType.GENERIC_SECRET,
            request["bytes"] * 8,
            capabilities=MechanismFlag.DERIVE,
            mechanism=Mechanism.ECDH1_DERIVE,
            mechanism_param=(KDF.NULL, None, bytes.fromhex(request["data"])),
            template={Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True},
        )
        try:
            return bytes(secret[Attribute.VALUE])
        finally:
            secret.destroy()

    def _checked(self) -> dict[str, Any]:
        self._session.token.slot.get_token()
        for _ in zip(range(1), self._session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY}), strict=False):
            return {}
        raise TokenFault(FaultKind.LOST, "no private key")


def _kind(error: Exception) -> FaultKind:
    return next((kind for kind, types in _KINDS.items() if isinstance(error, types)), FaultKind.LOST)


def _tokens(library: Any) -> Iterator[Any]:
    for slot in library.get_slots(token_present=True):
        try:
            yield slot.get_token()
        except exceptions.PKCS11Error:
            # Another slot's trouble is not ours.
            continue


def _named(token: Any, label: str | None, serial: str | None) -> bool:
    own_serial = token.serial.decode("utf-8", "replace").strip(" \0")
    return bool(token.flags & TokenFlag.TOKEN_INITIALIZED) and label in (None, token.label) and serial in (
        None, own_serial,
    )  # fmt: skip


def _selector(request: dict[str, Any]) -> KeySelector:
    return KeySelector(request["key_label"], request["key_id_hex"])


def _value(item: Any, attribute: Attribute) -> Any:
    """An attribute; None where the token does not have it or does not show it."""
    try:
        return item[attribute]
    except (exceptions.AttributeTypeInvalid, exceptions.AttributeSensitive):
        return None


def _described(key: Any) -> dict[str, Any]:
    modulus = _value(key, Attribute.MODULUS)
    return {
        "kind": {KeyType.RSA: "rsa", KeyType.EC: "ec"}.get(key[Attribute.KEY_TYPE], "other"),
        "signs": bool(_value(key, Attribute.SIGN)),
        "decrypts": bool(_value(key, Attribute.DECRYPT)),
        "derives": bool(_value(key, Attribute.DERIVE)),
        "pin_at_each_use": bool(_value(key, Attribute.ALWAYS_AUTHENTICATE)),
        "modulus": modulus.hex() if modulus else None,
    }


def _mechanism(transform: Transform, request: dict[str, Any]) -> tuple[Mechanism, Any]:
    if transform is Transform.SIGN_PSS:
        hashed, mask = _HASHES[request["digest"]]
        return Mechanism.RSA_PKCS_PSS, (hashed, mask, request["salt"])
    if transform is Transform.DECRYPT_OAEP:
        hashed, mask = _HASHES[request["digest"]][0], _HASHES[request["mask_digest"]][1]
        return Mechanism.RSA_PKCS_OAEP, (hashed, mask, None)
    return {
        Transform.SIGN_PKCS1: Mechanism.RSA_PKCS,
        Transform.SIGN_ECDSA: Mechanism.ECDSA,
        Transform.DECRYPT_RAW: Mechanism.RSA_X_509,
        Transform.DECRYPT_PKCS1: Mechanism.RSA_PKCS,
    }[transform], None


def main(questions: IO[bytes], answers: IO[bytes]) -> None:
    """Answer until the questions end."""
    process = TokenProcess()
    while line := questions.readline(LONGEST_LINE):
        answers.write(json.dumps(process.answer(json.loads(line))).encode() + b"\n")
        answers.flush()


def _channel() -> IO[bytes]:
    """Stdout as it was; what a module prints, which may be anything, then goes nowhere."""
    channel = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nowhere, number)
    return channel


if __name__ == "__main__":
    main(sys.stdin.buffer, _channel())
