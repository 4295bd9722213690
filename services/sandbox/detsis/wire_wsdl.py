"""The WSDL, rendered from the contract table, with an http:// address as the real one has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from services.sandbox.detsis.wire_contract import (
    HEADER,
    NAMESPACE,
    OPERATIONS,
    PORT_11,
    PORT_12,
    SERVICE,
    Field,
    Operation,
    is_complex,
    shape,
)


def render_wsdl(address: str, operations: Iterable[str] = tuple(OPERATIONS)) -> str:
    """The WSDL of the named operations, or all. ``address`` goes into both ports unchanged."""
    chosen = [OPERATIONS[name] for name in operations]
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        f'<wsdl:definitions name="{SERVICE}" targetNamespace="{NAMESPACE}" xmlns:tns="{NAMESPACE}"',
        '    xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://www.w3.org/2001/XMLSchema"',
        '    xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:soap12="http://schemas.xmlsoap.org/wsdl/soap12/">',
        "  <wsdl:types>",
        f'    <s:schema elementFormDefault="qualified" targetNamespace="{NAMESPACE}">',
        *_indent(6, _schema(chosen)),
        "    </s:schema>",
        "  </wsdl:types>",
    ]
    for operation in chosen:
        lines += _indent(2, _messages(operation))
    lines.append(f'  <wsdl:portType name="{PORT_11}">')
    for operation in chosen:
        lines += [
            f'    <wsdl:operation name="{operation.name}">',
            f"      <wsdl:documentation>{operation.purpose}</wsdl:documentation>",
            f'      <wsdl:input message="tns:{operation.name}SoapIn"/>',
            f'      <wsdl:output message="tns:{operation.name}SoapOut"/>',
            "    </wsdl:operation>",
        ]
    lines.append("  </wsdl:portType>")
    for port, prefix in ((PORT_11, "soap"), (PORT_12, "soap12")):
        lines += [
            f'  <wsdl:binding name="{port}" type="tns:{PORT_11}">',
            f'    <{prefix}:binding transport="http://schemas.xmlsoap.org/soap/http"/>',
        ]
        for operation in chosen:
            lines += _indent(4, _binding(operation, prefix))
        lines.append("  </wsdl:binding>")
    lines.append(f'  <wsdl:service name="{SERVICE}">')
    for port, prefix in ((PORT_11, "soap"), (PORT_12, "soap12")):
        lines += [
            f'    <wsdl:port name="{port}" binding="tns:{port}">',
            f'      <{prefix}:address location="{address}"/>',
            "    </wsdl:port>",
        ]
    lines += ["  </wsdl:service>", "</wsdl:definitions>", ""]
    return "\n".join(lines)


def _indent(depth: int, lines: Iterable[str]) -> Iterator[str]:
    return (" " * depth + line for line in lines)


def _schema(operations: list[Operation]) -> Iterator[str]:
    pending: list[str] = [HEADER]
    for operation in operations:
        result = Field(f"{operation.name}Result", operation.result, optional=True, repeated=False, nillable=False)
        yield from _message_element(operation.name, operation.parameters)
        yield from _message_element(f"{operation.name}Response", (result,))
        pending += [field.type for field in (*operation.parameters, result) if is_complex(field.type)]
    yield f'<s:element name="{HEADER}" type="tns:{HEADER}"/>'
    done: set[str] = set()
    while pending:
        name = pending.pop(0)
        if name in done:
            continue
        done.add(name)
        found = shape(name)
        pending += [field.type for field in found.fields if is_complex(field.type)]
        pending += [found.base] if found.base else []
        yield from _complex_type(name)


def _message_element(name: str, fields: tuple[Field, ...]) -> Iterator[str]:
    yield f'<s:element name="{name}">'
    yield "  <s:complexType>" if fields else "  <s:complexType/>"
    if fields:
        yield from _indent(4, _sequence(fields))
        yield "  </s:complexType>"
    yield "</s:element>"


def _complex_type(name: str) -> Iterator[str]:
    found = shape(name)
    if not found.fields and found.base is None:
        yield f'<s:complexType name="{name}" abstract="true"/>'
        return
    yield f'<s:complexType name="{name}">'
    if found.base:
        yield '  <s:complexContent mixed="false">'
        yield f'    <s:extension base="tns:{found.base}">'
        yield from _indent(6, _sequence(found.fields))
        yield "    </s:extension>"
        yield "  </s:complexContent>"
    else:
        yield from _indent(2, _sequence(found.fields))
        if name == HEADER:
            yield "  <s:anyAttribute/>"
    yield "</s:complexType>"


def _sequence(fields: tuple[Field, ...]) -> Iterator[str]:
    yield "<s:sequence>"
    for field in fields:
        prefix = "tns" if is_complex(field.type) else "s"
        least, most = int(not field.optional), "unbounded" if field.repeated else "1"
        nillable = ' nillable="true"' if field.nillable else ""
        yield (
            f'  <s:element minOccurs="{least}" maxOccurs="{most}" name="{field.name}"{nillable} '
            f'type="{prefix}:{field.type}"/>'
        )
    yield "</s:sequence>"


def _messages(operation: Operation) -> Iterator[str]:
    for suffix, part, element in (
        ("SoapIn", "parameters", operation.name),
        ("SoapOut", "parameters", f"{operation.name}Response"),
        (HEADER, HEADER, HEADER),
    ):
        yield f'<wsdl:message name="{operation.name}{suffix}">'
        yield f'  <wsdl:part name="{part}" element="tns:{element}"/>'
        yield "</wsdl:message>"


def _binding(operation: Operation, prefix: str) -> Iterator[str]:
    yield f'<wsdl:operation name="{operation.name}">'
    yield f'  <{prefix}:operation soapAction="{NAMESPACE}{operation.name}" style="document"/>'
    yield "  <wsdl:input>"
    yield f'    <{prefix}:body use="literal"/>'
    yield f'    <{prefix}:header message="tns:{operation.name}{HEADER}" part="{HEADER}" use="literal"/>'
    yield "  </wsdl:input>"
    yield "  <wsdl:output>"
    yield f'    <{prefix}:body use="literal"/>'
    yield "  </wsdl:output>"
    yield "</wsdl:operation>"
