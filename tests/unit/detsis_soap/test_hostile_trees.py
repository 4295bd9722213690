"""Answers bent at random: whatever comes, a call ends in rows or in ``DirectoryCallError``, and in nothing else."""

from __future__ import annotations

import random
from collections.abc import Iterator
from copy import deepcopy

import pytest
from lxml import etree

from services.detsis_sync.rows import CorrespondencePackage
from services.detsis_sync.soap.failures import DirectoryCallError
from services.detsis_sync.soap.wire import Operation
from tests.unit.detsis_soap.answers import INVOKE, XSI, CannedServer, K, answer, canned_server, good, whole
from tests.unit.detsis_soap.conftest import Authority

TEXTS = ("", " ", "0", "-1", "true", "nil", "9" * 40, "10000001", "x" * 20_000, "İ", "a@b", "\n", "2026-03-01T00:00:00")
TURNS = 8


@pytest.fixture(scope="module")
def server(authority: Authority) -> Iterator[CannedServer]:
    with canned_server(authority) as running:
        yield running


def bent(operation: str, chance: random.Random) -> bytes:
    """A good answer after a few random changes to its tree, all of which leave it well-formed."""
    root = answer(operation)
    for _ in range(chance.randint(1, 4)):
        elements = [element for element in root.iter() if element is not root]
        if not elements:
            break
        one, other = chance.choice(elements), chance.choice(elements)
        parent = one.getparent()
        assert parent is not None
        match chance.randrange(9):
            case 0:
                parent.remove(one)
            case 1:
                one.addnext(deepcopy(one))
            case 2:
                one.text = chance.choice(TEXTS)
            case 3:
                one.set(
                    f"{{{XSI}}}{chance.choice(('nil', 'type'))}", chance.choice(("true", "false", "1", "x:y", "xs:int"))
                )
            case 4:
                one.append(deepcopy(other))
            case 5:
                one.tag = chance.choice((other.tag, f"{K}Yeni", etree.QName(one).localname, "{urn:x}Ad"))
            case 6:
                parent.insert(0, one)
            case 7:
                for child in list(one):
                    one.remove(child)
            case _:
                other.tail = chance.choice(TEXTS)
    return whole(root)


@pytest.mark.parametrize("seed", range(TURNS))
async def test_bent_trees(server: CannedServer, seed: int) -> None:
    chance = random.Random(seed)
    async with server.client() as client:
        for operation, invoke in INVOKE.items():
            sent = bent(operation, chance)
            server.canned.body = lambda _op, sent=sent: sent
            try:
                found = await invoke(client)
            except DirectoryCallError:
                continue
            for row in found.rows:
                assert row is not None
                if not isinstance(row, (str, int, CorrespondencePackage)):
                    hash(row)  # frozen, and made of frozen parts


@pytest.mark.parametrize("seed", range(TURNS))
async def test_bent_bytes(server: CannedServer, seed: int) -> None:
    """A changed, lost or added byte: never more rows than were sent."""
    chance = random.Random(1000 + seed)
    async with server.client() as client:
        for operation in (
            Operation.UNIT,
            Operation.PLACES,
            Operation.CORRESPONDENCE_PACKAGE,
            Operation.CERTIFICATES_OF_UNIT,
        ):
            for _ in range(8):
                sent = bytearray(good(operation))
                for _ in range(chance.randint(1, 5)):
                    place = chance.randrange(len(sent))
                    sent[place : place + chance.randint(0, 2)] = bytes(
                        chance.choice(b"<>/&\"'=\x00 \xff0A") for _ in range(chance.randint(0, 2))
                    )
                server.canned.body = lambda _op, sent=bytes(sent): sent
                try:
                    found = await INVOKE[operation](client)
                except DirectoryCallError:
                    continue
                assert len(found.rows) <= 2
