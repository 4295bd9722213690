"""Postfix as a plain relay: smtp-source → its queue → smtp-sink, the reference of ``relay``."""

from __future__ import annotations

import grp
import os
import pwd
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.peers import HOST
from tests.support.ports import free_port
from tests.support.postfix import MASTER, SERVICES

_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
_PATIENCE = 300


def relayed_per_second(directory: Path, *, mails: int, size: int, sessions: int) -> float:
    """Mails of ``size`` bytes a second, from the first handed to Postfix until its queue is empty again."""
    with _sink() as (sink_port, sink_log), _postfix(directory, sink_port) as port:
        started = time.perf_counter()
        subprocess.run(
            [_program("smtp-source"), "-s", str(sessions), "-l", str(size), "-m", str(mails), "-N",
             "-f", "a@example.invalid", "-t", "b@example.invalid", f"inet:{HOST}:{port}"],
            check=True, timeout=_PATIENCE,
        )  # fmt: skip
        deadline = time.monotonic() + _PATIENCE
        while _delivered(sink_log) < mails:
            if time.monotonic() > deadline:
                raise SystemExit(f"Postfix relayed {_delivered(sink_log)} of {mails} mails")
            time.sleep(0.02)
        return mails / (time.perf_counter() - started)


def _program(name: str) -> str:
    found = shutil.which(name, path=_PATH)
    if found is None:
        raise SystemExit(f"{name} is not installed: this benchmark needs Postfix and Dovecot (make test installs them)")
    return found


def _delivered(log: Path) -> int:
    """What ``smtp-sink -c`` has counted: it writes the number over and over into one line."""
    counted = re.findall(rb"(?:mail|mesg|msgs?|messages?)[= ]+(\d+)", log.read_bytes()[-4000:])
    return int(counted[-1]) if counted else 0


@contextmanager
def _sink() -> Iterator[tuple[int, Path]]:
    port = free_port()
    log = Path(f"/tmp/kepgw-sink-{port}.log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [_program("smtp-sink"), "-c", "-u", "nobody", f"inet:{HOST}:{port}", "1024"], stdout=output, stderr=output
        )
    try:
        yield port, log
    finally:
        process.terminate()
        process.wait(timeout=30)
        log.unlink()


@contextmanager
def _postfix(directory: Path, sink_port: int) -> Iterator[int]:
    port = free_port()
    configuration, queue, data = (directory / name for name in ("relay-conf", "relay-queue", "relay-data"))
    for place in (configuration, queue, data):
        place.mkdir()
    owner = pwd.getpwnam("postfix")
    os.chown(data, owner.pw_uid, grp.getgrnam("postfix").gr_gid)
    (configuration / "main.cf").write_text(
        f"""
compatibility_level = 3.6
queue_directory = {queue}
data_directory = {data}
maillog_file = {directory / "relay.log"}
maillog_file_prefixes = {directory}
myhostname = relay.example.invalid
mydestination =
inet_interfaces = {HOST}
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
relayhost = [{HOST}]:{sink_port}
disable_dns_lookups = yes
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
message_size_limit = 0
mailbox_size_limit = 0
local_transport = error:there are no local users
alias_maps =
"""
    )
    (configuration / "master.cf").write_text(
        f"{HOST}:{port} inet n - n - - smtpd{SERVICES}"
        "smtp      unix  -       -       n       -       -       smtp\n"
        "relay     unix  -       -       n       -       -       smtp\n"
    )
    subprocess.run([_program("postfix"), "-c", str(configuration), "check"], check=True, timeout=60)
    process = subprocess.Popen([MASTER, "-c", str(configuration), "-s"], start_new_session=True)
    try:
        _until_it_listens(port)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=30)


def _until_it_listens(port: int) -> None:
    for _attempt in range(200):
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit("Postfix does not listen")
