"""The institution's keys: a JSON file names them, in PKCS#12 files or in hardware modules; nothing secret leaves."""

from services.signer.keys.entries import KeysUnreadable
from services.signer.keys.loading import load_keys
from services.signer.keys.port import SigningPort
from services.signer.keys.ring import DecryptionKey, HeldKey, KeyRing, LoadedKey
from services.signer.keys.software import SoftwareDecryptionKey, SoftwareKey

__all__ = [
    "DecryptionKey",
    "HeldKey",
    "KeyRing",
    "KeysUnreadable",
    "LoadedKey",
    "SigningPort",
    "SoftwareDecryptionKey",
    "SoftwareKey",
    "load_keys",
]
