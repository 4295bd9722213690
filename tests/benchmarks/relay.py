"""kep_relay beside servers nobody here wrote: out through Postfix, in from Dovecot, evidence to state, large letters.

The whole stack runs as processes. References in the same run: Postfix relaying mails of the same number and size through
its queue to smtp-sink (``mail_queue``), and plain imaplib fetching the same mailbox into files.
"""

from __future__ import annotations

import asyncio
import imaplib
import json
import os
import pwd
import secrets
import ssl
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from services.cli.supervisor.processes import ChildProcess
from shared.contracts.mailboxes import ServerAddress
from tests.benchmarks.figure import Figure
from tests.benchmarks.mail_queue import relayed_per_second
from tests.support.dovecot import Dovecot, running_dovecot
from tests.support.launch import running_stack
from tests.support.peers import HOST, MAIL_USER, PeerGround
from tests.support.ports import free_port
from tests.support.postfix import Postfix, running_postfix
from tests.support.stack import A, B, Stack

LETTERS = 150
CLIENTS = 8
PACED, PACE_SECONDS = 40, 1.0
LARGE, LARGE_BYTES = 4, 18 * 1024 * 1024
_PATIENCE = 600
_HELD_BACK = {
    "KEPGW_KEP_RELAY_JOB_CONCURRENCY": "1",
    "KEPGW_KEP_RELAY_SUBMISSION_INTERVAL_SECONDS": "600",
    "KEPGW_KEP_RELAY_SWEEP_INTERVAL_SECONDS": "600",
}
_WEIGHED = ("gateway", "kep_relay", "signer")
_PASSWORD = "password-of-the-benchmark"
_REFERENCE = "reference@hs00.kep.tr"


@dataclass(frozen=True)
class Servers:
    """Postfix and Dovecot as the provider of A and B."""

    ground: PeerGround
    postfix: Postfix
    dovecot: Dovecot


async def run() -> list[Figure]:
    """Start everything, measure, stop."""
    return await asyncio.to_thread(_measure)


def _measure() -> list[Figure]:
    with running_stack(forked=False) as stack, _servers(stack) as servers:
        figures = _evidence(stack, servers)
        figures += _inbound(stack, servers)
        figures += _large(stack, servers)
        figures += _outbound(stack, servers)
    return figures


# Evidence to state


def _evidence(stack: Stack, servers: Servers) -> list[Figure]:
    """From the moment the provider puts evidence into the mailbox to the line in the letter's history."""
    # B's mails stay at the provider, for the next part.
    _point(stack, B, imap=servers.dovecot.imaps)
    ids = []
    for _number in range(PACED):
        started = time.monotonic()
        ids.append(stack.send(_package(stack))["message_id"])
        time.sleep(max(0.0, started + PACE_SECONDS - time.monotonic()))
    for message_id in ids:
        stack.wait_for(message_id, "delivered", seconds=_PATIENCE)
    there = {mail["uid"]: datetime.fromisoformat(mail["received_at"]) for mail in stack.folder(A)}
    with _database(stack) as connection:
        rows = connection.execute(
            "SELECT raw.uid, event.at FROM kep_relay.outbound_events event"
            " JOIN kep_relay.evidence USING (evidence_id)"
            " JOIN kep_relay.raw_mails raw USING (raw_mail_id)"
            " WHERE event.to_state IS NOT NULL AND event.message_id = ANY (%s::uuid[])",
            [ids],
        ).fetchall()
    took = sorted((at - there[uid]).total_seconds() for uid, at in rows)
    return [
        Figure(
            f"evidence in the mailbox to the letter's state, p50 / p99 ({len(took)} pieces, one letter a second)",
            f"{_quantile(took, 0.5) * 1000:.0f} / {_quantile(took, 0.99) * 1000:.0f} ms",
        )
    ]


# In


