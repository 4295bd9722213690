"""The form of what contact details say (rule R.40). Nobody decides anything by them, so nothing here is fatal."""

from __future__ import annotations

import re
from collections.abc import Iterator

from shared.eyp.findings import Finding
from shared.eyp.model import Contact
from shared.eyp.rules import content as rules

# Whoever wrote the package wrote what is matched: no character may be taken in two ways, or a field of a
# thousand blanks keeps a process busy for minutes.
WEB_ADDRESS = re.compile(r"(?:https?://)?[^\s/?#@:.]+(?:\.[^\s/?#@:.]+)+(?::[0-9]{1,5})?(?:[/?#]\S*)?", re.IGNORECASE)
_KEP_ADDRESS = re.compile(r"[^\s@]{1,128}@hs[0-9]{2}\.kep\.tr", re.IGNORECASE)
"""Every provider's domain has this form; which of them there are today is nothing a package can know."""
_MAIL_ADDRESS = re.compile(r"[^\s@]{1,128}@[^\s@.]{1,63}(?:\.[^\s@.]{1,63}){1,8}")
_PHONE = re.compile(r"\+?[0-9 ()./-]{7,40}(?:(?:(?:dahili|dah\.?|ext\.?|x) {0,3}:?|:) {0,3}[0-9]{1,8})?", re.IGNORECASE)


def check_contact(contact: Contact, part: str | None = None) -> Iterator[Finding]:
    """Addresses and numbers as people and programs can use them; an absent one is no fault."""
    important = rules.CONTACT_IMPORTANT
    for rule, form, value in (
        (important["phone"], _PHONE, contact.phone),
        (important["phone"], _PHONE, contact.other_phone),
        (important["email"], _MAIL_ADDRESS, contact.email),
        (important["kep"], _KEP_ADDRESS, contact.kep_address),
        (important["web"], WEB_ADDRESS, contact.web_address),
        (rules.CONTACT_FAX, _PHONE, contact.fax),
    ):
        if value is not None and not form.fullmatch(value):
            yield rule.found(part, value)
