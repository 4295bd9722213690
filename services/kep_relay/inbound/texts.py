"""Header texts as people meant them, whatever the sender's software did to Turkish letters (kep.md 6.9)."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.utils import getaddresses
from typing import Any

from shared.domain.identifiers import KepAddress, bare_message_id, kep_address

MAX_TEXT = 2000
MAX_FILENAME = 255
MAX_REFERENCES = 50
_MAX_RAW = 64 * 1024
_FAULTS = (ValueError, TypeError, IndexError, LookupError, AttributeError, RecursionError, HeaderParseError)
_ALIASES = {"unknown-8bit": "windows-1254", "iso-8859-9-i": "iso-8859-9", "x-windows-1254": "windows-1254"}
_MESSAGE_IDS = re.compile(r"<([^<>\s]{1,990})>")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_MAX_KEY = 500
_FOLDING = re.compile(r"\r?\n[ \t]*")


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """One line that any database and any terminal can hold: no control, format or half characters."""
    visible = (" " if unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} else char for char in text[: limit * 4])
    return " ".join("".join(visible).split())[:limit]


def storable(value: Any) -> Any:
    """JSON without what PostgreSQL refuses in it: NUL and half characters, which certificates may hold."""
    if isinstance(value, str):
        return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", value)
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [storable(item) for item in value]
    return value


def index_key(identifier: str) -> str:
    """``identifier``, or its digest if it is too long for an index: a sender may make it as long as a header."""
    encoded = identifier.encode()
    return identifier if len(encoded) <= _MAX_KEY else f"sha256:{hashlib.sha256(encoded).hexdigest()}"


def decode_bytes(data: bytes, charset: str | None = None) -> str:
    """Text in its declared charset, else UTF-8, else windows-1254, the Turkish default of old software."""
    candidates = [_ALIASES.get(charset.lower(), charset)] if charset else []
    for candidate in (*candidates, "utf-8"):
        try:
            return data.decode(candidate)
        except (LookupError, UnicodeError, ValueError):
            continue
    return data.decode("windows-1254", "replace")


def header_text(headers: Message, name: str, limit: int = MAX_TEXT) -> str | None:
    """The first header of that name, decoded; None if there is none or nothing is left of it."""
    value = _first(headers, name)
    return None if value is None else clean(_decoded(value), limit) or None


def addresses(headers: Message, name: str) -> list[KepAddress]:
    """The well-formed addresses in all headers of that name, normalised."""
    values = [_unfolded(value) for value in _all(headers, name)[:20]]
    try:
        pairs = getaddresses(values)
    except _FAULTS:
        return []
    found: list[KepAddress] = []
    for _name, address in pairs[:200]:
        try:
            found.append(kep_address(address))
        except ValueError:
            continue
    return found


def message_id(headers: Message, name: str = "Message-ID") -> str | None:
    """The header as written, on one line, at most 998 characters; None if there is none."""
    value = _first(headers, name)
    return None if value is None else clean(_unfolded(value), 998) or None


def message_ids(headers: Message, *names: str) -> list[str]:
    """Every id in these headers without angle brackets, in order, each once."""
    found: list[str] = []
    for name in names:
        for value in _all(headers, name)[:5]:
            text = _unfolded(value)
            found += _MESSAGE_IDS.findall(text) or [bare_message_id(text)]
    return [item for item in dict.fromkeys(clean(item, 998) for item in found) if item][:MAX_REFERENCES]


def filename(headers: Message) -> str | None:
    """The part's file name: RFC 2231, RFC 2047 inside a parameter, or raw 8-bit; without any directory."""
    for header, parameter in (("Content-Disposition", "filename"), ("Content-Type", "name")):
        name = parameter_value(headers, header, parameter)
        if name:
            base = clean(name.replace("\\", "/").rpartition("/")[2], MAX_FILENAME * 2)
            if base and base not in {".", ".."}:
                return _shortened(base)
    return None


def _shortened(name: str) -> str:
    stem, dot, extension = name.rpartition(".")
    if len(name) <= MAX_FILENAME or not dot or len(extension) > 20:
        return name[:MAX_FILENAME]
    return f"{stem[: MAX_FILENAME - len(extension) - 1]}.{extension}"


def parameter_value(headers: Message, header: str, parameter: str) -> str | None:
    """A parameter of a header, decoded; None if it is not there or cannot be read."""
    try:
        value = headers.get_param(parameter, header=header)
    except _FAULTS:
        return None
    if value is None:
        return None
    if isinstance(value, tuple):  # RFC 2231: one character per byte
        charset, _language, text = value
        return decode_bytes(text.encode("latin-1"), charset or None) if _is_latin_1(text) else text
    return _decoded(str(value))


def _is_latin_1(text: str) -> bool:
    return all(ord(char) < 0x100 for char in text)


def _first(headers: Message, name: str) -> str | None:
    values = _all(headers, name)
    return values[0] if values else None


def _all(headers: Message, name: str) -> list[str]:
    wanted = name.lower()
    return [str(value)[:_MAX_RAW] for key, value in headers.raw_items() if key.lower() == wanted]


def _unfolded(value: str) -> str:
    return _FOLDING.sub(" ", value)


def _decoded(value: str) -> str:
    text = _unfolded(value)
    if "=?" not in text:
        return text
    try:
        chunks = decode_header(text)
    except _FAULTS:
        return text
    return "".join(chunk if isinstance(chunk, str) else decode_bytes(chunk, charset) for chunk, charset in chunks)
