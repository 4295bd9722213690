"""Ports for servers that a test starts later."""

from __future__ import annotations

import socket


def listening_socket() -> socket.socket:
    """A listener on a free port of 127.0.0.1, for a server in this process.

    Named as TCP, because asyncio turns off Nagle's algorithm only then: else each answer waits 40 ms for an acknowledgement.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener


_held: list[socket.socket] = []


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens, and which no other process is given while this one lives.

    A server may bind it if it sets SO_REUSEADDR, as servers do: this process keeps it bound, without listening.
    Until then a connection to it is refused.
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    _held.append(holder)
    return int(holder.getsockname()[1])
