"""Calls to the SOAP service as bytes, without a SOAP library between the test and the wire."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from xml.sax.saxutils import escape

import httpx
from lxml import etree

from services.sandbox.kephs.eyws.related import media_type_of, referenced, take_apart
from tests.support.eyws_provider import EywsAccount

A_NAMESPACE = "http://ws.apache.org/axis2"
X_NAMESPACE = "http://ws.apache.org/axis2/xsd"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
Fields = Sequence[tuple[str, str | bytes | None]]


@dataclass(frozen=True)
class Reply:
    """An answer: ``root`` is its XML, ``parts`` what stands beside it."""

    status: int
    content_type: str
    body: bytes

    @property
    def parts(self) -> dict[str, bytes]:
        return self._split()[1]

    @property
    def root(self) -> etree._Element:
        return etree.fromstring(self._split()[0], etree.XMLParser(resolve_entities=False, no_network=True))

    def texts(self, name: str) -> list[str | None]:
        """What the elements of this name hold, at any depth; None for nil."""
        found = self.root.iter(f"{{{X_NAMESPACE}}}{name}", f"{{{A_NAMESPACE}}}{name}")
        return [None if one.get(f"{{{_XSI}}}nil") == "true" else (one.text or "") for one in found]

    def text(self, name: str) -> str | None:
        """The only element of this name."""
        (only,) = self.texts(name)
        return only

    def binaries(self, name: str) -> list[bytes]:
        found = []
        for one in self.root.iter(f"{{{X_NAMESPACE}}}{name}"):
            if len(one):
                part = referenced(self.parts, one[0].get("href", ""))
                assert part is not None
                found.append(part)
            else:
                found.append(base64.b64decode(one.text or ""))
        return found

    @property
    def fault(self) -> str:
        assert self.status == 500
        return self.root.findtext(".//faultstring") or ""

    def _split(self) -> tuple[bytes, dict[str, bytes]]:
        header = media_type_of(self.content_type)
        if header.get_content_type() != "multipart/related":
            return self.body, {}
        root, parts = take_apart(self.body, header)
        return root, dict(parts)


def holder(account: EywsAccount, **other: str) -> str:
    """The children of an ``eyKepHesapGirisP``."""
    values = {
        "kepHesap": account.address, "tcno": account.agent_no, "parola": account.password,
        "sifre": account.second_password, **other,
    }  # fmt: skip
    return "".join(f"<x:{name}>{escape(value)}</x:{name}>" for name, value in values.items())


def envelope(operation: str, content: str) -> bytes:
    """``content`` stands in ``param0``."""
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        f'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:a="{A_NAMESPACE}" xmlns:x="{X_NAMESPACE}">'
        f"<e:Header/><e:Body><a:{operation}><a:param0>{content}</a:param0></a:{operation}></e:Body></e:Envelope>"
    ).encode()


class Caller:
    """One account's calls."""

    def __init__(self, account: EywsAccount) -> None:
        self.account = account
        self._http = httpx.AsyncClient(
            verify=ssl.create_default_context(cafile=str(account.ca_file)), timeout=60, trust_env=False
        )

    async def aclose(self) -> None:
        await self._http.aclose()

    async def flat(self, operation: str, **other: str) -> Reply:
        """An operation whose parameter is the account itself."""
        return await self.send(envelope(operation, holder(self.account, **other)))

    async def __call__(self, operation: str, *fields: tuple[str, str | bytes | None], **other: str) -> Reply:
        """``fields`` in the order of the sequence; bytes become base64, None is left out. ``other``: secrets."""
        content = f"<x:kepHesap>{holder(self.account, **other)}</x:kepHesap>"
        for name, value in fields:
            if value is not None:
                text = base64.b64encode(value).decode() if isinstance(value, bytes) else escape(value)
                content += f"<x:{name}>{text}</x:{name}>"
        return await self.send(envelope(operation, content))

    async def send(self, body: bytes, content_type: str = "text/xml; charset=utf-8") -> Reply:
        headers = {"content-type": content_type, "soapaction": '""'}
        answer = await self._http.post(self.account.url, content=body, headers=headers)
        return Reply(answer.status_code, answer.headers.get("content-type", ""), answer.content)

    def open(self, operation: str) -> AbstractAsyncContextManager[httpx.Response]:
        """The answer to a call with the account alone, to be read piece by piece."""
        headers = {"content-type": "text/xml; charset=utf-8"}
        body = envelope(operation, holder(self.account))
        return self._http.stream("POST", self.account.url, content=body, headers=headers)

    async def wsdl(self) -> bytes:
        return (await self._http.get(self.account.url)).content