def _inbound(stack: Stack, servers: Servers) -> list[Figure]:
    """B's real mails, copied into Dovecot as often as needed: distinct letters, each in its provider's envelope."""
    with ThreadPoolExecutor(CLIENTS) as clients:
        sent = list(clients.map(lambda _number: stack.send(_package(stack)), range(LETTERS - PACED)))
    # A's evidence of them has been read and judged before: it is not what is measured here.
    for message in sent:
        stack.wait_for(message["message_id"], "delivered", seconds=_PATIENCE)
    deadline = time.monotonic() + _PATIENCE
    while len(stack.letters_at(B)) < LETTERS:
        if time.monotonic() > deadline:
            raise SystemExit(f"{len(stack.letters_at(B))} of {LETTERS} letters arrived")
        time.sleep(0.5)
    address = stack.institution(B)["kep_address"]
    mails = stack.letters_at(B)
    # A copy nobody has read either: Dovecot reads a mail for its size once, and knows it from then on.
    sizes, _started = _copy_into(servers, stack, mails, _REFERENCE)
    fetched = _imaplib_per_second(servers, _REFERENCE)
    with _database(stack) as connection:
        _sizes, started = _copy_into(servers, stack, mails, address)
        _seconds_until(connection, _STORED, LETTERS, started)
        stored = (LETTERS - 1) / connection.execute(_STORING_SECONDS, [f"kep-{B}"]).fetchone()[0]
        available = LETTERS / _seconds_until(connection, _OFFERED, LETTERS, started)
    what = f"mails of {sum(sizes) // len(sizes) // 1024} KB drained from Dovecot a second, durable with digest and row"
    return [
        Figure(what, f"{stored:.1f}/s", f"{fetched:.0f}/s plain imaplib into files", f"{stored / fetched:.2f}"),
        Figure(
            "the same, read, verified and offered to the EBYS",
            f"{available:.1f}/s", f"{fetched:.0f}/s plain imaplib into files", f"{available / fetched:.3f}",
        ),
    ]  # fmt: skip


def _copy_into(
    servers: Servers, stack: Stack, mails: Sequence[Mapping[str, Any]], address: str
) -> tuple[list[int], float]:
    """B's mails, as a delivery agent does: whole files into a Maildir, all at once. Their sizes, and when they lay there."""
    owner, item = pwd.getpwnam(MAIL_USER), stack.institution(B)
    maildir = servers.ground.mail / address / "Maildir"
    for place in (maildir.parent, maildir, maildir / "cur", maildir / "new", maildir / "tmp"):
        place.mkdir(exist_ok=True)
        os.chown(place, owner.pw_uid, owner.pw_gid)
    sizes = []
    for mail in mails:
        path = f"/providers/{item['provider']}/mailboxes/{item['kep_address']}/messages/{mail['uid']}/content"
        content = stack.control("GET", path).content
        file = maildir / "tmp" / f"{mail['uid']}.benchmark"
        file.write_bytes(content)
        os.chown(file, owner.pw_uid, owner.pw_gid)
        sizes.append(len(content))
    started = time.perf_counter()
    for file in (maildir / "tmp").iterdir():
        file.rename(maildir / "new" / file.name)
    return sizes, started


def _imaplib_per_second(servers: Servers, address: str) -> float:
    with tempfile.TemporaryDirectory() as directory:
        context = ssl.create_default_context(cafile=str(servers.ground.ca_file))
        started = time.perf_counter()
        with imaplib.IMAP4_SSL(servers.dovecot.imaps.host, servers.dovecot.imaps.port, ssl_context=context) as session:
            session.login(address, _PASSWORD)
            session.select("INBOX", readonly=True)
            uids = session.uid("SEARCH", "ALL")[1][0].split()
            for uid in uids:
                ((_head, content), *_rest) = session.uid("FETCH", uid, "(BODY.PEEK[])")[1]
                Path(directory, uid.decode()).write_bytes(content)
        return len(uids) / (time.perf_counter() - started)


_STORED = "SELECT count(*) FROM kep_relay.raw_mails WHERE mailbox_id = %s"
# From the session that finds them, not from when they lay there: Dovecot tells of new mail half a second later.
_STORING_SECONDS = "SELECT extract(epoch FROM max(received_at) - min(received_at))::float FROM kep_relay.raw_mails WHERE mailbox_id = %s"
_OFFERED = "SELECT count(*) FROM kep_relay.inbound_messages WHERE mailbox_id = %s AND available_at IS NOT NULL"


