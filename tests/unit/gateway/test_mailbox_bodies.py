"""What an operator may say about a KEP account: each driver needs its own part and takes no other's."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from services.gateway.routes.admin import _without_secrets
from services.gateway.schemas.admin import MailboxBody
from shared.clock import SystemClock
from shared.contracts.mailboxes import Mailbox, MailboxConfiguration

SERVER = {"host": "mail.hs98.example", "port": 993}
SOAP = {
    "url": "https://eyws.hs98.example/KepEYazismaV1.1/KepEYazismaCOREWSDL.php",
    "agent_no": "00000000001",
    "second_password": "second-secret",
}
COMMON = {"institution_no": 10000001, "address": "a@hs98.kep.tr", "password": "first-secret", "signing_key_id": "a"}
MAIL = {"username": "a", "smtp": SERVER, "imap": SERVER}


def body(**values: Any) -> MailboxBody:
    return MailboxBody.model_validate(COMMON | values)


def test_each_driver_has_its_folder_of_sent_mail() -> None:
    assert body(**MAIL).contract().sent_folder == "Sent"
    soap = body(driver="eyws", eyws=SOAP).contract()
    assert (soap.sent_folder, soap.username, soap.smtp, soap.imap) == ("INBOX.Sent", "", None, None)
    assert body(driver="eyws", eyws=SOAP, sent_folder="Giden").contract().sent_folder == "Giden"


def test_a_mailbox_may_do_without_a_key() -> None:
    assert body(**MAIL).contract().signing_key_id == "a"
    assert body(**MAIL, signing_key_id=None).contract().signing_key_id is None


@pytest.mark.parametrize(
    "values",
    [
        {}, {"driver": "eyws"}, {"driver": "eyws", **MAIL}, {"driver": "eyws", "eyws": SOAP, **MAIL},
        {**MAIL, "eyws": SOAP}, {"username": "a", "smtp": SERVER}, {"smtp": SERVER, "imap": SERVER},
        {"driver": "eyws", "eyws": SOAP | {"url": "http://eyws.hs98.example/"}},
        {"driver": "eyws", "eyws": SOAP | {"url": "https://user:pw@eyws.hs98.example/"}},
        {"driver": "eyws", "eyws": SOAP | {"fallback_url": "https://"}},
        {"driver": "eyws", "eyws": SOAP | {"agent_no": "123"}},
        {"driver": "eyws", "eyws": SOAP | {"login": "otp"}},
        {"driver": "eyws", "eyws": SOAP | {"unknown": 1}},
        {"driver": "pop3", **MAIL},
    ],
)  # fmt: skip
def test_parts_that_do_not_fit_the_driver_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        body(**values).contract()


@pytest.mark.parametrize("place", ["url", "fallback_url"])
@pytest.mark.parametrize(
    "url",
    [
        "https://:443/",
        "https://eyws.hs98.example:99999/",
        "https://eyws.hs98.example:x/",
        "https://[::1/",
        "https://ğ/",
    ],
)
def test_an_address_that_cannot_be_called_is_refused_with_the_body(place: str, url: str) -> None:
    with pytest.raises(ValidationError):
        body(driver="eyws", eyws=SOAP | {place: url})


def test_secrets_go_in_and_never_come_out() -> None:
    secrets = (COMMON["password"], SOAP["second_password"], SOAP["agent_no"])
    given = body(driver="eyws", eyws=SOAP)
    configuration = given.contract()
    assert configuration.eyws is not None
    assert (configuration.eyws.agent_no, configuration.eyws.second_password) == (SOAP["agent_no"], "second-secret")
    now = SystemClock().now()
    shown = _without_secrets(Mailbox(mailbox_id="a-1", configuration=configuration, created_at=now, updated_at=now))
    for text in (shown.model_dump_json(), repr(given), repr(configuration)):
        assert not any(str(secret) in text for secret in secrets)
    assert shown.configuration.eyws is not None
    assert shown.configuration.eyws.url == SOAP["url"]
    with pytest.raises(ValidationError):
        MailboxConfiguration.model_validate(configuration.model_dump() | {"driver": "smtp_imap"})
