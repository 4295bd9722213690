"""The links in a mail's text, for people to see where they lead. Pure; written for hostile mail.

Only http and https links are ever found. Their number, their length and the text that is looked
through are bounded, and a link to an expected host is never pushed out by others.
"""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from services.kep_relay.inbound import texts
from services.kep_relay.inbound.envelope import leaves
from services.kep_relay.inbound.mime import Entity

MAX_LINKS = 20
MAX_URL = 2000
_MAX_TEXT_BYTES = 256 * 1024
_MAX_TEXTS = 10
_MOST_LOOKED_AT = 5000
_LONGEST_HOST = 253
_URL = re.compile(r"https?://[^\s<>\"'`\\^{|}\x00-\x1f\x7f-\x9f]{1,100000}", re.IGNORECASE)
"""Ends where browsers and people would read on differently: a backslash is a slash to browsers."""
_CHARSETS = re.compile(r"utf-?8|utf-?16(?:-?[lb]e)?|us-ascii|ascii|iso-8859-\d{1,2}|windows-125\d|latin-?[15]")
"""Some of Python's codecs take time with the square of the text."""


@dataclass(frozen=True)
class Link:
    """A link as it is kept: both parts are ASCII."""

    url: str
    host: str


@dataclass(frozen=True)
class FoundLinks:
    """At most ``MAX_LINKS``, those to expected hosts first, and how many are not among them."""

    links: tuple[Link, ...]
    left_out: int


def is_expected(host: str, expected_hosts: Collection[str]) -> bool:
    """Whether ``host`` is one of the hosts, or below one."""
    return any(host == expected or host.endswith(f".{expected}") for expected in expected_hosts)


def find_links(content: Entity, expected_hosts: Collection[str]) -> FoundLinks:
    """The links in the text parts of ``content``; attachments are not looked into."""
    found: dict[Link, None] = {}
    left_out = looked_at = 0
    for text in _texts(content):
        for match in _URL.finditer(text):
            looked_at += 1
            link = _link(match.group()) if looked_at <= _MOST_LOOKED_AT else None
            if link is None:
                left_out += 1
            else:
                found[link] = None
    ordered = sorted(found, key=lambda link: not is_expected(link.host, expected_hosts))
    return FoundLinks(tuple(ordered[:MAX_LINKS]), left_out + max(0, len(ordered) - MAX_LINKS))


def _texts(content: Entity) -> Iterator[str]:
    number = 0
    for entity in leaves(content):
        if entity.media_type not in {"text/plain", "text/html"} or texts.filename(entity.headers) is not None:
            continue
        number += 1
        if number > _MAX_TEXTS:
            return
        data = bytearray()
        for piece in entity.content().pieces():
            data += piece
            if len(data) >= _MAX_TEXT_BYTES:
                break
        text = texts.decode_bytes(bytes(data[:_MAX_TEXT_BYTES]), _charset(entity))
        yield html.unescape(text) if entity.media_type == "text/html" else text


def _charset(entity: Entity) -> str | None:
    stated = texts.parameter_value(entity.headers, "Content-Type", "charset")
    name = (stated or "").strip().lower()
    return name if _CHARSETS.fullmatch(name) else None


def _link(text: str) -> Link | None:
    """The link in ASCII; None if it is too long, or leads nowhere that can be named."""
    if len(text) > MAX_URL:
        return None
    trimmed = _without_closing(text)
    try:
        parts = urlsplit(trimmed)
        host, port = parts.hostname, parts.port
        if not host or len(host) > _LONGEST_HOST:
            return None
        ascii_host = host if host.isascii() else host.encode("idna").decode("ascii")
    except ValueError:  # also UnicodeError, for a name that is none
        return None
    ascii_host = ascii_host.rstrip(".")
    if not ascii_host:
        return None
    user = f"{_ascii(parts.netloc.rpartition('@')[0])}@" if "@" in parts.netloc else ""
    shown = f"[{ascii_host}]" if ":" in ascii_host else ascii_host
    rest = _ascii(trimmed[len(parts.scheme) + 3 + len(parts.netloc) :])
    url = f"{parts.scheme}://{user}{shown}{'' if port is None else f':{port}'}{rest}"
    return Link(url, ascii_host) if len(url) <= MAX_URL else None


def _without_closing(text: str) -> str:
    """Without the punctuation of the sentence it stands in."""
    while text:
        last = text[-1]
        if last in ".,;:!?" or (last == ")" and "(" not in text) or (last == "]" and "[" not in text):
            text = text[:-1]
        else:
            break
    return text


def _ascii(text: str) -> str:
    return "".join(char if char.isascii() else quote(char, errors="replace") for char in text)
