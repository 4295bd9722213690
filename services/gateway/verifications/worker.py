"""The process that puts one report on paper: limited before it reads anything, and killed at any time.

Run by ``rendering`` as ``python -m services.gateway.verifications.worker``: limits and order come as JSON on standard
input, the PDF goes to standard output. It has no settings, no secrets and no network client.
"""

from __future__ import annotations

import resource
import sys

from shared.contracts.base import Contract


class Limits(Contract):
    """What the process allows itself; the first line of its input."""

    memory_bytes: int
    """Of address space."""
    cpu_seconds: int


def main() -> None:
    """Write the PDF, or end with an error."""
    limits = Limits.model_validate_json(sys.stdin.buffer.readline())
    for what, limit in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 64),
    ):
        resource.setrlimit(what, (limit, limit))
    # Only now: what draws is loaded under the limits as well.
    from services.gateway.verifications.document import DocumentOrder, composed
    from services.gateway.verifications.drawing import drawn

    order = DocumentOrder.model_validate_json(sys.stdin.buffer.read())
    sys.stdout.buffer.write(drawn(composed(order)))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
