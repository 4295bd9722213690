"""The password and the account id reach no log and no error text, whatever is logged and whatever DETSİS says."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from xml.sax.saxutils import escape

import pytest
from lxml import etree

from services.detsis_sync.soap import wire
from services.detsis_sync.soap.failures import DirectoryCallError, quoted
from services.detsis_sync.soap.wire import Operation
from shared.errors import DomainError
from tests.unit.detsis_soap.answers import INVOKE, SOAP_11, Canned, CannedServer, canned_server, changed, fault, good
from tests.unit.detsis_soap.conftest import Authority

LOGGERS = ("", "zeep", "zeep.transports", "zeep.xsd", "zeep.wsdl", "httpx", "httpcore", "asyncio", "detsis")


@pytest.fixture
def server(authority: Authority) -> Iterator[CannedServer]:
    with canned_server(authority) as running:
        yield running


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """DEBUG on the root logger and on every library that sees a request."""
    before = {name: logging.getLogger(name).level for name in LOGGERS}
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.DEBUG)
    yield caplog
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def spellings(server: CannedServer) -> list[str]:
    """Both secrets, as they are and as they stand inside XML; and the password's middle, should one be cut."""
    password = server.password
    return [password, escape(password), escape(escape(password)), "Parola", server.account_id]


def echo_in_message(server: CannedServer) -> str:
    return (
        f"Kurum {server.account_id}, parola {server.password} (istek: <Password>{escape(server.password)}</Password>)"
    )


async def test_debug_logs_and_errors_of_every_operation_hold_no_secret(
    server: CannedServer, everything_logged: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    message = echo_in_message(server)

    def refused(result: etree._Element, _operation: str) -> None:
        result[0].text = "true"
        etree.SubElement(result, wire.RESULT_MESSAGE).text = message

    def contradictory(result: etree._Element, _operation: str) -> None:
        result.remove(result[1])
        etree.SubElement(result, wire.RESULT_MESSAGE).text = message

    answers = [
        Canned(),
        Canned(changed(refused)),
        Canned(changed(contradictory)),
        Canned(lambda _op: fault("Server", escape(message)), 500),
        Canned(lambda _op: fault("Client", escape(message) + "x" * 5000, SOAP_11)),
        Canned(lambda _op: f"<html>{message}</html>".encode()),
        Canned(lambda op: good(op).replace(b"<Sonuclar>", escape(message).encode() + b"<Sonuclar>")[:-3]),
        Canned(lambda _op: message.encode(), 401),
    ]
    said: list[str] = []
    async with server.client() as client:
        for canned in answers:
            server.canned.body, server.canned.status = canned.body, canned.status
            for operation, invoke in INVOKE.items():
                if canned is answers[0]:
                    await invoke(client)
                    continue
                with pytest.raises(DirectoryCallError) as caught:
                    await invoke(client)
                said += [str(caught.value), repr(caught.value), str(caught.value.detail)]
                assert caught.value.operation == operation
    printed = capsys.readouterr()
    assert any(record.name.startswith("httpcore") for record in everything_logged.records)
    text = everything_logged.text + "\n".join(said) + printed.out + printed.err
    for secret in spellings(server):
        assert secret not in text
    assert sum("***" in line for line in said) > len(Operation)


async def test_a_password_xml_cannot_carry_is_not_quoted(
    server: CannedServer, everything_logged: pytest.LogCaptureFixture
) -> None:
    server.password = "Parola\x00gizli"
    async with server.client() as client:
        with pytest.raises(DomainError) as caught:
            await INVOKE[Operation.UNIT](client)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    for secret in ("Parola", "gizli"):
        assert secret not in everything_logged.text + str(caught.value)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("p w", "***"),
        ("x p  w y", "x *** y"),
        ("  ", "no text given"),
        (None, "no text given"),
        ("a&amp;&lt;b", "***"),
        ("a&<b a&amp;&lt;b", "*** ***"),
        ("ab" * 600, "ab" * 250),
    ],
)
def test_what_detsis_says_is_masked_bounded_and_on_one_line(said: str | None, shown: str) -> None:
    assert quoted(said, ("p  w", "p w", "a&<b", "")) == shown


def test_a_secret_is_masked_before_the_text_is_cut() -> None:
    assert "geheim"[:3] not in quoted("x" * 497 + "geheim", "geheim")
