"""Logs: one JSON object a line, with the correlation id, without identity numbers."""

from __future__ import annotations

import contextlib
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from shared.telemetry.logging import configure_logging, correlated, correlation_id, mask_identity_numbers

TCKN = "12345678901"


class Log(io.StringIO):
    """What was logged, and a way to configure it anew."""

    def configure(self, *, level: str = "INFO", log_format: str = "json") -> None:
        with contextlib.redirect_stderr(self):
            configure_logging("signer", level=level, log_format=log_format)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]


@pytest.fixture
def log() -> Iterator[Log]:
    root = logging.getLogger()
    handlers, levels = root.handlers[:], _levels()
    written = Log()
    written.configure()
    yield written
    root.handlers[:] = handlers
    for name in _levels():
        logging.getLogger(name or None).setLevel(levels.get(name, logging.NOTSET))
    structlog.reset_defaults()


def _levels() -> dict[str, int]:
    known = logging.Logger.manager.loggerDict.items()
    named = {name: found.level for name, found in known if isinstance(found, logging.Logger)}
    return named | {"": logging.getLogger().level}


def test_a_line_says_who_when_and_what(log: Log) -> None:
    structlog.get_logger("some.module").info("stored", size=3)
    (line,) = log.lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "stored", "level": "info", "logger": "some.module", "service": "signer", "size": 3}


def test_other_people_s_loggers_come_out_the_same_way(log: Log) -> None:
    try:
        int(f"bad number {TCKN}")
    except ValueError:
        logging.getLogger("library").exception("it broke for %s", TCKN)
    (line,) = log.lines()
    assert (line["event"], line["service"], line["level"]) == ("it broke for 12*******01", "signer", "error")
    assert "Traceback" in line["exception"]
    assert TCKN not in json.dumps(line)


def test_identity_numbers_are_masked_however_deep_they_lie(log: Log) -> None:
    structlog.get_logger().warning(
        "refused",
        person=TCKN,
        people=[TCKN, {"id": (TCKN,)}],
        by={TCKN: 1},
        error=ValueError(TCKN),
        deep=[[[[[[[[[TCKN]]]]]]]]],
    )
    (line,) = log.lines()
    assert TCKN not in json.dumps(line)
    assert line["people"] == ["12*******01", {"id": ["12*******01"]}]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"TCKN {TCKN}.", "TCKN 12*******01."),
        (f"{TCKN},{TCKN}", "12*******01,12*******01"),
        ("123456789012", "123456789012"),
        ("02345678901", "02345678901"),
        ("10000001", "10000001"),
        (f"a{TCKN}b", "a12*******01b"),
    ],
)
def test_what_counts_as_an_identity_number(text: str, masked: str) -> None:
    assert mask_identity_numbers(text) == masked


def test_a_value_cannot_forge_a_line(log: Log) -> None:
    structlog.get_logger().info("note", text='one\n{"event": "forged"}')
    assert [line["event"] for line in log.lines()] == ["note"]


def test_correlation_id_is_on_every_line_of_its_block_only(log: Log) -> None:
    with correlated("from-the-caller-1"):
        structlog.get_logger().info("inside")
        logging.getLogger("library").warning("inside too")
    structlog.get_logger().info("outside")
    assert [line.get("correlation_id") for line in log.lines()] == ["from-the-caller-1", "from-the-caller-1", None]


@pytest.mark.parametrize("given", [None, "", "short", "with space inside", "x" * 129, "line\nbreak", "çığ-öşü-ğ"])
def test_a_malformed_correlation_id_is_replaced(given: str | None) -> None:
    with correlated(given) as chosen:
        assert chosen == correlation_id.get()
        assert len(chosen) == 32
    assert not correlation_id.get()


def test_libraries_that_print_passwords_stay_quiet_even_at_debug(log: Log) -> None:
    log.configure(level="DEBUG")
    logging.getLogger("zeep.transports").debug("<Password>x</Password>")
    logging.getLogger("httpx").info("POST https://…")
    structlog.get_logger("ours").debug("seen")
    assert [line["event"] for line in log.lines()] == ["seen"]


def test_the_console_format_is_for_people(log: Log) -> None:
    log.configure(log_format="console")
    structlog.get_logger().info("stored", person=TCKN)
    assert "stored" in log.getvalue()
    assert TCKN not in log.getvalue()
