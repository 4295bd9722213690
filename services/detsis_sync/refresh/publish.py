"""Publishing: every staged list applied, every change kept and the run accepted, in one transaction or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select, text, update

from services.detsis_sync.refresh.contacts import apply_contacts
from services.detsis_sync.refresh.diff import Applying, apply_keyed
from services.detsis_sync.refresh.diff_units import apply_sightings, apply_units, keep_reachable, written_meanwhile
from services.detsis_sync.refresh.eyp import apply_eyp_versions
from services.detsis_sync.refresh.lists import MIRRORED, PLANS, ListPlan, Target
from services.detsis_sync.refresh.stage import staged_table
from services.detsis_sync.tables import Run, RunList
from shared.clock import Clock
from shared.db.session import UnitOfWork
from shared.errors import DomainError, ErrorCode

_LOCKED = ("units", "unit_sightings", "eyp_versions", *(mirrored.table for mirrored in MIRRORED))
# Addresses come first: a unit that is new knows at once whether it can be reached.
_ORDER = sorted(PLANS, key=lambda plan: plan.target is not Target.KEYED)
FATES = ("new", "changed", "unchanged", "absent", "returned", "tombstoned", "overtaken")


async def publish(
    work: UnitOfWork, run: Run, lists: Mapping[str, RunList], clock: Clock, *, from_state: str = "running"
) -> dict[str, int]:
    """Apply ``lists`` (staged, judged) for ``run`` and accept it; returns the counts of its report.

    Raises ``DomainError(STATE_CONFLICT)`` unless the run is in ``from_state``: a job thought dead may have been
    given to another worker, and the same list applied twice would look like two nights.
    """
    # Two accounts would write the same units in different orders.
    await work.session.execute(text(f"LOCK TABLE {', '.join(_LOCKED)} IN SHARE ROW EXCLUSIVE MODE"))
    state = await work.session.scalar(select(Run.state).where(Run.run_id == run.run_id).with_for_update())
    if state != from_state:
        raise DomainError(ErrorCode.STATE_CONFLICT, f"run {run.run_id} has ended elsewhere")
    applying = Applying(await work.connection(), run.run_id, clock.now())
    changes = await _apply(applying, run, lists)
    counts = dict(run.counts)
    for name, fates in changes.items():
        counts |= {f"{name}.{fate}": fates.get(fate, 0) for fate in FATES}
        counts |= _seen(name, lists[name])
        await work.session.execute(
            update(RunList)
            .where(RunList.run_id == run.run_id, RunList.list_name == name)
            .values(state="applied", changes=fates, reason=None)
        )
    counts |= await _summary(applying, changes)
    # What a person releases is as old as when it was fetched, and nobody shall take it for newer.
    finished_at = clock.now() if from_state == "running" else run.finished_at
    await work.session.execute(
        update(Run)
        .where(Run.run_id == run.run_id)
        .values(
            state="accepted",
            finished_at=finished_at,
            published_at=func.coalesce(Run.published_at, applying.now),
            counts=counts,
            reason=None,
        )
    )
    return counts


async def _apply(applying: Applying, run: Run, lists: Mapping[str, RunList]) -> dict[str, dict[str, int]]:
    no_units = bool(await applying.value("SELECT NOT EXISTS (SELECT FROM units)"))
    done: dict[str, dict[str, int]] = {}
    applied_units: list[str] = []
    for plan in _ORDER:
        if (row := lists.get(plan.name)) is None:
            continue
        table = staged_table(run.run_id, plan.name)
        if plan.target is Target.UNITS:
            done[plan.name] = await _units(applying, run, plan, row, applied_units, first=no_units)
            applied_units.append(table)
        elif plan.target is Target.EYP_VERSIONS:
            done[plan.name] = await apply_eyp_versions(applying, table)
        elif plan.target is Target.CONTACTS:
            own = staged_table(run.run_id, "contacts_own") if "contacts_own" in lists else None
            done[plan.name] = await apply_contacts(
                applying, table, institution_no=run.institution_no, list_name=plan.name,
                own=own if plan.name != "contacts_own" else None,
            )  # fmt: skip
        elif plan.mirrored is not None:
            done[plan.name] = await apply_keyed(applying, plan.mirrored, table, plan.name, plan.scope)
    if "addresses" in done and not no_units:
        await keep_reachable(applying)
    return done


async def _units(
    applying: Applying, run: Run, plan: ListPlan, row: RunList, before: list[str], *, first: bool
) -> dict[str, int]:
    table = staged_table(run.run_id, plan.name)
    meanwhile = await written_meanwhile(applying, row.started_at)
    content = await apply_units(applying, table, before=before, first=first, meanwhile=meanwhile)
    seen = await apply_sightings(
        applying,
        table,
        institution_no=run.institution_no,
        list_name=plan.name,
        delta=plan.is_delta(run.mode),
    )
    return content | seen


def _seen(name: str, row: RunList) -> dict[str, int]:
    return {
        f"{name}.rows": row.rows,
        f"{name}.duplicates": row.duplicates,
        f"{name}.rejected": row.rejected,
        f"{name}.unclear_flags": row.unclear_flags,
        f"{name}.unknown_elements": sum(row.unknown_elements.values()),
    }


async def _summary(applying: Applying, changes: Mapping[str, Any]) -> dict[str, int]:
    """What a person asks first (detsis.md 12.7)."""
    kinds = {
        str(kind): int(number)
        for kind, number in await (
            await applying.execute(
                "SELECT kind, count(*) FROM changes WHERE run_id = %(run)s AND subject = 'unit' GROUP BY kind"
            )
        ).fetchall()
    }
    fresh = (
        "SELECT DISTINCT c.detsis_no FROM changes c WHERE c.run_id = %(run)s AND c.subject = 'kep_address' AND"
        " (c.kind = 'returned' OR c.kind IN ('created', 'changed') AND c.new ->> 'active' = 'true')"
    )
    other = "(SELECT count(*) FROM kep_addresses k WHERE k.detsis_no = f.detsis_no) > 1"
    return {
        "closed": kinds.get("closed", 0),
        "reopened": kinds.get("reopened", 0),
        "kep_opened": await applying.value(f"SELECT count(*) FROM ({fresh}) f WHERE NOT {other}"),
        "kep_moved": await applying.value(f"SELECT count(*) FROM ({fresh}) f WHERE {other}"),
        "certificates_replaced": await applying.value(
            "SELECT count(DISTINCT c.detsis_no) FROM changes c WHERE c.run_id = %(run)s AND c.subject = 'certificate'"
            " AND c.kind = 'created' AND EXISTS (SELECT FROM certificates o WHERE o.detsis_no = c.detsis_no"
            " AND o.changed_run_id <> %(run)s OR o.detsis_no = c.detsis_no AND o.absent_since IS NOT NULL)"
        ),
        "lists_applied": len(changes),
    }
