"""How units are reached and who leads them: invented, and always the same for the same unit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from services.sandbox.detsis.names import GIVEN_NAMES, SURNAMES, TITLES
from services.sandbox.detsis.register import Unit

_PERSONS_PER_UNIT = 3
_CHANGES_OF_MANAGER = (date(2016, 3, 1), date(2020, 9, 14), date(2023, 6, 5))
_ACTING_MONTHS = 4
OFFICER_ROLES = ("DETSİS Yetkilisi", "DETSİS Yetkili Yardımcısı")


@dataclass(frozen=True)
class Contact:
    """``kind``: 1 web, 2 e-mail, 3 call centre, 4 telephone, 5 fax, 6 social media."""

    kind: int
    text: str


@dataclass(frozen=True)
class Post:
    """One person's time at the head of one unit. ``ended`` None: still there."""

    number: int
    unit_no: int
    manager_code: int
    given_name: str
    surname: str
    title: str
    born: date
    acting: bool
    began: date
    ended: date | None

    def age_on(self, day: date) -> int:
        """In whole years."""
        return day.year - self.born.year - ((day.month, day.day) < (self.born.month, self.born.day))


@dataclass(frozen=True)
class Officer:
    """Someone who looks after an institution's entries."""

    given_name: str
    surname: str
    phone: str
    email: str
    role: str


def contacts(unit: Unit) -> Iterator[Contact]:
    """A unit's contacts: some have several telephones, some deep ones have nothing."""
    number = unit.number
    if unit.level > 1 and number % 9 == 0:
        return
    yield Contact(1, f"https://birim-{number}.example")
    yield Contact(2, f"iletisim@birim-{number}.example")
    if number % 10 == 3:
        yield Contact(3, f"444 0 {number % 1000:03}")
    yield Contact(4, _line(number, 0))
    if number % 4 == 0:
        yield Contact(4, f"{_line(number, 2)} / 1{number % 1000:03}")
        yield Contact(4, _line(number, 3))
    if number % 6 != 5:
        yield Contact(5, _line(number, 1))
    if number % 10 == 7:
        yield Contact(6, f"@birim{number}")


def first_contact(unit: Unit, kind: int) -> str | None:
    """The unit's first contact of a kind."""
    return next((contact.text for contact in contacts(unit) if contact.kind == kind), None)


def uets_number(unit: Unit) -> str | None:
    """Main institutions and first-level units have one."""
    return f"35{unit.number:013}" if unit.level <= 1 else None


def posts(unit: Unit) -> list[Post]:
    """Everyone who has led the unit, oldest first; newly appointed people act for some months before."""
    found: list[Post] = []
    for order, began in enumerate(_CHANGES_OF_MANAGER):
        following = _CHANGES_OF_MANAGER[order + 1 :]
        ended = following[0] if following else None
        if (unit.number + order) % 3 == 0:
            confirmed = date(began.year + (began.month + _ACTING_MONTHS > 12), (began.month + 3) % 12 + 1, 1)
            found.append(_post(unit, order, 0, began, confirmed, acting=True))
            found.append(_post(unit, order, 1, confirmed, ended, acting=False))
        else:
            found.append(_post(unit, order, 1, began, ended, acting=unit.number % 11 == 0))
    return found


def manager_on(unit: Unit, day: date) -> Post | None:
    """Who leads the unit on that day."""
    return next((post for post in posts(unit) if post.began <= day and (post.ended is None or day < post.ended)), None)


def unit_of_manager(manager_code: int) -> int:
    """The number of the unit that a manager code belongs to, whether or not it exists."""
    return manager_code // _PERSONS_PER_UNIT


def officers(institution_no: int) -> Iterator[Officer]:
    """The institution's two register officers."""
    for order, role in enumerate(OFFICER_ROLES):
        given, surname = _name(institution_no * 13 + order * 7)
        yield Officer(
            given, surname, _line(institution_no, 8 + order), f"detsis{order + 1}@birim-{institution_no}.example", role
        )


def register_number(unit: Unit) -> str | None:
    """The number of the register before this one; only older units have it."""
    text = f"{unit.number:08}"
    return ".".join((text[:2], text[2:4], text[4:6], text[6:], "00.01")) if unit.number % 3 != 2 else None


def unit_of_register_number(text: str) -> int | None:
    """The unit number inside a former register number, or None for a text of another form."""
    parts = text.strip().split(".")
    if (
        len(parts) != 6
        or parts[4:] != ["00", "01"]
        or not all(p.isascii() and p.isdigit() and len(p) == 2 for p in parts)
    ):
        return None
    return int("".join(parts[:4]))


def _post(unit: Unit, order: int, part: int, began: date, ended: date | None, *, acting: bool) -> Post:
    mixed = unit.number * 31 + order * 17
    given, surname = _name(mixed)
    return Post(
        number=unit.number * 6 % 2_000_000_000 + order * 2 + part,
        unit_no=unit.number,
        manager_code=unit.number * _PERSONS_PER_UNIT + order,
        given_name=given,
        surname=surname,
        title=TITLES[min(unit.level, len(TITLES) - 1)],
        born=date(1960 + mixed % 30, mixed // 30 % 12 + 1, mixed // 7 % 28 + 1),
        acting=acting,
        began=began,
        ended=ended,
    )


def _name(mixed: int) -> tuple[str, str]:
    return GIVEN_NAMES[mixed % len(GIVEN_NAMES)], SURNAMES[mixed // 7 % len(SURNAMES)]


def _line(number: int, extension: int) -> str:
    """A telephone number with the area code 000, which nobody has."""
    return f"0 000 {number % 1000:03} 00 {extension:02}"
