"""Seals for each second with a key on a token (SoftHSM), beside the same with a key in memory.

Both go the whole way: attributes, signature, our own verifier. What differs is the process that holds the
session and the pipe to it; a real module adds its own time.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import tempfile
import time
from pathlib import Path

import structlog
from cryptography.hazmat.primitives.asymmetric import ec

from services.signer.keys import KeyRing, load_keys
from services.signer.sealing import Sealing
from shared.clock import FixedClock
from tests.benchmarks.figure import Figure
from tests.support.pki import NOW, PASSWORD, SEAL_USAGE, ec_key, make_hierarchy, rsa_key
from tests.support.softhsm import MODULE, SoftToken

ROUNDS = 400
OWN = 10000001
_COMPONENT = os.urandom(2000)


async def run() -> list[Figure]:
    """One line for each kind of key, called by one and by eight at the same time."""
    if MODULE is None:
        return [Figure("seals by a token", "SoftHSM is not installed")]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    issuing = make_hierarchy("seal").issuing
    figures = []
    with tempfile.TemporaryDirectory(prefix="kepgw-bench-") as name:
        directory = Path(name)
        token = SoftToken(directory / "hsm").make()
        os.environ["SOFTHSM2_CONF"] = str(token.configuration)
        (directory / "password").write_bytes(PASSWORD)
        entries = []
        kinds = {"RSA-2048": rsa_key(), "P-256": ec_key(), "P-384": ec_key(ec.SECP384R1())}
        for number, (kind, key) in enumerate(kinds.items()):
            holder = issuing.issue("Örnek", key=key, key_usage=SEAL_USAGE)
            token.put(holder, kind, f"a{number}", SIGN=True)
            holder.write_pkcs12(directory / f"{kind}.p12")
            entries.append(token.entry(f"token-{kind}", OWN, "package-seal", key_label=kind))
            entries.append(
                {"key_id": f"memory-{kind}", "institution_no": OWN, "purposes": ["package-seal"],
                 "pkcs12": f"{kind}.p12", "password_file": "password"}
            )  # fmt: skip
        (directory / "keys.json").write_text(json.dumps(entries))
        ring = load_keys(directory / "keys.json")
        try:
            for kind in kinds:
                for callers in (1, 8):
                    by_token = await _rate(ring, f"token-{kind}", callers)
                    in_memory = await _rate(ring, f"memory-{kind}", callers)
                    figures.append(
                        Figure(
                            f"seals by a token, {kind}, {callers} caller{'s' if callers > 1 else ''}",
                            f"{by_token:.0f}/s", f"{in_memory:.0f}/s, the same with PKCS#12", f"{by_token / in_memory:.2f}",
                        )
                    )  # fmt: skip
        finally:
            ring.close()
    return figures


async def _rate(ring: KeyRing, key_id: str, callers: int) -> float:
    sealing = Sealing(ring, FixedClock(NOW))
    key = sealing.seal_key(key_id, OWN)

    async def call(rounds: int) -> None:
        for _ in range(rounds):
            await sealing.seal(key, _COMPONENT, "bench")

    await asyncio.gather(*(call(4) for _ in range(callers)))
    started = time.perf_counter()
    await asyncio.gather(*(call(ROUNDS // callers) for _ in range(callers)))
    elapsed = time.perf_counter() - started
    sealing.close()
    return ROUNDS / elapsed
