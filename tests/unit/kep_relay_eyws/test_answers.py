"""Answers of the service as they have been seen: every type of status, nil lists, errors in odd fields (kep.md 2.8)."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import pytest

from services.kep_relay.drivers.eyws import answer as answer_reader
from services.kep_relay.drivers.eyws import wire_answers
from services.kep_relay.drivers.eyws.answer import Node, read_xml
from services.kep_relay.drivers.eyws.failures import MalformedError, RefusalError, TruncatedError
from services.kep_relay.drivers.eyws.wire import BINARY, Operation
from services.kep_relay.drivers.eyws.wire_answers import Answer
from shared.errors import DomainError, ErrorCode

_START = (
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:a="http://ws.apache.org/axis2"'
    ' xmlns:x="http://ws.apache.org/axis2/xsd" xmlns:i="http://www.w3.org/2001/XMLSchema-instance"'
    ' xmlns:xop="http://www.w3.org/2004/08/xop/include"><s:Body>'
)
NIL = 'i:nil="true"'


def parsed(xml: str, limit: int = 1_000_000) -> Node:
    return read_xml([f"{_START}{xml}</s:Body></s:Envelope>".encode()], binary=BINARY, limit=limit)[0]


def answer(operation: Operation, content: str, **parts: Any) -> Answer:
    """``content`` is what stands in ``return``."""
    root = parsed(f"<a:{operation}Response><a:return>{content}</a:return></a:{operation}Response>")
    return Answer(operation, root.children[0].children[0], parts)


def fields(**values: str | list[str | None] | None) -> str:
    found = []
    for name, value in values.items():
        many = value if isinstance(value, list) else [value]
        found += [f"<x:{name} {NIL}/>" if one is None else f"<x:{name}>{one}</x:{name}>" for one in many]
    return "".join(found)


@pytest.mark.parametrize("code", ["0", "00", " 0 "])
def test_success_has_an_id(code: str) -> None:
    found = wire_answers.uploaded(answer(Operation.UPLOAD, fields(durum=code, kepId="&lt;a@b&gt;")))
    assert found.message_id == "<a@b>"


def test_success_without_an_id_is_told_apart() -> None:
    """Outside 0, inside a failure (kep.md 6.1)."""
    found = wire_answers.uploaded(answer(Operation.UPLOAD, fields(durum="0", hataaciklama="tamamlanamadı")))
    assert (found.message_id, found.text) == (None, "tamamlanamadı")


@pytest.mark.parametrize("content", ["", fields(durum=None), fields(kepId="&lt;a@b&gt;"), fields(durum="")])
def test_no_status_is_a_broken_answer(content: str) -> None:
    for operation, read in ((Operation.UPLOAD, wire_answers.uploaded), (Operation.CONFIRM, wire_answers.done)):
        with pytest.raises(MalformedError):
            read(answer(operation, content))  # type: ignore[operator]


def test_codes_and_words_are_kept_as_they_came() -> None:
    with pytest.raises(RefusalError) as caught:
        wire_answers.uploaded(answer(Operation.UPLOAD, fields(durum="-7", hataaciklama="Kontör yetersiz")))
    assert (caught.value.code, caught.value.text) == ("-7", "Kontör yetersiz")


class TestLists:
    def test_parallel_lists_are_read_by_place(self) -> None:
        content = fields(
            durum=["0", "0"], kepId=["&lt;1@x&gt;", "&lt;2@x&gt;"], OrgMesajId=["&lt;o@x&gt;", None],
            fromKep=["a@hs98.kep.tr", "b@hs98.kep.tr"], turId=[None, "77"],
        )  # fmt: skip
        entries, nameless = wire_answers.listed(answer(Operation.LIST, content))
        assert nameless == 0
        assert [(one.message_id, one.original_id, one.type_id) for one in entries] == [
            ("<1@x>", "<o@x>", None), ("<2@x>", None, "77"),
        ]  # fmt: skip

    def test_a_list_of_another_length_tells_nothing(self) -> None:
        content = fields(
            durum="0", kepId=["&lt;1@x&gt;", "&lt;2@x&gt;"], OrgMesajId="&lt;o@x&gt;", turId=["7", "8", "9"]
        )
        entries, _ = wire_answers.listed(answer(Operation.LIST, content))
        assert [(one.message_id, one.original_id, one.type_id) for one in entries] == [
            ("<1@x>", None, None), ("<2@x>", None, None),
        ]  # fmt: skip

    @pytest.mark.parametrize(
        "content", [fields(kepId=None), fields(durum=None, kepId=None, turId=None), fields(durum="0")]
    )
    def test_one_nil_is_nothing(self, content: str) -> None:
        assert wire_answers.listed(answer(Operation.LIST, content)) == ([], 0)

    @pytest.mark.parametrize(
        "content", [fields(durum="101", hataaciklama="Şifre"), fields(kepId=None, hataaciklama="Şifre")]
    )
    def test_an_error_is_not_an_empty_list(self, content: str) -> None:
        with pytest.raises(RefusalError, match="Şifre"):
            wire_answers.listed(answer(Operation.LIST, content))

    def test_an_answer_that_says_nothing_is_not_an_empty_list(self) -> None:
        with pytest.raises(MalformedError):
            wire_answers.listed(answer(Operation.LIST, ""))
        root = parsed(f"<a:PaketSorgulaResponse><a:return {NIL}/></a:PaketSorgulaResponse>")
        with pytest.raises(MalformedError):
            wire_answers.listed(Answer(Operation.LIST, root.children[0].children[0]))

    def test_an_id_is_no_longer_than_an_index_takes(self) -> None:
        ids = ["&lt;a@b&gt;", "\N{CJK UNIFIED IDEOGRAPH-4E00}" * 900]
        found, nameless = wire_answers.listed(answer(Operation.LIST, fields(durum=["0", "0"], kepId=ids)))
        assert ([one.message_id for one in found], nameless) == (["<a@b>"], 1)

    def test_entries_without_an_id_are_counted(self) -> None:
        entries, nameless = wire_answers.listed(answer(Operation.LIST, fields(durum="0", kepId=["&lt;1@x&gt;", None])))
        assert (len(entries), nameless) == (1, 1)


class TestDownloads:
    def test_bytes_inside_the_xml(self) -> None:
        content = base64.b64encode(b"From: a\r\n").decode()
        found = wire_answers.downloaded(answer(Operation.DOWNLOAD, fields(durum="0", ePaket=content)))
        assert [one.read() for one in found] == [b"From: a\r\n"]

    def test_a_part_that_did_not_come_is_a_broken_answer(self) -> None:
        xop = '<x:ePaket><xop:Include href="cid:1%40x"/></x:ePaket>'
        with pytest.raises(TruncatedError):
            wire_answers.downloaded(answer(Operation.DOWNLOAD, fields(durum="0") + xop))

    def test_empty_bytes_are_not_found_and_no_error(self) -> None:
        assert wire_answers.downloaded(answer(Operation.DOWNLOAD, fields(durum="0", ePaket=""))) == []

    @pytest.mark.parametrize(
        "content",
        [
            fields(durum="103", hataaciklama="Güvenli giriş"),
            fields(hataaciklama="Güvenli giriş"),
            fields(durum="0", ePaket="", hataaciklama="yok"),
            fields(durum="103", ePaket="QUJD", hataaciklama="yok"),
            "",
        ],
    )
    def test_words_or_a_code_are_an_error_even_beside_bytes(self, content: str) -> None:
        with pytest.raises((RefusalError, MalformedError)):
            wire_answers.downloaded(answer(Operation.DOWNLOAD, content))

    @pytest.mark.parametrize(
        ("text", "kind"), [("QUJDR", TruncatedError), ("Q*==", MalformedError), ("QQ==QUJD", MalformedError)]
    )
    def test_bad_base64_is_never_content(self, text: str, kind: type[Exception]) -> None:
        with pytest.raises(kind):
            answer(Operation.DOWNLOAD, fields(durum="0", ePaket=text))


class TestEvidence:
    def test_a_list_without_recipients(self) -> None:
        content = fields(
            durum=["0", "0"], delilId=["d1", "d2"], delilTurId=["10", "61"], tarih=["2026-11-20T12:00:00", "dün"],
            kephs=["hs98", "hs98"], delilaciklama=["Kabul", None],
        )  # fmt: skip
        first, second = wire_answers.evidence_listed(answer(Operation.LIST_EVIDENCE, content))
        assert (first.provider_id, first.code, first.recipient) == ("d1", 10, None)
        assert first.at == datetime(2026, 11, 20, 9, tzinfo=UTC)
        assert (second.code, second.at, second.at_text) == (61, None, "dün")

    def test_nothing_yet(self) -> None:
        assert wire_answers.evidence_listed(answer(Operation.LIST_EVIDENCE, fields(delilId=None))) == []
        with pytest.raises(RefusalError):
            wire_answers.evidence_listed(answer(Operation.LIST_EVIDENCE, fields(durum="5", hataaciklama="hata")))

    def test_in_detail_with_a_nil_entry(self) -> None:
        item = f"<a:DelilSonuc>{fields(durum='0', delilId='d', delilTurId='abc', alici='b@hs99.kep.tr')}</a:DelilSonuc>"
        name = "PaketDetayDelilSorgulaResponse"
        root = parsed(f"<a:{name}><a:DelilSonuc {NIL}/>{item}<a:durum>0</a:durum></a:{name}>")
        (entry,) = wire_answers.evidence_listed(
            Answer(Operation.LIST_EVIDENCE_IN_DETAIL, root.children[0].children[0])
        )  # fmt: skip
        assert (entry.code, entry.recipient) == (None, "b@hs99.kep.tr")


def test_credit_and_quota() -> None:
    assert wire_answers.credit(answer(Operation.CREDIT, fields(miktar="12,5", cins="Kontör"))) == (12.5, "Kontör")
    assert wire_answers.credit(answer(Operation.CREDIT, fields(cins="Şifre"))) == (None, "Şifre")
    assert wire_answers.credit(answer(Operation.CREDIT, fields(miktar="NaN", cins="Kontör"))) == (None, "Kontör")
    assert wire_answers.quota(answer(Operation.QUOTA, "2048")) == 2048
    assert wire_answers.quota(answer(Operation.QUOTA, "-1")) is None


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("2026-11-20T12:00:00", 9), ("2026-11-20T12:00:00Z", 12), ("2026-11-20T12:00:00+02:00", 10),
        ("2026-11-20T12:00:00.1234567891", 9),
    ],
)  # fmt: skip
def test_times_without_zone_are_turkish(text: str, hour: int) -> None:
    found = wire_answers.moment(text)
    assert found is not None
    assert found.astimezone(UTC).hour == hour


@pytest.mark.parametrize(
    "text",
    [
        None, "", "0000-00-00", "bugün", "2026-13-01T00:00:00", "0001-01-01T00:00:00", "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-05:00",
    ],
)  # fmt: skip
def test_what_is_no_time_is_none(text: str | None) -> None:
    assert wire_answers.moment(text) is None


class TestHostile:
    def test_no_document_type(self) -> None:
        with pytest.raises(MalformedError):
            read_xml([b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'], binary=BINARY, limit=10)

    @pytest.mark.parametrize("text", [b"<a><b>", b"<a", b"", b"   "])
    def test_an_early_end_is_told(self, text: bytes) -> None:
        with pytest.raises(TruncatedError):
            read_xml([text], binary=BINARY, limit=10)

    @pytest.mark.parametrize("text", [b"<a></b>", b"<a/>x", b"\xff\xfe<a/>", b"plain"])
    def test_what_is_not_xml_is_told(self, text: bytes) -> None:
        with pytest.raises((MalformedError, TruncatedError)):
            read_xml([text], binary=BINARY, limit=10)

    def test_depth_and_number_of_elements_are_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(answer_reader, "_MOST_NODES", 1000)
        for text in (b"<a>" * 100, b"<a>" + b"<b/>" * 1000):
            with pytest.raises(DomainError) as caught:
                read_xml([text], binary=BINARY, limit=10)
            assert caught.value.code is ErrorCode.TOO_LARGE

    def test_one_binary_is_bounded(self) -> None:
        content = base64.b64encode(bytes(2000)).decode()
        with pytest.raises(DomainError) as caught:
            parsed(f"<a:x><x:ePaket>{content}</x:ePaket></a:x>", limit=1000)
        assert caught.value.code is ErrorCode.TOO_LARGE

    def test_a_binary_may_be_cut_anywhere_on_its_way(self) -> None:
        content = bytes(range(256)) * 40
        text = f"{_START}<x:ePaket>\r\n{base64.encodebytes(content).decode()}</x:ePaket></s:Body></s:Envelope>".encode()
        for size in (1, 3, 7, 1000):
            pieces = [text[start : start + size] for start in range(0, len(text), size)]
            root, blobs = read_xml(pieces, binary=BINARY, limit=100_000)
            assert [blob.read() for blob in blobs] == [content]
            assert root.name == "Envelope"

    def test_files_lie_in_the_answer_only(self) -> None:
        with pytest.raises(MalformedError):
            parsed('<x:ePaket><xop:Include href="https://elsewhere.example/"/></x:ePaket>')
