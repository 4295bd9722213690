"""Rules of the code that linters do not know."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.architecture.sources import ROOT, Module, calls, dotted, modules, strings, texts

_THIS = "tests/architecture/test_code_rules.py"
WALL_CLOCK = re.compile(
    r"(?:^|\.)(?:datetime\.(?:now|utcnow|today)|date\.today|time\.(?:time|time_ns|localtime|gmtime|ctime)|uuid1|timezone\.now)$"
)
PARSERS = {"XMLParser", "XMLPullParser", "HTMLParser", "iterparse"}
READERS = {"fromstring", "parse", "XML", "fromstringlist", "XMLID", "HTML"}
VAGUE = {"Manager", "Helper", "Helpers", "Handler", "Processor", "Data", "Info", "Util", "Utils"}
TERMS = {"SignerInfo", "SignedData", "ManagerRow", "WireManager", "CorrespondenceData", "UnitManager"}
"""RFC 5652 calls them so; a unit of the state has managers."""
VAGUE_MODULES = {"utils", "util", "helpers", "helper", "common", "misc", "service_layer", "manager", "handlers"}
FOREIGN_PATHS = re.compile(r"(?:^|[^\w.>])(?:/(?:work|root)/|/(?:home|Users)/\w|[A-Z]:\\+Users)")

# English field terms stand in the glossary. KEP, DETSİS, EYP, KEPHS and UETS are proper names.
TURKISH = (
    "delil", "muhur", "imza", "paraf", "paket", "ustveri", "ustyazi", "dagitim", "kurum", "birim", "evrak", "belge",
    "muhatap", "gonderen", "gonderici", "sertifika", "kimlik", "yazisma", "iletisim", "hiyerarsi", "sonuc", "adres",
    "dosya", "tebligat", "kayit", "sorgula", "yonetici", "nihai", "aciklama", "yetkili", "konu", "tarih", "sifre",
    "parola", "hesap", "kontor", "kota", "dizin", "durum", "ozet", "guncel", "aktif", "faal", "seviye", "unvan",
)  # fmt: skip
TURKISH_WHOLE = {
    "ek",
    "ekler",
    "ilgi",
    "ilgiler",
    "ileti",
    "hedef",
    "alici",
    "damga",
    "onay",
    "hata",
    "tur",
    "il",
    "ilce",
}
_ASCII = str.maketrans("çğıöşüÇĞİÖŞÜâîû", "cgiosuCGIOSUaiu")


def violations(found: Iterator[str]) -> None:
    """Fail with everything that was found."""
    listed = sorted(set(found))
    assert not listed, "\n" + "\n".join(listed)


def test_only_the_session_commits() -> None:
    """The migrator ends its own transactions, and nothing else does."""
    allowed = {"shared/db/session.py", "shared/db/migrate.py"}
    violations(
        module.at(call)
        for module in modules()
        if module.name not in allowed
        for call, name in calls(module)
        if name.rpartition(".")[2] == "commit"
    )


def test_nothing_but_the_clock_reads_the_clock() -> None:
    violations(
        f"{module.at(node)} {name}"
        for module in modules()
        if module.name != "shared/clock.py"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and WALL_CLOCK.search(name := dotted(node))
    )
    violations(
        f"{module.at(node)} from time import {alias.name}"
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and node.module == "time"
        for alias in node.names
        if alias.name in {"time", "time_ns", "localtime", "gmtime", "ctime"}
    )


def _defined(module: Module) -> Iterator[tuple[ast.AST, str]]:
    for node in ast.walk(module.tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node, node.name
        elif isinstance(node, ast.arg):
            yield node, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node, node.attr
        elif isinstance(node, ast.alias) and node.asname:
            yield node, node.asname


def words(identifier: str) -> list[str]:
    """The words of a snake_case or CamelCase name, in lower case."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", identifier.translate(_ASCII))
    return [word for word in spaced.lower().split("_") if word]


def is_turkish(identifier: str) -> bool:
    """Whether one of its words is a Turkish common noun of the field, whatever its ending."""
    return any(word in TURKISH_WHOLE or word.startswith(TURKISH) for word in words(identifier))


@pytest.mark.parametrize(
    "name", ["DelilKaydi", "muhurDogrula", "imza_dogrula", "kurum_no", "UstveriOku", "ek", "birimler"]
)
def test_planted_turkish_names_are_found(name: str) -> None:
    assert is_turkish(name)


@pytest.mark.parametrize(
    "name",
    ["KepAddress", "DetsisNumber", "kephs", "eyp_container", "index", "address", "tour", "packet", "ekg", "until"],
)
def test_english_and_proper_names_are_not(name: str) -> None:
    assert not is_turkish(name)


