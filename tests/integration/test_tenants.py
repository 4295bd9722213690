"""Every row belongs to an institution: a stranger with every scope walks all routes and finds and changes nothing.

The routes are those of the gateway's own document and of kep_relay's internal interface. A new route fails here
until it has a rule.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI

from services.detsis_sync.tables import Run
from services.gateway.callers import Scope
from services.gateway.examples import REPORT
from services.gateway.openapi import openapi_document
from services.gateway.verifications import rows as verification_rows
from services.gateway.verifications.verdicts import ripeness
from shared.db.session import Database
from tests.support import drafts
from tests.support.database import fresh_database
from tests.support.gateway import TOKENS, RunningGateway, running_gateway
from tests.support.neighbours import served_directory, served_relay
from tests.support.tenants import OWNER, STRANGER, Belongings, differences, rows_of_owner
from tests.unit.eyp import letters

pytestmark = pytest.mark.asyncio(loop_scope="module")

Operation = tuple[str, str]
RELEASE = {"decided_by": "Yabancı", "reason": "yabancı"}
ROUTING = {"consumer": "default", "decided_by": "Yabancı", "reason": "yabancı"}
EVERYTHING_BUT_ADMIN = [scope.value for scope in Scope if scope is not Scope.ADMIN]


@dataclass
class World:
    gateway: RunningGateway
    relay_url: str
    relay_app: FastAPI
    belongings: Belongings
    database: Database
    owner: str
    stranger: str
    operator: str
    """A key with scope admin alone, bound to the stranger's institution."""

    async def call(self, key: str, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"X-Api-Key": key, **options.pop("headers", {})}
        return await self.gateway.http.request(method, path, headers=headers, **options)

    def revealed(self, answer: httpx.Response) -> list[str]:
        """What of A's stands in an answer, its headers included, except what the caller had to name itself."""
        asked = str(answer.request.url)
        shown = answer.content.decode("utf-8", "replace") + str(answer.headers)
        return [mark for mark in self.belongings.marks if mark in shown and mark not in asked]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(database_server: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    directory = tmp_path_factory.mktemp("tenants")
    with fresh_database(database_server) as url:
        async with (
            served_relay(url, directory / "blobs") as relay,
            served_directory(url) as register,
            running_gateway(
                url, directory, kep_relay_url=relay.url, detsis_sync_url=register.url, request_burst=10_000,
                clock=relay.relay.clock,
            ) as gateway,
        ):  # fmt: skip
            await register.unit(10000002, "Deneme Müdürlüğü", address="b@hs99.kep.tr")
            await register.unit(OWNER, "Kurum A", address="kurum.a@hs98.kep.tr")
            world = await _furnished(gateway, relay.url, relay.line.app, Belongings(relay.relay))
            async with register.database.unit_of_work() as work:
                now = relay.relay.clock.now()
                run = Run(
                    institution_no=OWNER, trigger="manual", state="failed", started_at=now, finished_at=now,
                    reason="reason-of-A",
                )  # fmt: skip
                work.session.add(run)
                await work.session.flush()
                world.belongings.identifiers["run_id"] = str(run.run_id)
            yield world


async def _furnished(gateway: RunningGateway, relay_url: str, relay_app: Any, belongings: Belongings) -> World:
    await gateway.institution(OWNER, package_findings="warn", signatures="pass")
    await gateway.institution(STRANGER)
    scopes = EVERYTHING_BUT_ADMIN
    owner = await gateway.key(*scopes, institutions=(OWNER,), client_id="owner", label="label-of-A")
    stranger = await gateway.key(*scopes, institutions=(STRANGER,), client_id="stranger")
    operator = await gateway.key("admin", institutions=(STRANGER,), client_id="operator")
    account = {"account_id": "account-of-A", "endpoint": "https://127.0.0.1:1/", "password": "password-of-A"}
    answer = await gateway.admin("PUT", f"/v1/directory/accounts/{OWNER}", json=account)
    assert answer.status_code == 200, answer.text
    await belongings.acquire()
    belongings.identifiers["key_id"] = owner.split("_")[1]
    database = belongings.relay.deps.database
    world = World(gateway, relay_url, relay_app, belongings, database, owner, stranger, operator)
    opening = {"kep_address": "address-of-A@hs98.kep.tr"}
    opened = await world.call(owner, "POST", "/v1/kep-registrations", json=opening)
    assert opened.status_code == 201, opened.text
    belongings.identifiers["registration_id"] = opened.json()["registration"]["registration_id"]
    for name in ("draft", "finished"):
        belongings.identifiers[name] = await _written(world, finish=name == "finished")
    belongings.identifiers["annex_id"] = drafts.ANNEX
    belongings.identifiers["authorisation_id"] = "print-authorisation"
    printed = await world.call(owner, "POST", "/v1/prints", files={"package": ("a.eyp", letters.package())})
    assert printed.status_code == 200, printed.text
    belongings.identifiers["verification_id"] = str(await _verified(world))
    consumer = {"description": "consumer-of-A", "rules": [{"match": {"subjects": ["rule-of-A"]}}]}
    entered = await world.call(owner, "PUT", "/v1/consumers/consumer-a", json=consumer)
    assert entered.status_code == 200, entered.text
    belongings.identifiers["consumer"] = "consumer-a"
    leased = await world.call(owner, "POST", "/v1/inbound-messages/leases", json={"seconds": 3600})
    assert leased.status_code == 200, leased.text
    belongings.lease_token = leased.json()["lease_token"]
    return world


async def _verified(world: World) -> UUID:
    """A verification A keeps. signer is nowhere: its verdict is written down as signer's would be."""
    parts = {"file": ("file-of-A.p7s", b"signature-of-A"), "keep": (None, "true"), "client_ref": (None, "ref-of-A")}
    begun = await world.call(world.owner, "POST", "/v1/signature-verifications", files=parts)
    assert begun.status_code == 202, begun.text
    verification_id = UUID(begun.json()["verification_id"])
    database = world.gateway.service.app.state.gateway.database  # type: ignore[attr-defined]
    row = await verification_rows.get(database, verification_id)
    assert row is not None
    (first,) = REPORT.signatures
    assert first.signer is not None
    signer = first.signer.model_copy(update={"name": "signer-of-A"})
    report = REPORT.model_copy(update={"signatures": [first.model_copy(update={"signer": signer})]})
    text = report.model_dump_json()
    async with database.unit_of_work() as work:
        assert await verification_rows.settle(
            work, row, report, ripeness(report), text_of_report=text, due_at=None, now=report.verified_at,
            sha256=hashlib.sha256(text.encode()).hexdigest(),
        )  # fmt: skip
    return verification_id


async def _written(world: World, *, finish: bool) -> str:
    """A package of A's; its signatures have no signer, and nobody is there to say so."""
    headers = {"Idempotency-Key": f"package-{finish}"}
    body = {"version": "2.0", "metadata": drafts.letter(subject="subject-of-A")}
    begun = await world.call(world.owner, "POST", "/v1/packages", json=body, headers=headers)
    assert begun.status_code == 201, begun.text
    path = f"/v1/packages/{begun.json()['package_id']}"
    contents = {"cover-letter": drafts.COVER} | {
        f"annexes/{annex}/content": content for annex, content in drafts.FILES.items()
    }
    for what, content in contents.items():
        put = await world.call(world.owner, "PUT", f"{path}/{what}", content=content)
        assert put.status_code == 200, put.text
    for step in ("signature", "seal") if finish else ():
        manifest = await world.call(world.owner, "GET", f"{path}/to-be-signed", params={"step": step})
        cms = letters.unsigned_cms(manifest.content)
        put = await world.call(world.owner, "PUT", f"{path}/{step}", content=cms)
        assert put.status_code == 200, put.text
        if step == "signature":
            put = await world.call(world.owner, "PUT", f"{path}/final-metadata", json=drafts.FINAL)
            assert put.status_code == 200, put.text
    return str(begun.json()["package_id"])


def documented(world: World) -> dict[Operation, dict[str, Any]]:
    paths = openapi_document(world.gateway.service.app)["paths"]  # type: ignore[arg-type]
    return {(method.upper(), path): found for path, item in paths.items() for method, found in item.items()}


# What belongs to one institution, by id: not there for anybody else.
HIDDEN: dict[Operation, Callable[[Belongings], dict[str, Any]]] = {
    ("GET", "/v1/outbound-messages/{message_id}"): lambda _: {},
    ("GET", "/v1/outbound-messages/{message_id}/events"): lambda _: {},
    ("GET", "/v1/outbound-messages/{message_id}/proof"): lambda _: {},
    ("GET", "/v1/outbound-messages/{message_id}/evidence"): lambda _: {},
    ("GET", "/v1/outbound-messages/{message_id}/evidence/{evidence_id}/content"): lambda _: {},
    ("POST", "/v1/outbound-messages/{message_id}/cancel"): lambda _: {},
    ("POST", "/v1/outbound-messages/{message_id}/resend"): lambda _: {"headers": {"Idempotency-Key": "again"}},
    ("GET", "/v1/inbound-messages/{message_id}"): lambda _: {},
    ("GET", "/v1/inbound-messages/{message_id}/package"): lambda _: {},
    ("GET", "/v1/inbound-messages/{message_id}/raw"): lambda _: {},
    ("GET", "/v1/inbound-messages/{message_id}/parts/{number}"): lambda _: {},
    ("GET", "/v1/inbound-messages/{message_id}/verification"): lambda _: {},
    ("POST", "/v1/inbound-messages/{message_id}/ack"): lambda a: {
        "json": {"lease_token": a.lease_token, "registry_no": "1"}
    },
    ("POST", "/v1/inbound-messages/{message_id}/acceptance"): lambda _: {
        "json": {"decision": "accepted", "decided_by": "Yabancı"}
    },
    ("POST", "/v1/inbound-messages/{message_id}/refusal-notice"): lambda _: {
        "json": {"decided_by": "Yabancı"},
        "headers": {"Idempotency-Key": "foreign-notice"},
    },
    ("POST", "/v1/inbound-messages/{message_id}/nack"): lambda a: {"json": {"lease_token": a.lease_token}},
    ("POST", "/v1/inbound-messages/{message_id}/renew"): lambda a: {"json": {"lease_token": a.lease_token}},
    ("POST", "/v1/inbound-messages/{message_id}/verify"): lambda _: {},
    ("POST", "/v1/inbound-messages/{message_id}/redrive"): lambda _: {},
    ("GET", "/v1/inbound-messages/{message_id}/routing"): lambda _: {},
    ("POST", "/v1/inbound-messages/{message_id}/routing"): lambda _: {"json": ROUTING},
    ("GET", "/v1/consumers/{consumer}"): lambda _: {},
    ("DELETE", "/v1/consumers/{consumer}"): lambda _: {},
    ("GET", "/v1/classified-incidents/{incident_id}"): lambda _: {},
    ("GET", "/v1/classified-incidents/{incident_id}/raw"): lambda _: {"params": {"reason": "yabancı"}},
    ("POST", "/v1/classified-incidents/{incident_id}/close"): lambda _: {
        "json": {"decision": "yabancı", "decided_by": "Yabancı"}
    },
    ("GET", "/v1/packages/{package_id}"): lambda _: {},
    ("GET", "/v1/packages/{package_id}/to-be-signed"): lambda _: {"params": {"step": "signature"}},
    ("GET", "/v1/packages/{package_id}/content"): lambda _: {},
    ("PUT", "/v1/packages/{package_id}/metadata"): lambda _: {
        "json": {"metadata": drafts.letter()},
        "headers": {"If-Match": '"4"'},
    },
    ("PUT", "/v1/packages/{package_id}/cover-letter"): lambda _: {"content": b"foreign"},
    ("PUT", "/v1/packages/{package_id}/annexes/{annex_id}/content"): lambda _: {"content": b"foreign"},
    ("PUT", "/v1/packages/{package_id}/initials"): lambda _: {"content": b"foreign"},
    ("PUT", "/v1/packages/{package_id}/signature"): lambda _: {"content": b"foreign"},
    ("PUT", "/v1/packages/{package_id}/final-metadata"): lambda _: {"json": drafts.FINAL},
    ("POST", "/v1/packages/{package_id}/seal"): lambda _: {"json": {}},
    ("PUT", "/v1/packages/{package_id}/seal"): lambda _: {"content": b"foreign"},
    ("DELETE", "/v1/packages/{package_id}"): lambda _: {},
    ("GET", "/v1/inbound-messages/{message_id}/print"): lambda _: {},
    ("GET", "/v1/mailboxes/{mailbox_id}/readiness"): lambda _: {},
    ("GET", "/v1/mailboxes/{mailbox_id}/second-factor"): lambda _: {},
    ("POST", "/v1/mailboxes/{mailbox_id}/second-factor"): lambda _: {"json": {"by": "Yabancı"}},
    ("POST", "/v1/mailboxes/{mailbox_id}/second-factor/confirm"): lambda _: {
        "json": {"by": "Yabancı", "sms_code": "1"}
    },
    ("GET", "/v1/kep-registrations/{registration_id}"): lambda _: {},
    ("GET", "/v1/directory/runs/{run_id}"): lambda _: {},
    ("GET", "/v1/signature-verifications/{verification_id}"): lambda _: {},
    ("GET", "/v1/signature-verifications/{verification_id}/report"): lambda _: {},
    ("GET", "/v1/signature-verifications/{verification_id}/report.pdf"): lambda _: {},
    ("POST", "/v1/kep-registrations/{registration_id}/entered"): lambda _: {"json": {"entered_by": "Yabancı"}},
    ("POST", "/v1/kep-registrations/{registration_id}/confirm"): lambda a: {
        "json": {"confirmed_by": "Yabancı", "verification_mail_id": a.identifiers["inbound"]}
    },
    ("POST", "/v1/kep-registrations/{registration_id}/cancel"): lambda _: {"json": {"reason": "yabancı"}},
}
LOOKED_AFTER = ("/v1/mailboxes", "/v1/kep-registrations", "/v1/directory/runs")
"""What scope admin may see of every institution."""
# Lists: the stranger's own, which is nothing.
LISTS: dict[Operation, dict[str, Any]] = {
    ("GET", "/v1/outbound-messages"): {},
    ("GET", "/v1/inbound-messages"): {},
    ("POST", "/v1/inbound-messages/leases"): {"json": {}},
    ("GET", "/v1/events"): {},
    ("GET", "/v1/classified-incidents"): {},
    ("GET", "/v1/packages"): {},
    ("GET", "/v1/prints"): {},
    ("GET", "/v1/mailboxes"): {},
    ("GET", "/v1/kep-registrations"): {},
}
# Where an institution can be named, A cannot.
NAMED: dict[Operation, dict[str, Any]] = {
    ("GET", "/v1/outbound-messages"): {"params": {"institution": OWNER}},
    ("GET", "/v1/inbound-messages"): {"params": {"institution": OWNER}},
    ("POST", "/v1/inbound-messages/leases"): {"json": {"institution_no": OWNER}},
    ("GET", "/v1/events"): {"params": {"institution": OWNER}},
    ("GET", "/v1/consumers"): {"params": {"institution": OWNER}},
    ("GET", "/v1/consumers/{consumer}"): {"params": {"institution": OWNER}},
    ("PUT", "/v1/consumers/{consumer}"): {"json": {"institution_no": OWNER}},
    ("DELETE", "/v1/consumers/{consumer}"): {"params": {"institution": OWNER}},
    ("GET", "/v1/classified-incidents"): {"params": {"institution": OWNER}},
    ("GET", "/v1/packages"): {"params": {"institution": OWNER}},
    ("POST", "/v1/packages"): {
        "headers": {"Idempotency-Key": "named"},
        "json": {"institution_no": OWNER, "version": "2.0", "metadata": drafts.letter()},
    },
    ("POST", "/v1/package-updates"): {
        "headers": {"Idempotency-Key": "named"},
        "files": {
            "message": (None, json.dumps({"institution_no": OWNER} | drafts.UPDATE), "application/json"),
            "package": ("letter.eyp", letters.package(), "application/eyazisma"),
        },
    },
    ("GET", "/v1/prints"): {"params": {"institution": OWNER}},
    ("POST", "/v1/prints"): {
        "files": {
            "options": (None, json.dumps({"institution_no": OWNER}), "application/json"),
            "package": ("letter.eyp", letters.package(), "application/eyazisma"),
        },
    },
    ("GET", "/v1/kep-registrations"): {"params": {"institution": OWNER}},
    ("POST", "/v1/kep-registrations"): {"json": {"institution_no": OWNER, "kep_address": "baska@hs98.kep.tr"}},
    ("POST", "/v1/correspondence-data"): {"json": {"institution_no": OWNER, "recipients": [10000002]}},
    ("GET", "/v1/directory/units/by-former-number"): {"params": {"institution_no": OWNER, "numbers": "1"}},
    ("GET", "/v1/directory/units/{detsis_no}/contacts"): {"params": {"institution_no": OWNER}},
    ("GET", "/v1/directory/units/{detsis_no}/uets-numbers"): {"params": {"institution_no": OWNER}},
    ("GET", "/v1/directory/units/{detsis_no}/managers"): {"params": {"institution_no": OWNER}},
    ("GET", "/v1/directory/units/{detsis_no}/eyp-versions"): {"params": {"institution_no": OWNER, "source": "live"}},
    ("GET", "/v1/directory/units"): {"params": {"institution_no": OWNER}},
    ("GET", "/v1/directory/units/{detsis_no}"): {"params": {"institution_no": OWNER, "source": "live"}},
    ("GET", "/v1/directory/units/{detsis_no}/children"): {"params": {"institution_no": OWNER, "source": "live"}},
    ("GET", "/v1/directory/units/{detsis_no}/ancestors"): {"params": {"institution_no": OWNER, "source": "mirror"}},
    ("GET", "/v1/directory/main-institutions"): {"params": {"institution_no": OWNER}},
    ("GET", "/v1/directory/officers"): {"params": {"institution_no": OWNER}},
    ("GET", "/v1/directory/main-institutions/{detsis_no}/file-plan"): {"params": {"institution_no": OWNER}},
    ("POST", "/v1/directory/resolve"): {"json": {"institution_no": OWNER, "recipients": [10000002]}},
    ("POST", "/v1/outbound-messages"): {
        "headers": {"Idempotency-Key": "named"},
        "files": {
            "message": (
                None,
                json.dumps({"institution_no": OWNER, "recipients": [{"detsis_no": 10000002}]}),
                "application/json",
            ),
            "package": ("letter.eyp", letters.package(), "application/eyazisma"),
        },
    },
    ("POST", "/v1/signature-verifications"): {
        "files": {"file": ("a.p7s", b"foreign"), "keep": (None, "true"), "institution": (None, str(OWNER))},
    },
    ("POST", "/v1/message-contents"): {
        "files": {
            "message": (
                None,
                json.dumps({"institution_no": OWNER, "recipients": [{"detsis_no": 10000002}]}),
                "application/json",
            ),
            "package": ("letter.eyp", letters.package(), "application/eyazisma"),
        },
    },
    ("POST", "/v1/timestamp-verifications"): {
        "files": {"file": ("a.tsr", b"foreign"), "keep": (None, "true"), "institution": (None, str(OWNER))},
    },
    ("POST", "/v1/package-encryptions"): {
        "files": {
            "message": (None, json.dumps({"institution_no": OWNER, "recipients": [10000002]}), "application/json"),
            "package": ("letter.eyp", letters.package(), "application/eyazisma"),
        },
    },
}
# The register is the same for everybody; nothing is stored of what is inspected or verified.
COMMON: set[Operation] = {
    ("GET", "/v1/directory/units"),
    ("GET", "/v1/directory/units/{detsis_no}"),
    ("GET", "/v1/directory/units/{detsis_no}/children"),
    ("GET", "/v1/directory/units/{detsis_no}/ancestors"),
    ("GET", "/v1/directory/units/{detsis_no}/changes"),
    ("GET", "/v1/directory/units/{detsis_no}/kep-addresses"),
    ("GET", "/v1/directory/units/{detsis_no}/certificates"),
    ("GET", "/v1/directory/units/{detsis_no}/eyp-versions"),
    ("GET", "/v1/directory/kep-addresses/{address}"),
    ("GET", "/v1/directory/main-institutions"),
    ("GET", "/v1/directory/codes/{kind}"),
    ("GET", "/v1/directory/places"),
    ("GET", "/v1/directory/changes"),
    ("GET", "/v1/directory/export"),
    ("GET", "/v1/directory/status"),
    ("GET", "/v1/directory/runs"),
    ("POST", "/v1/package-inspections"),
    ("POST", "/v1/signature-verifications/batch"),
    ("POST", "/v1/certificate-verifications"),
}


async def test_every_documented_route_has_a_rule_and_every_route_is_documented(world: World) -> None:
    operations = documented(world)
    admin = {key for key, found in operations.items() if found["x-required-scopes"] == ["admin"]}
    ruled = HIDDEN.keys() | LISTS.keys() | NAMED.keys() | COMMON | admin
    assert operations.keys() - ruled == set(), "give these a rule: what may a stranger see or change there?"
    assert ruled - operations.keys() == set(), "rules for routes that are gone"
    assert not admin & (HIDDEN.keys() | LISTS.keys() | NAMED.keys() | COMMON)
    with_institution = {
        key
        for key, found in operations.items()
        if any(
            p["name"] in {"institution", "institution_no"} and p["in"] == "query" for p in found.get("parameters", [])
        )
    }
    assert with_institution <= NAMED.keys(), "the parameter institution must be refused for foreign ones"
    app: Any = world.gateway.service.app
    served = {
        (method, route.path.replace(":path}", "}"))
        for route in _routes(app.router)
        for method in getattr(route, "methods", None) or ()
        if route.path.startswith("/v1")
    }
    assert {key for key in served if key[0] != "HEAD"} == operations.keys(), "a route outside the document"


def _routes(router: Any) -> Iterator[Any]:
    """The routes of a router and of those it includes."""
    for route in router.routes:
        if (inner := getattr(route, "original_router", None)) is not None:
            yield from _routes(inner)
        else:
            yield route


async def test_what_has_an_owner_is_not_there_for_others(world: World) -> None:
    before = await rows_of_owner(world.database)
    breaches = []
    for (method, template), request in HIDDEN.items():
        path = world.belongings.path(template)
        for key in (world.stranger, world.operator):
            answer = await world.call(key, method, path, **request(world.belongings))
            allowed = {404} if key == world.stranger else {403, 404}
            if method == "GET" and key == world.operator and template.startswith(LOOKED_AFTER):
                continue
            if answer.status_code not in allowed or world.revealed(answer):
                breaches.append((method, template, answer.status_code, answer.text[:300]))
            if method == "GET":
                head = await world.call(key, "HEAD", path)
                if head.status_code not in {403, 404, 405}:
                    breaches.append(("HEAD", template, head.status_code, str(head.headers)))
    assert breaches == []
    assert list(differences(before, await rows_of_owner(world.database))) == []


async def test_the_owner_does_find_it(world: World) -> None:
    """Otherwise the walk above would prove nothing."""
    for (method, template), request_for in HIDDEN.items():
        if method == "GET":
            path, options = world.belongings.path(template), request_for(world.belongings)
            answer = await world.call(world.owner, method, path, **options)
            # What A received is no package in earnest: to print it, it was found and opened.
            opened = template.endswith("/print") and answer.json()["code"] == "not-a-package"
            assert answer.status_code == 200 or opened, (template, answer.text)
    for (method, template), request in LISTS.items():
        if method == "GET":
            shown = await world.call(world.owner, method, template, **request)
            assert _listed(shown.json()) != [], template


async def test_lists_show_nothing_of_others(world: World) -> None:
    before = await rows_of_owner(world.database)
    for (method, template), request in LISTS.items():
        answer = await world.call(world.stranger, method, template, **request)
        assert answer.status_code in {200, 204}, (template, answer.text)
        assert world.revealed(answer) == [], template
        assert _listed(answer.json() if answer.content else {}) == [], template
    assert list(differences(before, await rows_of_owner(world.database))) == []


def _listed(page: dict[str, Any]) -> list[Any]:
    return [row for value in page.values() if isinstance(value, list) for row in value]


async def test_a_search_by_what_only_the_owner_knows_finds_nothing(world: World) -> None:
    answer = await world.call(world.stranger, "GET", "/v1/outbound-messages", params={"client_ref": "reference-of-A"})
    assert answer.json()["messages"] == []
    page = await world.call(world.owner, "GET", "/v1/outbound-messages", params={"limit": 1})
    cursor = page.json()["next_cursor"]
    if cursor is not None:
        stolen = await world.call(world.stranger, "GET", "/v1/outbound-messages", params={"cursor": cursor})
        assert world.revealed(stolen) == []


async def test_nobody_acts_for_an_institution_that_is_not_theirs(world: World) -> None:
    before = await rows_of_owner(world.database)
    for (method, template), request in NAMED.items():
        answer = await world.call(world.stranger, method, world.belongings.path(template), **request)
        assert (answer.status_code, answer.json()["code"]) == (403, "institution-forbidden"), (template, answer.text)
        assert world.revealed(answer) == []
    assert list(differences(before, await rows_of_owner(world.database))) == []


async def test_what_is_common_tells_nothing_of_one_institution(world: World) -> None:
    for method, template in COMMON:
        if method == "GET":
            path = template.format(detsis_no=10000002, address="b@hs99.kep.tr", kind="category")
            answer = await world.call(
                world.stranger, method, path, params={"q": "deneme"} if "{" not in template else {}
            )
            assert answer.status_code == 200, (template, answer.text)
            assert world.revealed(answer) == [], template


async def test_what_operators_do_is_theirs_alone(world: World) -> None:
    before = await rows_of_owner(world.database)
    for (method, template), found in documented(world).items():
        if found["x-required-scopes"] != ["admin"]:
            continue
        for key in (world.stranger, world.owner):
            answer = await world.call(key, method, world.belongings.path(template), json={})
            assert (answer.status_code, answer.json()["code"]) == (403, "scope-missing"), (method, template)
            assert world.revealed(answer) == []
    assert list(differences(before, await rows_of_owner(world.database))) == []


async def test_an_idempotency_key_is_its_clients_own(world: World) -> None:
    """The same key with the same request from somebody else is another piece of work, never the first one's answer."""
    answers = {}
    for key in (world.owner, world.stranger):
        answers[key] = await world.call(
            key, "POST", "/v1/outbound-messages", headers={"Idempotency-Key": "the-same"},
            files={
                "message": (None, '{"recipients":[{"detsis_no":10000002}]}', "application/json"),
                "package": ("of-A.eyp", letters.package(), "application/eyazisma"),
            },
        )  # fmt: skip
    assert answers[world.owner].status_code == 202, answers[world.owner].text
    assert answers[world.stranger].status_code != 202, "the stranger has no mailbox"
    assert answers[world.owner].json()["message_id"] not in answers[world.stranger].text


# kep_relay's internal interface: the caller's institutions are a parameter of every query.
WITHOUT_INSTITUTION: dict[Operation, str] = {
    ("PUT", "/internal/v1/outbound-messages/{message_id}"): "the body names the institution; tested below",
    ("PUT", "/internal/v1/packages/{sha256}"): "content addressed: who puts bytes has them",
    ("POST", "/internal/v1/message-contents/{sha256}"): "answers from the body alone and keeps nothing",
    ("GET", "/internal/v1/ledger"): "counts of all institutions, for operators",
}
RELAY_BODIES: dict[Operation, Callable[[Belongings], dict[str, Any]]] = {
    ("POST", "/internal/v1/outbound-messages/{message_id}/resend"): lambda _: {
        "message_id": "0195578f-3a2b-7c4d-9e1f-2a3b4c5d6e7f"
    },
    ("POST", "/internal/v1/inbound-messages/leases"): lambda _: {
        "institution_nos": [OWNER, STRANGER], "client_id": "stranger"
    },
    ("POST", "/internal/v1/inbound-messages/{message_id}/ack"): lambda a: {
        "lease_token": a.lease_token, "registry_no": "1"
    },
    ("POST", "/internal/v1/inbound-messages/{message_id}/acceptance"): lambda _: {
        "decision": "accepted", "decided_by": "Yabancı"
    },
    ("POST", "/internal/v1/inbound-messages/{message_id}/refusal-notice"): lambda _: {
        "notice_id": "0195578f-3a2b-7c4d-9e1f-2a3b4c5d6e80", "decided_by": "Yabancı", "client_id": "stranger",
        "correlation_id": "c",
    },
    ("POST", "/internal/v1/inbound-messages/{message_id}/nack"): lambda a: {"lease_token": a.lease_token},
    ("POST", "/internal/v1/inbound-messages/{message_id}/routing"): lambda _: ROUTING,
    ("POST", "/internal/v1/inbound-messages/{message_id}/release"): lambda _: RELEASE,
    ("PUT", "/internal/v1/consumers/{consumer}"): lambda _: {"institution_no": OWNER, "rules": []},
    ("POST", "/internal/v1/inbound-messages/{message_id}/renew"): lambda a: {"lease_token": a.lease_token},
    ("POST", "/internal/v1/classified-incidents/{incident_id}/close"): lambda _: {
        "decision": "yabancı", "decided_by": "Yabancı"
    },
    ("POST", "/internal/v1/verification-mails/{message_id}/settlement"): lambda _: {"settled_by": "Yabancı"},
    ("POST", "/internal/v1/mailboxes/{mailbox_id}/second-factor"): lambda _: {"by": "Yabancı"},
    ("POST", "/internal/v1/mailboxes/{mailbox_id}/second-factor/confirm"): lambda _: {"by": "Yabancı", "sms_code": "1"},
}  # fmt: skip


def internal(world: World) -> dict[Operation, dict[str, Any]]:
    paths = world.relay_app.openapi()["paths"]
    return {(method.upper(), path): found for path, item in paths.items() for method, found in item.items()}


async def internal_call(world: World, method: str, path: str, **options: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {TOKENS['gateway']}"}
    return await world.gateway.http.request(method, f"{world.relay_url}{path}", headers=headers, **options)


async def test_every_internal_route_demands_the_callers_institutions(world: World) -> None:
    for operation, found in internal(world).items():
        demanded = any(p["name"] == "institution" and p["required"] for p in found.get("parameters", []))
        assert demanded != (operation in WITHOUT_INSTITUTION), operation
    assert WITHOUT_INSTITUTION.keys() <= internal(world).keys()
    for (method, template), found in internal(world).items():
        if any(p["name"] == "institution" for p in found.get("parameters", [])):
            body = RELAY_BODIES.get((method, template), lambda _: None)(world.belongings)
            answer = await internal_call(world, method, world.belongings.path(template), json=body)
            assert answer.status_code == 422, "without institutions there is no answer"


async def test_internal_routes_keep_to_the_institutions_they_are_given(world: World) -> None:
    before = await rows_of_owner(world.database)
    mailbox = await internal_call(world, "GET", "/internal/v1/mailboxes", params={"institution": OWNER})
    configuration = mailbox.json()[0]["configuration"]
    taken_over = {**configuration, "institution_no": STRANGER, "password": "x"}
    for (method, template), found in internal(world).items():
        if (method, template) in WITHOUT_INSTITUTION:
            continue
        if "requestBody" in found and (method, template) not in RELAY_BODIES:
            assert (method, template) == ("PUT", "/internal/v1/mailboxes/{mailbox_id}"), "give this route a body"
        body = RELAY_BODIES.get((method, template), lambda _: None)(world.belongings)
        answer = await internal_call(
            world, method, world.belongings.path(template),
            params={"institution": STRANGER, "address": "kurum.a@hs98.kep.tr"}, json=body or (taken_over if method == "PUT" else None),
        )  # fmt: skip
        assert world.revealed(answer) == [], (method, template)
        if "{" in template:
            assert answer.status_code in {403, 404, 409}, (method, template, answer.text)
        else:
            assert (answer.status_code, _rows(answer.json())) == (200, []), template
    # Named as somebody else's, A's mailbox is not theirs to configure either.
    answer = await internal_call(
        world, "PUT", "/internal/v1/mailboxes/a-1", params={"institution": STRANGER}, json=configuration
    )
    assert answer.status_code == 403
    assert list(differences(before, await rows_of_owner(world.database))) == []


def _rows(answer: Any) -> Any:
    """What a list, a page of one, or the report on a mailbox holds."""
    if isinstance(answer, list):
        return answer
    if "mailbox_id" in answer:
        return [] if answer["mailbox_id"] is None else [answer["mailbox_id"]]
    if "consumers" in answer:
        return [item for item in answer["consumers"] if item["name"] != "default"]  # everybody has that one
    return next(answer[name] for name in ("messages", "mails", "incidents", "events") if name in answer)


async def test_a_letters_id_cannot_be_taken_by_another_institution(world: World) -> None:
    before = await rows_of_owner(world.database)
    owned = await world.belongings.relay.letter(UUID(world.belongings.identifiers["outbound"]))
    submission = {
        "institution_no": STRANGER, "client_id": "stranger", "subject": "x", "package_sha256": owned.package_sha256,
        "package_size": owned.package_size, "package_filename": "x.eyp", "recipient_nos": [10000002],
        "correlation_id": "c",
    }  # fmt: skip
    answer = await internal_call(
        world, "PUT", f"/internal/v1/outbound-messages/{world.belongings.identifiers['outbound']}", json=submission
    )
    assert answer.status_code == 409, answer.text
    assert world.revealed(answer) == []
    assert list(differences(before, await rows_of_owner(world.database))) == []
