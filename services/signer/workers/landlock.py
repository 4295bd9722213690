"""What Linux denies a process for good at its own wish (Landlock, since 5.13): files, signals, TCP, other processes' memory.

Limits bound what a worker takes; this bounds what it reaches. It runs as the same user as signer, and would
otherwise read the files that keys lie in, and the memory of signer itself.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path

# The same numbers on all architectures.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION = 1
_PATH_BENEATH = 1
_NO_NEW_PRIVILEGES = 38

_READ_FILE, _READ_DIRECTORY = 1 << 2, 1 << 3
_FILES_SINCE = {1: 13, 2: 14, 3: 15, 5: 16}
"""How many rights about files there are, by the version that brought the last of them."""
_TCP = 0b11
"""Bind and connect; since version 4."""
_OUTSIDE = 0b11
"""Abstract Unix sockets and signals of processes outside; since version 6."""


def version() -> int:
    """What the kernel knows of it; 0 when nothing."""
    found: int = _call(_CREATE_RULESET, None, 0, _VERSION)
    return max(found, 0)


def confine_to(readable: Iterable[Path]) -> bool:
    """From now on nothing can be read but what lies beneath these directories and what is open already.

    Nothing can be written or executed, no TCP connection made and no process outside signalled or looked into, as
    far as the kernel's version knows of it. Whether it knows of it at all; raises ``OSError`` when it refuses.
    """
    known = version()
    if not known:
        return False
    rights = (1 << max(count for since, count in _FILES_SINCE.items() if since <= known)) - 1
    wish = struct.pack("QQQ", rights, _TCP, _OUTSIDE)[: 8 if known < 4 else 16 if known < 6 else 24]
    ruleset = _checked(_call(_CREATE_RULESET, wish, len(wish), 0))
    for path in readable:
        if path.is_dir():
            _allow(ruleset, path)
    libc = ctypes.CDLL(None, use_errno=True)
    _checked(libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    _checked(_call(_RESTRICT_SELF, ruleset, 0))
    os.close(ruleset)
    return True


def _allow(ruleset: int, path: Path) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = struct.pack("=Qi", _READ_FILE | _READ_DIRECTORY, descriptor)
        _checked(_call(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0))
    finally:
        os.close(descriptor)


def _call(number: int, *arguments: int | bytes | None) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    return int(libc.syscall(ctypes.c_long(number), *arguments))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