def test_turkish_nouns_live_in_wire_modules_only() -> None:
    violations(
        f"{module.at(node)} {name}"
        for module in modules()
        if not module.is_wire
        for node, name in _defined(module)
        if is_turkish(name)
    )


def test_modules_and_classes_say_what_they_are() -> None:
    violations(module.name for module in modules() if module.path.stem in VAGUE_MODULES)
    violations(
        f"{module.at(node)} {node.name}"
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef)
        and node.name not in TERMS
        and VAGUE & set(re.findall(r"[A-Z][a-z0-9]+", node.name))
    )
    violations(
        f"{module.at(node)} {node.name}"
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and re.match(r"_?(?:process|handle|do|do_.*)$", node.name)
    )


def test_modules_stay_readable() -> None:
    """At four hundred lines a module is split by verb. A migration is a list, and lists may be long."""
    violations(
        f"{module.name}: {length} lines"
        for module in modules()
        if "migrations/versions" not in module.name and (length := len(module.text.splitlines())) > 400
    )


def test_xml_is_read_by_hardened_parsers_only() -> None:
    violations(place for module in modules() for place in _unguarded_xml(module))


def test_certificates_are_always_checked() -> None:
    violations(
        module.at(call)
        for module in modules()
        for call, name in calls(module)
        if any(
            keyword.arg in {"verify", "validate_certs", "check_hostname", "verify_ssl"}
            and isinstance(keyword.value, ast.Constant)
            and keyword.value.value is False
            for keyword in call.keywords
        )
        or name.endswith("_create_unverified_context")
    )
    violations(
        module.at(node)
        for module in modules()
        for node in ast.walk(module.tree)
        if (isinstance(node, ast.Attribute) and node.attr == "CERT_NONE")
        or (
            isinstance(node, ast.Assign)
            and any(dotted(target).endswith(".check_hostname") for target in node.targets)
            and isinstance(node.value, ast.Constant)
            and node.value.value is False
        )
    )


def test_no_file_knows_whose_machine_it_was_written_on() -> None:
    violations(
        f"{name}:{number} {line.strip()[:80]}"
        for name, lines in texts().items()
        if name != _THIS
        for number, line in enumerate(lines, 1)
        if FOREIGN_PATHS.search(line)
    )


def test_requirements_name_no_server_and_pin_everything() -> None:
    for file in sorted((ROOT / "requirements").iterdir()):
        for number, line in enumerate(file.read_text().splitlines(), 1):
            place = f"{file.name}:{number} {line}"
            assert not re.search(r"://|index-url|find-links|trusted-host| @ ", line), place
            if file.suffix == ".txt" and line and not line.startswith((" ", "#")):
                assert re.match(r"[A-Za-z0-9_.\-\[\],]+==[^ ]+ .*\\$", line), place
        if file.suffix == ".txt":
            text = file.read_text()
            assert text.count("==") <= text.count("--hash=sha256:")


def test_no_open_ends() -> None:
    """A TODO without an owner is forgotten; what is missing is written down where people look for it."""
    violations(
        f"{name}:{number}"
        for name, lines in texts().items()
        if name.endswith(".py") and name != _THIS
        for number, line in enumerate(lines, 1)
        if re.search(r"#.*\b(?:TODO|FIXME|XXX|HACK)\b", line)
    )


def _stated(call: ast.Call, name: str) -> object:
    for keyword in call.keywords:
        if keyword.arg == name and isinstance(keyword.value, ast.Constant):
            return keyword.value.value
    return None


def _unguarded_xml(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            if any(re.match(r"xml\.(?!sax\.saxutils)", name) for name in names):
                yield f"{module.at(node)} the standard library's XML parsers have no limits"
    for call, name in calls(module):
        owner, _, function = name.rpartition(".")
        if owner.rpartition(".")[2] not in {"etree", "lxml", "objectify", "html"}:
            continue
        if function in READERS and len(call.args) < 2 and not any(keyword.arg == "parser" for keyword in call.keywords):
            yield f"{module.at(call)} {name} without a parser"
        if function in PARSERS and (
            _stated(call, "resolve_entities") is not False
            or _stated(call, "no_network") is not True
            or _stated(call, "huge_tree") is True
            or _stated(call, "load_dtd") is True
            or _stated(call, "recover") is True
        ):
            yield f"{module.at(call)} {name} is not hardened"


def test_no_template_of_a_secret_is_in_a_text() -> None:
    """Keys and tokens are generated at first start; the code holds none."""
    violations(
        module.at(node)
        for module in modules()
        for node, text in strings(module)
        if "-----BEGIN" in text and "PRIVATE KEY" in text and len(text) > 64
    )