def _seconds_until(connection: psycopg.Connection[Any], query: str, number: int, started: float) -> float:
    """Since ``started``, until B has so many."""
    deadline = time.monotonic() + _PATIENCE
    while (found := connection.execute(query, [f"kep-{B}"]).fetchone()[0]) < number:
        if time.monotonic() > deadline:
            raise SystemExit(f"{found} of {number}: {query}")
        time.sleep(0.02)
    return time.perf_counter() - started


# Large letters


def _large(stack: Stack, servers: Servers) -> list[Figure]:
    """Peak memory of each service while some letters of 25 MB (as mail) are in flight together, above what it was."""
    packages = [_package(stack, size=LARGE_BYTES) for _number in range(LARGE)]
    # Memory that earlier parts had and gave back to the allocator alone would hide what these letters take.
    for name in _WEIGHED:
        stack.restart(name)
    stack.wait_for(stack.send(_package(stack))["message_id"], "delivered", seconds=_PATIENCE)
    with _peaks(stack) as out, ThreadPoolExecutor(LARGE) as clients:
        sent = list(clients.map(stack.send, packages))
        for message in sent:
            stack.wait_for(message["message_id"], "delivered", seconds=_PATIENCE)
    with _database(stack) as connection, _peaks(stack) as taken_in:
        there = connection.execute(_OFFERED, [f"kep-{B}"]).fetchone()[0]
        large = [mail for mail in stack.letters_at(B) if mail["size"] > LARGE_BYTES]
        _copy_into(servers, stack, large, stack.institution(B)["kep_address"])
        _seconds_until(connection, _OFFERED, there + len(large), time.perf_counter())
    return [
        Figure(
            f"peak memory of {name} for {LARGE} letters of 25 MB {way}, a letter",
            f"{kilobytes / 1024 / LARGE:.0f} MiB", "40 MiB, the target", f"{kilobytes / 1024 / LARGE / 40:.2f}",
        )
        for way, grown in (("on their way out", out), ("coming in", taken_in))
        for name, kilobytes in grown.items()
    ]  # fmt: skip


@contextmanager
def _peaks(stack: Stack) -> Iterator[dict[str, int]]:
    """KiB above the start, over the block, sampled: signer's workers count with signer."""
    before = {name: _resident(stack.pid(name)) for name in _WEIGHED}
    grown, over = dict.fromkeys(_WEIGHED, 0), threading.Event()

    def sample() -> None:
        while not over.wait(0.05):
            for name in _WEIGHED:
                grown[name] = max(grown[name], _resident(stack.pid(name)) - before[name])

    sampling = threading.Thread(target=sample)
    sampling.start()
    try:
        yield grown
    finally:
        over.set()
        sampling.join()


def _resident(pid: int) -> int:
    total = 0
    for task in [pid, *_children(pid)]:
        try:
            # Mapped files can be taken back at any time; what counts is what only this process holds.
            rollup = Path(f"/proc/{task}/smaps_rollup").read_text(encoding="ascii")
        except OSError:
            continue
        values = {line.split(":")[0]: int(line.split()[1]) for line in rollup.splitlines()[1:]}
        total += values["Anonymous"] + values["Swap"]
    return total


def _children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(text) for text in found.read_text(encoding="ascii").split()] if found.exists() else []


# Out


