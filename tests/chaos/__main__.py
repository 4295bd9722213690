"""``make chaos``: ten to twenty minutes, on this machine alone; exit code 0 only if it ends 0, 0, 0."""

from __future__ import annotations

import argparse
import sys
import time

from tests.chaos.run import SETTINGS, Outcome, run
from tests.support.launch import running_stack

_CALM_SECONDS = 1200
"""Far more than it takes: on a machine that is busy with other things everything takes longer."""


def main() -> int:
    """Run it and print what happened."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--letters", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=240, help="how long letters are handed over under the storm")
    parser.add_argument("--seed", type=int, default=int(time.monotonic()))
    given = parser.parse_args()
    with running_stack(SETTINGS, forked=False) as stack:
        outcome = run(
            stack, letters=given.letters, seconds=given.seconds, seed=given.seed, calm_seconds=_CALM_SECONDS, tell=_tell
        )
    _print(outcome, given.seed)
    return 0 if outcome.reckoning.clean else 1


def _tell(text: str) -> None:
    sys.stdout.write(f"· {text}\n")
    sys.stdout.flush()


def _print(outcome: Outcome, seed: int) -> None:
    found = outcome.reckoning
    lines = [
        f"seed              {seed}",
        f"seconds           {outcome.seconds:.0f}",
        f"letters           {found.letters}",
        f"kills             {sum(outcome.kills.values())}  {dict(outcome.kills)}",
        f"faults            {sum(outcome.faults.values())}  {dict(outcome.faults)}",
        f"undelivered       {found.undelivered}",
        f"lost              {found.lost}",
        f"doubled           {found.doubled}",
        f"ledger imbalance  {found.imbalance}",
        "CHAOS " + ("ok: 0 lost, 0 doubled, 0 unaccounted for" if found.clean else "FAILED"),
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
