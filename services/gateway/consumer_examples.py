"""Examples of consumers and of decisions about letters for the OpenAPI document."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.gateway.schemas.consumers import ConsumerBody, ConsumerRuleBody, RoutingBody, RuleMatchBody
from shared.contracts.consumers import (
    Consumer,
    ConsumerList,
    ConsumerQueue,
    ConsumerRule,
    CopyState,
    LetterCopy,
    LetterRouting,
    RoutingDecision,
    RoutingOutcome,
    RoutingReason,
    RuleMode,
)

_NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
_LETTER = UUID("0195578f-3a2b-7c4d-9e1f-2a3b4c5d6e7f")

CONSUMER_BODY = ConsumerBody(
    description="İnsan Kaynakları EBYS", position=10,
    rules=[
        ConsumerRuleBody(match=RuleMatchBody(units=[10000010], has_package=True)),
        ConsumerRuleBody(mode=RuleMode.COPY, match=RuleMatchBody(subjects=["disiplin*soruşturma"])),
    ],
)  # fmt: skip
CONSUMER = Consumer(
    name="insan-kaynaklari", institution_no=10000002, description=CONSUMER_BODY.description, position=10,
    rules=[ConsumerRule.model_validate(rule.model_dump()) for rule in CONSUMER_BODY.rules], updated_at=_NOW,
    letters=ConsumerQueue(available=3, leased=1, oldest_at=_NOW - timedelta(minutes=20)),
    copies=ConsumerQueue(dead_lettered=1),
)  # fmt: skip
CONSUMERS = ConsumerList(
    consumers=[
        CONSUMER,
        Consumer(
            name="default", institution_no=10000002, position=11, rules=[], letters=ConsumerQueue(available=2),
            copies=ConsumerQueue(),
        ),
    ]
)  # fmt: skip
ROUTING_BODY = RoutingBody(
    consumer="hukuk", copies=["insan-kaynaklari"], decided_by="Evrak Birimi, F. Örnek",
    reason="Konu dava dosyasına ait.",
)  # fmt: skip
ROUTING = LetterRouting(
    message_id=_LETTER, consumer="hukuk",
    copies=[
        LetterCopy(
            consumer="insan-kaynaklari", state=CopyState.ACKNOWLEDGED, delivery_count=1, offered_at=_NOW,
            acknowledged_at=_NOW + timedelta(minutes=4), reference="IK-2026-88",
        )
    ],
    decisions=[
        RoutingDecision(
            sequence=1, consumer="insan-kaynaklari", copies=[], decided_at=_NOW,
            rules=[
                RoutingReason(
                    consumer="insan-kaynaklari", rule=1, outcome=RoutingOutcome.RESPONSIBLE,
                    because=["units: 10000010", "has_package: true"],
                )
            ],
        ),
        RoutingDecision(
            sequence=2, consumer="hukuk", copies=["insan-kaynaklari"], decided_at=_NOW + timedelta(minutes=2),
            decided_by=ROUTING_BODY.decided_by, reason=ROUTING_BODY.reason,
        ),
    ],
)  # fmt: skip
