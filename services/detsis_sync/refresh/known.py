"""What the mirror knows already, by the digest of the bytes it came in."""

from __future__ import annotations

import sys
from array import array

from psycopg import sql

from services.detsis_sync.soap.same import KnownRows
from shared.db.session import Database

# A unit whose active flag nobody understands is looked at every night: somebody may have taught us its text.
_KNOWN = sql.SQL(
    "SELECT string_agg(substr(wire_digest, 1, 8), '' ORDER BY wire_digest),"
    " string_agg(substr(wire_digest, 9, 8), '' ORDER BY wire_digest),"
    " string_agg(int4send(detsis_no::int4), '' ORDER BY wire_digest)"
    " FROM units WHERE length(wire_digest) = 16 AND active_text IS NULL"
)


async def known_units(database: Database) -> KnownRows:
    """The units of the mirror, in about 20 bytes each."""
    async with database.unit_of_work() as work:
        connection = await work.connection()
        # Binary: megabytes of hexadecimal digits would keep the event loop busy.
        async with connection.cursor(binary=True) as cursor:
            row = await (await cursor.execute(_KNOWN)).fetchone()
    heads, tails, numbers = row or (None, None, None)
    return KnownRows(_numbers("Q", heads), _numbers("Q", tails), _numbers("I", numbers))


def _numbers(code: str, big_endian: bytes | None) -> array[int]:
    found = array(code, bytes(big_endian or b""))
    if sys.byteorder == "little":
        found.byteswap()
    return found
