"""Counts at the places where a letter can be lost or doubled: the provider's boxes, both gateways' sides, the ledger."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from tests.support.stack import A, Stack, recipient_of


@dataclass(frozen=True)
class Reckoning:
    """What came of the letters that were accepted."""

    letters: int
    undelivered: int
    """Accepted, and by its own state not at the recipient's provider."""
    lost: int
    """Not in the recipient's mailbox at its provider, or never registered by its document system."""
    doubled: int
    """There more than once: in the mailbox, in the sender's Sent folder, or registered twice."""
    imbalance: int
    """Of kep_relay's own ledger, both directions."""

    @property
    def clean(self) -> bool:
        """Nothing lost, nothing doubled, nothing unaccounted for."""
        return not (self.undelivered or self.lost or self.doubled or self.imbalance)


def messages_of(stack: Stack, ids: set[str]) -> list[dict[str, Any]]:
    """The letters as A's gateway shows them; one that is not listed is missing here."""
    found: dict[str, dict[str, Any]] = {}
    cursor = None
    while True:
        parameters: dict[str, Any] = {"limit": 200} | ({"cursor": cursor} if cursor else {})
        page = stack.sender.json("GET", "/outbound-messages", params=parameters)
        found |= {item["message_id"]: item for item in page["messages"] if item["message_id"] in ids}
        if (cursor := page["next_cursor"]) is None or len(found) == len(ids):
            return list(found.values())


def settled(stack: Stack, ids: set[str]) -> bool:
    """Whether every letter has been read by the recipient's document system, or can never be."""
    messages = messages_of(stack, ids)
    return len(messages) == len(ids) and all(
        item["state"] in {"delivered", "read", "failed", "expired"} for item in messages
    )


def reckon(stack: Stack, ids: set[str], before: set[str], registered: dict[str, str]) -> Reckoning:
    """``before``: Message-IDs that lay in the mailbox already; ``registered``: package digests by B's message id."""
    messages = messages_of(stack, ids)
    headers = [recipient_of(message)["message_id_header"] for message in messages]
    mailbox = Counter(
        mail["original_message_id"] for mail in stack.letters_at() if mail["original_message_id"] not in before
    )
    sent = Counter(mail["message_id"] for mail in stack.folder(A, "Sent"))
    packages = Counter(registered.values())
    wanted = [message["package_sha256"] for message in messages]
    ledger = stack.ledger()
    return Reckoning(
        letters=len(ids),
        undelivered=sum(message["state"] not in {"delivered", "read"} for message in messages),
        lost=len(ids) - len(messages) + sum(not mailbox[header] for header in headers) + sum(not packages[digest] for digest in wanted),
        doubled=(
            sum(mailbox[header] > 1 for header in headers)
            + sum(sent[header] > 1 for header in headers)
            + sum(packages[digest] > 1 for digest in wanted)
            + len(set(mailbox) - set(headers))
        ),
        imbalance=ledger["outbound"]["imbalance"] + ledger["inbound"]["imbalance"],
    )  # fmt: skip
