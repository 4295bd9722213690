"""Tokens of SoftHSM, a hardware module in software by others: a directory of its own for each test."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.pki import Holder

PIN = "271828"
_MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
)
MODULE = next((path for path in _MODULES if Path(path).exists()), None)
SPY = next(iter(sorted(Path("/usr/lib").glob("*/pkcs11-spy.so"))), None)
"""OpenSC's module that stands before another one and writes down every call."""

needs_softhsm = pytest.mark.skipif(
    MODULE is None or shutil.which("softhsm2-util") is None,
    reason="SoftHSM is not installed (make test installs it where it is root on Debian)",
)

# A module keeps the directory it was initialised with for as long as its process lives: hence one process each time.
_STORE = """
import json, sys
import pkcs11
from pkcs11 import Attribute, ObjectClass
from pkcs11.util import ec, rsa, x509
asked = json.load(sys.stdin)
token = pkcs11.lib(asked["module"]).get_token(token_label=asked["token"])
with token.open(rw=True, user_pin=asked["pin"]) as session:
    named = {Attribute.LABEL: asked["label"], Attribute.ID: bytes.fromhex(asked["id"]), Attribute.TOKEN: True}
    permitted = {getattr(Attribute, name): value for name, value in asked["attributes"].items()}
    kind = rsa if asked["kind"] == "rsa" else ec
    private = getattr(kind, f"decode_{asked['kind']}_private_key")(bytes.fromhex(asked["private"]))
    if kind is rsa:
        for name in (Attribute.SIGN, Attribute.DECRYPT, Attribute.UNWRAP):
            private.pop(name, None)
    hidden = {Attribute.PRIVATE: True, Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}
    session.create_object(private | named | hidden | permitted)
    if asked["certificate"]:
        session.create_object(x509.decode_x509_certificate(bytes.fromhex(asked["certificate"])) | named)
"""


@dataclass
class SoftToken:
    """A token with its directory. Programs see it by the environment variable SOFTHSM2_CONF."""

    directory: Path
    label: str = "letters"

    @property
    def configuration(self) -> Path:
        return self.directory / "softhsm2.conf"

    @property
    def pin_file(self) -> Path:
        return self.directory / "pin"

    def make(self) -> SoftToken:
        (self.directory / "tokens").mkdir(parents=True)
        self.configuration.write_text(
            f"directories.tokendir = {self.directory / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
        self.pin_file.write_text(PIN + "\n")
        self.initialise(self.label)
        return self

    def initialise(self, label: str) -> None:
        command = ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "31415926"]
        subprocess.run(command, env=self._environment(), check=True, capture_output=True, timeout=30)

    def put(
        self,
        holder: Holder,
        label: str,
        id_hex: str,
        *,
        with_certificate: bool = True,
        token: str | None = None,
        **attributes: bool,
    ) -> None:
        """Store a key pair's private part, with the attributes named (SIGN, DECRYPT, DERIVE), and its certificate."""
        kind = "rsa" if isinstance(holder.key, RSAPrivateKey) else "ec"
        asked = {
            "module": MODULE,
            "token": token or self.label,
            "pin": PIN,
            "label": label,
            "id": id_hex,
            "kind": kind,
            "attributes": attributes,
            "private": holder.key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()).hex(),
            "certificate": holder.der.hex() if with_certificate else None,
        }
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", _STORE], input=json.dumps(asked).encode(), env=self._environment(),
            check=True, timeout=30,
        )  # fmt: skip

    def remove(self) -> None:
        """Take the token away, as if its plug were pulled."""
        (self.directory / "tokens").rename(self.directory / "away")

    def bring_back(self) -> None:
        (self.directory / "away").rename(self.directory / "tokens")

    def entry(self, key_id: str, institution_no: int, purpose: str, **place: Any) -> dict[str, Any]:
        """An entry of the keys file."""
        where = {"module": MODULE, "token_label": self.label} | place
        return {
            "key_id": key_id, "institution_no": institution_no, "purposes": [purpose],
            "pkcs11": {name: value for name, value in where.items() if value is not None},
            "pin_file": str(self.pin_file),
        }  # fmt: skip

    def _environment(self) -> dict[str, str]:
        return {"SOFTHSM2_CONF": str(self.configuration), "PATH": "/usr/bin:/bin"}
