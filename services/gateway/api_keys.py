"""Issues, lists and revokes API keys."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from services.gateway import audit
from services.gateway.auth import Authenticator
from services.gateway.callers import Caller, Scope
from services.gateway.keys import mint_key, read_key
from services.gateway.schemas.admin import ApiKeyAnswer, ApiKeyBody, NewApiKeyAnswer
from services.gateway.tables import ApiKey, Client, ClientInstitution, Institution
from shared.clock import Clock
from shared.db.session import Database, UnitOfWork
from shared.errors import DomainError, ErrorCode, Fault

_OPERATOR = "operator"


class ApiKeys:
    """The keys of all clients."""

    def __init__(self, database: Database, clock: Clock, authenticator: Authenticator) -> None:
        self._database = database
        self._clock = clock
        self._authenticator = authenticator

    async def ensure_bootstrap(self, key: SecretStr) -> None:
        """Make the configured admin key valid; nothing happens when it is known, even if revoked since.

        Raises ``ValueError`` if it does not have the form of a key.
        """
        presented = read_key(key.get_secret_value())
        async with self._database.unit_of_work() as work:
            await _ensure_client(work, _OPERATOR, self._clock)
            made = await work.session.scalar(
                insert(ApiKey)
                .values(
                    prefix=presented.prefix, client_id=_OPERATOR, label="bootstrap", key_sha256=presented.sha256,
                    scopes=[Scope.ADMIN.value], created_at=self._clock.now(),
                )
                .on_conflict_do_nothing()
                .returning(ApiKey.prefix)
            )  # fmt: skip
            if made is not None:
                await audit.record(work, self._clock, actor=None, action="api-key.bootstrap", subject=made)

    async def issue(self, actor: Caller, body: ApiKeyBody) -> NewApiKeyAnswer:
        """Make a key. Raises VALIDATION_FAILED for an institution that is not configured here."""
        key, now = mint_key(), self._clock.now()
        scopes = sorted({scope.value for scope in body.scopes})
        async with self._database.unit_of_work() as work:
            await _ensure_client(work, body.client_id, self._clock)
            await self._bind(work, body)
            row = ApiKey(
                prefix=key.prefix, client_id=body.client_id, label=body.label, key_sha256=key.sha256, scopes=scopes,
                created_at=now, expires_at=body.expires_at, revoked_at=None, last_used_at=None,
            )  # fmt: skip
            work.session.add(row)
            await audit.record(
                work, self._clock, actor=actor, action="api-key.issue", subject=key.prefix, client=body.client_id,
                scopes=scopes, institutions=[str(number) for number in body.institutions],
            )  # fmt: skip
            await work.session.flush()
            bound = await _institutions(work.session, [body.client_id])
            answer = _answer(row, bound[body.client_id])
        return NewApiKeyAnswer(**answer.model_dump(), key=key.text)

    async def all(self) -> list[ApiKeyAnswer]:
        """Every key, oldest first."""
        async with self._database.reading() as session:
            rows = (await session.scalars(select(ApiKey).order_by(ApiKey.created_at, ApiKey.prefix))).all()
            bound = await _institutions(session, [row.client_id for row in rows])
        return [_answer(row, bound[row.client_id]) for row in rows]

    async def revoke(self, actor: Caller, prefix: str) -> None:
        """Make a key useless, for good; again is harmless. Raises NOT_FOUND."""
        async with self._database.unit_of_work() as work:
            row = await work.session.get(ApiKey, prefix, with_for_update=True)
            if row is None:
                raise DomainError(ErrorCode.NOT_FOUND, "no such API key")
            if row.revoked_at is None:
                row.revoked_at = self._clock.now()
                await audit.record(
                    work, self._clock, actor=actor, action="api-key.revoke", subject=prefix, client=row.client_id
                )
        self._authenticator.forget(prefix)

    async def _bind(self, work: UnitOfWork, body: ApiKeyBody) -> None:
        wanted = sorted(set(body.institutions))
        known = set(
            (await work.session.scalars(select(Institution.detsis_no).where(Institution.detsis_no.in_(wanted)))).all()
        )
        if missing := set(wanted) - known:
            faults = [
                Fault(f"/body/institutions/{index}", "this institution is not configured here")
                for index, number in enumerate(body.institutions)
                if number in missing
            ]
            raise DomainError(ErrorCode.VALIDATION_FAILED, "an institution is not configured here", faults=faults)
        for number in wanted:
            bound = insert(ClientInstitution).values(client_id=body.client_id, detsis_no=number)
            await work.session.execute(bound.on_conflict_do_nothing())


async def _ensure_client(work: UnitOfWork, client_id: str, clock: Clock) -> None:
    new = insert(Client).values(client_id=client_id, created_at=clock.now())
    await work.session.execute(new.on_conflict_do_nothing())


async def _institutions(session: AsyncSession, client_ids: Sequence[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    rows = await session.execute(
        select(ClientInstitution.client_id, ClientInstitution.detsis_no)
        .where(ClientInstitution.client_id.in_(set(client_ids)))
        .order_by(ClientInstitution.detsis_no)
    )
    for client_id, detsis_no in rows:
        found[client_id].append(detsis_no)
    return found


def _answer(row: ApiKey, institutions: list[int]) -> ApiKeyAnswer:
    return ApiKeyAnswer(
        key_id=row.prefix,
        client_id=row.client_id,
        label=row.label,
        scopes=[Scope(scope) for scope in row.scopes],
        institutions=institutions,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )
