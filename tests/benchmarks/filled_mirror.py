"""A large mirror without a refresh: the sandbox's generated register, copied into the tables of detsis_sync.

The generator's names are made of a few hundred words; real ones have tens of thousands (schools, districts, people's
names), so every third unit below the first level gets a word of its own.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import psycopg

from services.detsis_sync.refresh.lines import DELIMITER, NULL, UNIT_COLUMNS, unit_line
from services.detsis_sync.rows import UnitRow
from services.sandbox.detsis.register import Register, Unit, generate_register
from services.sandbox.detsis.units import KepEntry
from shared.domain.identifiers import ascii_lower, detsis_number

_WORDS = 40_000
_SYLLABLES = (
    "AK", "BAL", "ÇIN", "DER", "EL", "FER", "GÖL", "HAN", "IŞ", "İN", "KAR", "LÜ", "MER", "NUR", "OĞ", "ÖZ", "PIN", "RA",
    "SEL", "ŞAH", "TAŞ", "UÇ", "ÜN", "VA", "YEL", "ZEY",
)  # fmt: skip
_ORDINARY = ("mudurlugu", "baskanligi", "sube mudurlugu", "sefligi", "daire baskanligi")


def fill(database_url: str, size: int, *, searches: int, seed: int) -> tuple[list[int], dict[str, list[str]]]:
    """Fill an empty, migrated schema; the units' numbers, and things to search for by kind, as many of each."""
    register = generate_register(size, seed)
    rng = random.Random(seed)
    words = ["".join(rng.choices(_SYLLABLES, k=rng.randint(2, 4))) for _ in range(_WORDS)]
    with psycopg.connect(database_url, options="-c search_path=detsis_sync") as connection:
        run_id = _accepted_run(connection)
        _copy(connection, "kep_addresses (detsis_no, address, active, status_text, content_hash, changed_run_id)",
              (_address_line(entry, run_id) for entry in _addresses(register)))  # fmt: skip
        columns = ", ".join(UNIT_COLUMNS)
        connection.execute("CREATE TEMPORARY TABLE came (LIKE units)")
        for column in ("search_words", "search_rank", "reachable", "first_run_id", "changed_run_id"):
            connection.execute(f"ALTER TABLE came DROP COLUMN {column}")
        names: list[tuple[str, str | None]] = []
        _copy(connection, f"came ({columns})", _unit_lines(register, words, names))
        connection.execute(
            f"INSERT INTO units ({columns}, reachable, first_run_id, changed_run_id) SELECT {columns}, EXISTS (SELECT"
            f" FROM kep_addresses k WHERE k.detsis_no = came.detsis_no AND k.active), {run_id}, {run_id} FROM came"
        )
        connection.execute(
            "INSERT INTO unit_sightings (institution_no, list_name, detsis_no, first_run_id)"
            f" SELECT 10000001, 'external', detsis_no, {run_id} FROM units"
        )
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    return list(register.numbers()), {
        kind: [make(rng, names) for _ in range(searches)] for kind, make in _KINDS.items()
    }


def _accepted_run(connection: psycopg.Connection) -> int:
    connection.execute(
        "INSERT INTO accounts (institution_no, account_id, endpoint, password_token, keeps_copy, updated_at)"
        " VALUES (10000001, '10000001', 'https://127.0.0.1:9', '', false, now())"
    )
    found = connection.execute(
        "INSERT INTO runs (institution_no, trigger, state, started_at, finished_at, published_at)"
        " VALUES (10000001, 'first-start', 'accepted', now(), now(), now()) RETURNING run_id"
    ).fetchone()
    assert found is not None
    return int(found[0])


def _copy(connection: psycopg.Connection, target: str, lines: Iterator[bytes]) -> None:
    statement = f"COPY {target} FROM STDIN (DELIMITER '{DELIMITER.decode()}', NULL '{NULL.decode()}')"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for line in lines:
            copy.write(line)


def _addresses(register: Register) -> Iterator[KepEntry]:
    for number in register.numbers():
        yield from register.kep_entries(number)


def _address_line(entry: KepEntry, run_id: int) -> bytes:
    fields = (str(entry.number), ascii_lower(entry.address), "ft"[entry.active], entry.status, "", str(run_id))
    return DELIMITER.join(field.encode() for field in fields) + b"\n"


def _unit_lines(register: Register, words: list[str], names: list[tuple[str, str | None]]) -> Iterator[bytes]:
    for index, unit in enumerate(register.units()):
        word = words[index % _WORDS] if unit.level > 1 and index % 3 == 0 else None
        names.append((unit.name if word is None else f"{word} {unit.name}", word))
        yield unit_line(_row(unit, names[-1][0]), None)


def _row(unit: Unit, name: str) -> UnitRow:
    return UnitRow(
        detsis_no=detsis_number(unit.number),
        name=name,
        parent_no=detsis_number(unit.parent_no) if unit.parent_no else None,
        second_parent_no=None,
        main_institution_no=detsis_number(unit.main_no) if unit.main_no else None,
        category_id=unit.category_id,
        status_id=unit.status_id,
        kinds=(),
        place_id=unit.place_id,
        place_name=unit.place_name,
        postal_address=unit.postal_address,
        path_text=" > ".join(unit.path),
        level=unit.level,
        active=unit.active,
        active_text=None,
        operating=unit.operating,
        external_addressee=unit.external_addressee,
    )


_Names = list[tuple[str, str | None]]


def _name(rng: random.Random, names: _Names) -> str:
    return rng.choice(names)[0]


def _two_words(rng: random.Random, names: _Names) -> str:
    words = _name(rng, names).split()
    return " ".join(reversed(rng.sample(words, min(2, len(words))))).lower()


def _beginnings(rng: random.Random, names: _Names) -> str:
    return " ".join(word[:4] for word in _name(rng, names).split()[:3])


def _own_word(rng: random.Random, names: _Names) -> str:
    while (word := rng.choice(names)[1]) is None:
        pass
    return word


def _swapped(rng: random.Random, names: _Names) -> str:
    word = _own_word(rng, names)
    place = rng.randrange(len(word) - 1)
    return word[:place] + word[place + 1] + word[place] + word[place + 2 :]


def _with_main(rng: random.Random, names: _Names) -> str:
    first, second = _name(rng, names).split(), _name(rng, names).split()
    return f"{first[0]} {second[0]}"


_KINDS: dict[str, Callable[[random.Random, _Names], str]] = {
    "a whole name": _name,
    "two words of a name, reversed": _two_words,
    "beginnings of words": _beginnings,
    "a rare word": _own_word,
    "a rare word, two letters swapped": _swapped,
    "words of two names": _with_main,
    "words of every fourth name": lambda rng, _names: rng.choice(_ORDINARY),
}