def _outbound(stack: Stack, servers: Servers) -> list[Figure]:
    """Letters accepted before, from the first attempt to the last answer of Postfix, by the rows' own times."""
    # What Postfix delivers to B is not read meanwhile.
    _point(stack, B, imap=ServerAddress(host=HOST, port=free_port()))
    _point(stack, A, smtp=servers.postfix.submission, imap=servers.dovecot.imaps)
    usual = stack.environment("kep_relay")
    _restart_with(stack, usual | _HELD_BACK)
    packages = [_package(stack) for _number in range(LETTERS)]
    with ThreadPoolExecutor(CLIENTS) as clients:
        ids = [message["message_id"] for message in clients.map(stack.send, packages)]
    _restart_with(stack, usual)
    with _database(stack) as connection:
        deadline = time.monotonic() + _PATIENCE
        query = (
            "SELECT count(submitted_at), extract(epoch FROM max(submitted_at) - min(submitted_at)), max(composed_size)"
            " FROM kep_relay.outbound_recipients WHERE message_id = ANY (%s::uuid[]) AND submitted_at > %s"
        )
        begun = connection.execute("SELECT now()").fetchone()[0]
        # One or two went out while sending was held back.
        while (found := connection.execute(query, [ids, begun]).fetchone())[0] < LETTERS - 3:
            if time.monotonic() > deadline:
                raise SystemExit(f"{found[0]} of {LETTERS} letters were submitted")
            time.sleep(0.2)
    sent = (found[0] - 1) / float(found[1])
    with tempfile.TemporaryDirectory(prefix="kepgw-queue-", dir="/tmp") as directory:
        Path(directory).chmod(0o755)
        relayed = relayed_per_second(Path(directory), mails=LETTERS, size=found[2], sessions=4)
    return [
        Figure(
            f"letters of {found[2] // 1024} KB resolved, composed, signed, sent to Postfix over TLS a second, one process",
            f"{sent:.1f}/s", f"{relayed:.0f}/s smtp-source, Postfix, smtp-sink", f"{sent / relayed:.2f}",
        )
    ]  # fmt: skip


def _restart_with(stack: Stack, environment: Mapping[str, str]) -> None:
    stack.stop("kep_relay")
    old = stack.gateway.processes["kep_relay"]
    stack.gateway.processes["kep_relay"] = ChildProcess("kep_relay", environment, old.log_file, old.ops_port)
    stack.start("kep_relay")


# Ground


@contextmanager
def _servers(stack: Stack) -> Iterator[Servers]:
    """Both servers with A's and B's addresses, for the length of the block."""
    ground = PeerGround.make()
    addresses = [*(stack.institution(number)["kep_address"] for number in (A, B)), _REFERENCE]

    @asynccontextmanager
    async def opened() -> AsyncIterator[Servers]:
        async with AsyncExitStack() as servers:
            dovecot = await servers.enter_async_context(running_dovecot(ground, dict.fromkeys(addresses, _PASSWORD)))
            postfix = await servers.enter_async_context(running_postfix(ground, dovecot, addresses))
            yield Servers(ground, postfix, dovecot)

    try:
        with asyncio.Runner() as runner:
            context = opened()
            yield runner.run(context.__aenter__())
            runner.run(context.__aexit__(None, None, None))
    finally:
        ground.remove()


def _point(stack: Stack, number: int, **changes: Any) -> None:
    """Change an institution's mailbox; ``smtp`` or ``imap`` also means the benchmark's password."""
    item = stack.institution(number)
    provider = next(found for found in stack.world["providers"] if found["name"] == item["provider"])
    body = {
        "institution_no": number, "address": item["kep_address"], "username": item["username"],
        "password": item["password"], "smtp": provider["smtp"] | {"ca_file": stack.world["tls_ca_file"]},
        "imap": provider["imap"] | {"ca_file": stack.world["tls_ca_file"]}, "poll_interval_seconds": 5,
        "signing_key_id": f"kep-{number}",
    }  # fmt: skip
    for name, value in changes.items():
        body[name] = value.model_dump() if isinstance(value, ServerAddress) else value
    if {"smtp", "imap"} & changes.keys():
        body["password"] = _PASSWORD
    stack.admin.json("PUT", f"/mailboxes/kep-{number}", json=body)


def _package(stack: Stack, *, size: int = 72_000) -> bytes:
    """About ``size`` bytes: text that packing brings back to its random bytes."""
    return stack.package(annex_text=b64encode(secrets.token_bytes(size)).decode())


def _database(stack: Stack) -> psycopg.Connection[Any]:
    url = stack.environment("kep_relay")["KEPGW_KEP_RELAY_DATABASE_URL"]
    return psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://"), autocommit=True)


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


if __name__ == "__main__":
    print(json.dumps([vars(figure) for figure in asyncio.run(run())], indent=1))
