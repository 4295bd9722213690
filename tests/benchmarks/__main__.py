"""``make bench``: runs every benchmark and prints one line each."""

from __future__ import annotations

import asyncio
import sys

from tests.benchmarks import (
    bulk_list,
    directory_api,
    directory_refresh,
    letters,
    packages,
    relay,
    seals,
    signatures,
    signer,
)


def main() -> int:
    """Run those named on the command line, or all."""
    known = {
        "bulk": [bulk_list.run],
        "directory": [directory_refresh.run, directory_api.run],
        "letters": [letters.run],
        "packages": [packages.run],
        "relay": [relay.run],
        "seals": [seals.run],
        "signatures": [signatures.run],
        "signer": [signer.run],
    }
    for name in sys.argv[1:] or known:
        for part in known[name]:
            for figure in asyncio.run(part()):
                print(
                    f"{name:10} {figure.what:58} {figure.value:>12} {figure.reference:>34} {figure.ratio}", flush=True
                )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
