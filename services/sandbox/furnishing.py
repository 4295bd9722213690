"""Giving everyone in the plan their certificates, and writing the world down for clients."""

from __future__ import annotations

import os

from services.sandbox.pki.authority import new_ec_key, new_rsa_key
from services.sandbox.pki.identity import write_private
from services.sandbox.pki.profiles import (
    Level,
    Purpose,
    institution_encryption,
    institution_seal,
    kep_transaction,
    qualified_person,
)
from services.sandbox.pki.store import Pki
from services.sandbox.world import (
    AddressDocument,
    DetsisAccountDocument,
    DetsisDocument,
    InstitutionDocument,
    InstitutionPlan,
    KeyDocument,
    ListenerPlan,
    PkiDocument,
    ProviderDocument,
    WorldDocument,
    WorldPlan,
)

_AGENT_NAMES = ("AYŞE DENEME", "MEHMET DENEME")
_SIGNER_NAMES = ("FATMA ÖRNEK", "ALİ ÖRNEK")


def issue_identities(plan: WorldPlan, pki: Pki) -> None:
    """Issue, or read back, the certificates of all providers and institutions of ``plan``.

    The first provider and institution get RSA-2048, the others P-256, so that both are met; encryption
    certificates are RSA always, because key encipherment is an RSA key usage.
    """
    for index, provider in enumerate(plan.providers):
        profile = kep_transaction(provider.name, f"kephs@{provider.domain}")
        pki.ensure(provider.identity, profile, new_ec_key if index else new_rsa_key)
    sender = qualified_person("DETSİS DENEME GÖNDERİCİSİ", made_up_identity_no(90), email=plan.detsis_sender.address)
    pki.ensure(plan.detsis_sender.signing, sender, new_ec_key)
    holders = [institution for institution in plan.institutions if institution.keys is not None]
    for index, holder in enumerate(holders):
        assert holder.keys is not None
        new_key = new_ec_key if index else new_rsa_key
        tax_no = made_up_tax_no(index + 1)
        agent = qualified_person(_AGENT_NAMES[index % 2], made_up_identity_no(2 * index + 1), email=holder.kep_address)
        signer = qualified_person(_SIGNER_NAMES[index % 2], made_up_identity_no(2 * index + 2))
        pki.ensure(holder.keys.signing, agent, new_key)
        pki.ensure(holder.keys.person, signer, new_key)
        pki.ensure(holder.keys.seal, institution_seal(holder.name, tax_no), new_key)
        pki.ensure(holder.keys.encryption, institution_encryption(holder.name, tax_no), new_rsa_key)


def describe(plan: WorldPlan, pki: Pki, *, detsis_path: str, soap_path: str) -> WorldDocument:
    """The world as clients see it. The paths, of DETSİS and of the providers' SOAP service, start with a slash."""
    return WorldDocument(
        process_id=os.getpid(),
        control_url=plan.control_url,
        docs_url=f"{plan.control_url}/docs",
        tls_ca_file=plan.trust_directory / Purpose.TLS / "ca.pem",
        trust_directory=plan.trust_directory,
        pki=PkiDocument(
            crl_urls={f"{purpose}-{level}": pki.urls.crl(purpose, level) for purpose in Purpose for level in Level},
            ocsp_urls={purpose.value: pki.urls.ocsp(purpose) for purpose in Purpose},
            timestamp_url=pki.urls.timestamp,
        ),
        detsis=DetsisDocument(
            endpoint=f"https://{plan.public_host}:{plan.detsis_port}{detsis_path}",
            kep_address=plan.detsis_sender.address,
            accounts=tuple(
                DetsisAccountDocument(
                    institution_no=account.institution_no, account_id=account.account_id, password=account.password
                )
                for account in plan.detsis_accounts
            ),
        ),
        providers=tuple(
            ProviderDocument(
                name=provider.name,
                domain=provider.domain,
                smtp=_address(plan, provider.smtp),
                imap=_address(plan, provider.imap),
                soap_url=f"https://{plan.public_host}:{provider.soap.port}{soap_path}",
                transaction_certificate=pki.files(provider.identity).certificate,
            )
            for provider in plan.providers
        ),
        institutions=tuple(_institution(institution, pki) for institution in plan.institutions),
    )


def write_world(plan: WorldPlan, document: WorldDocument) -> None:
    """Write ``world.json`` whole or not at all, readable by its owner only: it holds passwords."""
    write_private(plan.world_file, document.model_dump_json(indent=2).encode())


def made_up_identity_no(order: int) -> str:
    """A national identity number with valid check digits, from the lowest range, which samples use."""
    digits = [int(digit) for digit in f"{100_000_000 + order:09d}"]
    tenth = (7 * sum(digits[0::2]) - sum(digits[1::2])) % 10
    return "".join(map(str, [*digits, tenth, (sum(digits) + tenth) % 10]))


def made_up_tax_no(order: int) -> str:
    """A tax number with a valid check digit, from the lowest range."""
    digits = [int(digit) for digit in f"{order:09d}"]
    total = 0
    for place, digit in zip(range(9, 0, -1), digits, strict=True):
        moved = (digit + place) % 10
        total += 9 if moved == 9 else moved * 2**place % 9
    return "".join(map(str, [*digits, (10 - total % 10) % 10]))


def _address(plan: WorldPlan, listener: ListenerPlan) -> AddressDocument:
    return AddressDocument(host=plan.public_host, port=listener.port, tls=listener.tls)


def _institution(plan: InstitutionPlan, pki: Pki) -> InstitutionDocument:
    keys = plan.keys
    return InstitutionDocument(
        detsis_no=plan.detsis_no,
        name=plan.name,
        active=plan.active,
        kep_address=plan.kep_address,
        provider=plan.provider,
        username=plan.username,
        password=plan.password,
        agent_no=plan.agent_no,
        second_password=plan.second_password,
        behaviour=plan.behaviour,
        signing_key=_key(pki, keys.signing) if keys else None,
        person_key=_key(pki, keys.person) if keys else None,
        seal_key=_key(pki, keys.seal) if keys else None,
        encryption_key=_key(pki, keys.encryption) if keys else None,
        encryption_certificate=pki.files(keys.encryption).certificate if keys else None,
    )


def _key(pki: Pki, name: str) -> KeyDocument:
    files = pki.files(name)
    return KeyDocument(pkcs12=files.pkcs12, password_file=files.password_file, certificate=files.certificate)
