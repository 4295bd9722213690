"""The WSDL, rendered from the tables: three schemas, all qualified, document/literal wrapped (kep.md 2.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from services.sandbox.kephs.eyws.wire_contract import (
    BINARY,
    BINDING,
    ENUMS,
    MIME,
    PORT,
    PORT_TYPE,
    SERVICE,
    TYPES,
    WRAPPERS,
    XSD_TYPES,
    Field,
    Operation,
    WsdlVariant,
    operations,
    shapes,
)


def render_wsdl(address: str, variant: WsdlVariant = "same") -> bytes:
    """The document, UTF-8. ``address`` goes into the port unchanged."""
    offered = operations(variant)
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        f'<wsdl:definitions targetNamespace="{WRAPPERS}" xmlns:tns="{WRAPPERS}" xmlns:ax="{TYPES}" xmlns:xmime="{MIME}"',
        '    xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/"',
        '    xmlns:xs="http://www.w3.org/2001/XMLSchema">',
        "<wsdl:types>",
        *_schema(MIME, _binary_type()),
        *_schema(TYPES, (line for part in (_enums(), _complex_types(variant)) for line in part), MIME),
        *_schema(WRAPPERS, (line for operation in offered for line in _wrappers(operation)), TYPES, MIME),
        "</wsdl:types>",
        *(line for operation in offered for line in _messages(operation)),
        f'<wsdl:portType name="{PORT_TYPE}">',
        *(line for operation in offered for line in _abstract(operation)),
        "</wsdl:portType>",
        f'<wsdl:binding name="{BINDING}" type="tns:{PORT_TYPE}">',
        '<soap:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>',
        *(line for operation in offered for line in _concrete(operation)),
        "</wsdl:binding>",
        f'<wsdl:service name="{SERVICE}"><wsdl:port name="{PORT}" binding="tns:{BINDING}">',
        f'<soap:address location="{address}"/>',
        "</wsdl:port></wsdl:service>",
        "</wsdl:definitions>",
    ]
    return "\n".join(lines).encode()


def _schema(namespace: str, content: Iterable[str], *imports: str) -> Iterator[str]:
    yield f'<xs:schema targetNamespace="{namespace}" elementFormDefault="qualified" attributeFormDefault="qualified">'
    yield from (f'<xs:import namespace="{imported}"/>' for imported in imports)
    yield from content
    yield "</xs:schema>"


def _binary_type() -> Iterator[str]:
    yield f'<xs:complexType name="{BINARY}"><xs:simpleContent><xs:extension base="xs:base64Binary">'
    yield '<xs:attribute name="contentType" type="xs:string"/><xs:attribute name="fileName" type="xs:string"/>'
    yield "</xs:extension></xs:simpleContent></xs:complexType>"


def _enums() -> Iterator[str]:
    for name, values in ENUMS.items():
        yield f'<xs:simpleType name="{name}"><xs:restriction base="xs:string">'
        yield "".join(f'<xs:enumeration value="{value}"/>' for value in values)
        yield "</xs:restriction></xs:simpleType>"


def _complex_types(variant: WsdlVariant) -> Iterator[str]:
    for name, fields in shapes(variant).items():
        yield f'<xs:complexType name="{name}">'
        yield from _sequence(fields)
        yield "</xs:complexType>"


def _wrappers(operation: Operation) -> Iterator[str]:
    for name, fields in (
        (operation.name, (Field("param0", operation.parameter, nillable=operation.nillable),)),
        (operation.response, operation.answer),
    ):
        yield f'<xs:element name="{name}"><xs:complexType>'
        yield from _sequence(fields)
        yield "</xs:complexType></xs:element>"


def _sequence(fields: tuple[Field, ...]) -> Iterator[str]:
    yield "<xs:sequence>"
    for field in fields:
        most = "unbounded" if field.many else "1"
        nillable = ' nillable="true"' if field.nillable else ""
        default = f' default="{field.default}"' if field.default else ""
        yield (
            f'<xs:element name="{field.name}" type="{_qualified(field.type)}" minOccurs="{field.least}" '
            f'maxOccurs="{most}"{nillable}{default}/>'
        )
    yield "</xs:sequence>"


def _qualified(type_name: str) -> str:
    if type_name in XSD_TYPES:
        return f"xs:{type_name}"
    return f"xmime:{type_name}" if type_name == BINARY else f"ax:{type_name}"


def _messages(operation: Operation) -> Iterator[str]:
    for suffix, element in (("Request", operation.name), ("Response", operation.response)):
        yield f'<wsdl:message name="{operation.name}{suffix}">'
        yield f'<wsdl:part name="parameters" element="tns:{element}"/></wsdl:message>'


def _abstract(operation: Operation) -> Iterator[str]:
    yield f'<wsdl:operation name="{operation.name}"><wsdl:input message="tns:{operation.name}Request"/>'
    yield f'<wsdl:output message="tns:{operation.name}Response"/></wsdl:operation>'


def _concrete(operation: Operation) -> Iterator[str]:
    yield f'<wsdl:operation name="{operation.name}">'
    yield f'<soap:operation soapAction="urn:{operation.name}" style="document"/>'
    yield '<wsdl:input><soap:body use="literal"/></wsdl:input><wsdl:output><soap:body use="literal"/></wsdl:output>'
    yield "</wsdl:operation>"
