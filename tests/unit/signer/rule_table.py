"""Prints what proves each rule, trap and limit: ``python -m tests.unit.signer.rule_table``, as Markdown.

Rules are proved by ``rule_cases.py``. What building blocks get wrong (traps) and what attackers try (limits) are proved by
the tests named here; ``test_rule_table.py`` fails when one of them is gone.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.signer.policy import PROFILES
from services.signer.standing import PURPOSES
from shared.contracts.signatures import Profile


@dataclass(frozen=True)
class Proof:
    """Tests in which something is accepted, and those in which it is refused: ``module.function`` or ``module.Class.method``."""

    what: str
    accepted: tuple[str, ...]
    refused: tuple[str, ...]


TRAPS: dict[str, Proof] = {
    "3.1": Proof(
        "signed attributes not in DER order",
        (
            "test_cades.test_qualified_signature_passes_with_numbered_steps",
            "test_cades.test_attributes_not_in_der_order_pass_with_a_warning",
        ),
        ("test_cades.test_attribute_rules",),
    ),
    "3.2": Proof(
        "RSA DigestInfo without NULL",
        ("test_cades.test_rsa_digest_info_without_null",),
        ("test_cades.test_broken_signature_value",),
    ),
    "3.3": Proof(
        "SHA-3 with RSA",
        ("test_cades.test_rsa_with_sha3",),
        ("test_cades.test_digest_must_agree_with_signature_algorithm",),
    ),
    "3.4": Proof(
        "certificates cryptography does not load",
        ("test_chain.test_a_root_that_cryptography_does_not_load",),
        ("test_chain.test_a_root_that_only_has_the_name_of_a_trusted_one",),
    ),
    "3.5": Proof(
        "eContent is never parsed by its type",
        ("test_cades.test_opaque_content_type_is_never_parsed",),
        ("test_cades.test_attached_signature_over_something_else_than_expected",),
    ),
    "3.6": Proof(
        "time-stamp wrapped in an OCTET STRING",
        ("test_levels.test_an_unreadable_attribute_spoils_nothing_but_itself",),
        ("test_levels.TestOtherStamps.test_a_token_in_an_octet_string_is_no_time_stamp",),
    ),
    "3.7": Proof(
        "cardinality of signed attributes",
        ("test_cades.test_qualified_signature_passes_with_numbered_steps",),
        ("test_cades.test_attribute_rules",),
    ),
    "3.8": Proof(
        "algorithm protection by meaning",
        ("test_cades.test_algorithm_protection_is_compared_by_meaning",),
        ("test_cades.test_attribute_rules",),
    ),
    "3.9": Proof(
        "indefinite lengths in small chunks",
        ("test_limits.test_indefinite_lengths_in_small_chunks",),
        ("test_limits.test_malformed",),
    ),
    "3.10": Proof(
        "thousands of signers",
        ("test_cades.test_several_signers_each_get_a_verdict",),
        ("test_limits.test_5000_signers",),
    ),
    "3.11": Proof(
        "nested values", ("test_limits.test_definite_bytes_are_left_alone",), ("test_limits.test_900_nested_sequences",)
    ),
    "3.12": Proof(
        "RSA keys that keep the processor busy",
        ("test_cades.test_rsa",),
        ("test_cades.test_rsa_keys_that_would_keep_the_processor_busy_are_refused",),
    ),
}
"""Rows of signatures.md 3, in order."""

LIMITS: dict[str, Proof] = {
    "8.1 size, depth, number": Proof(
        "ASN.1",
        ("test_levels.test_values_may_hold_a_long_list",),
        (
            "test_limits.test_too_many_values_and_bytes",
            "test_limits.test_900_nested_sequences",
            "test_limits.test_5000_signers",
            "test_limits.test_too_many_certificates",
            "test_chain.test_time_stamps_are_counted_over_the_whole_file",
            "test_counter_signatures.test_a_tree_four_deep_and_no_deeper",
        ),
    ),
    "8.1 XML": Proof(
        "no DTD, no entities, bounded",
        ("test_xades_levels.test_every_level_is_found_holds_and_passes",),
        (
            "test_xades.test_hostile_xml",
            "test_xades_hostile.TestSize.test_document_types",
            "test_xades_hostile.TestSize.test_depth",
            "test_xades_hostile.TestSize.test_text",
        ),
    ),
    "8.1 PDF": Proof(
        "counted work",
        ("test_pades_hostile.TestBombs.test_the_same_file_with_an_honest_stream_is_read",),
        (
            "test_pades_hostile.TestBombs.test_an_object_stream_of_zeros",
            "test_pades_hostile.TestLimits.test_steps",
            "test_pades_hostile.TestLimits.test_five_thousand_fields",
            "test_pades_hostile.test_loops_and_depths_end",
        ),
    ),
    "8.1 worker": Proof(
        "processor time, memory, killing",
        ("test_workers.test_the_verdict_is_that_of_the_pipeline",),
        (
            "test_workers_hostile.test_processor_time_is_bounded_for_each_verification",
            "test_workers_hostile.test_memory_is_bounded_and_a_good_file_does_not_fail_for_it",
            "test_workers_hostile.test_killed_in_the_middle",
            "test_workers_hostile.test_what_ends_a_worker_leaves_the_verdict_open",
        ),
    ),
    "8.2 algorithms by date": Proof(
        "digests, keys, curves",
        (
            "test_cades.test_elliptic_curves",
            "test_cades.test_rsa",
            "test_cades.test_sha1_is_intact_but_counts_only_with_an_old_moment",
        ),
        (
            "test_cades.test_rsa_1024",
            "test_cades.test_sha1_certificate_reference_does_not_count",
            "test_xades_hostile.TestAlgorithms.test_md5",
            "test_timestamp_files.test_an_old_digest_counts_for_old_times_only",
        ),
    ),
    "8.3 binding": Proof(
        "signing certificate",
        ("test_cades.test_the_vouched_certificate_is_chosen_among_namesakes",),
        (
            "test_cades.test_swapped_certificate_with_same_key_and_issuer",
            "test_cades.test_no_signing_certificate_attribute",
            "test_xades.test_swapped_certificate_with_the_same_key",
        ),
    ),
    "8.4 what is signed": Proof(
        "detached, XML, PDF",
        (
            "test_xades_levels.test_the_report_is_about_the_canonical_octets",
            "test_pades_changes.TestHarmless.test_a_form_is_filled_in",
        ),
        (
            "test_cades.test_detached_needs_its_content",
            "test_xades_hostile.TestWrapping.test_an_id_on_two_elements",
            "test_xades_hostile.TestWrapping.test_the_signed_document_inside_another",
            "test_pades_changes.TestAttacks.test_a_revision_that_shows_something_else",
            "test_pades_hostile.TestRanges.test_every_other_range_is_refused",
        ),
    ),
    "8.5 several signers": Proof(
        "each its own verdict",
        ("test_counter_signatures.test_a_counter_signature_has_its_own_verdict",),
        (
            "test_cades.test_several_signers_each_get_a_verdict",
            "test_counter_signatures.test_a_good_one_hides_no_bad_signature_below",
        ),
    ),
    "8.6 fetching": Proof(
        "guard",
        ("test_fetching.test_fetch_names_the_host_and_connects_to_the_address",),
        (
            "test_fetching.test_refused_addresses",
            "test_fetching.test_no_redirect",
            "test_fetching_hostile.test_a_name_that_changes_its_address_meanwhile_changes_nothing",
            "test_fetching_hostile.test_a_list_without_end_is_cut_off_and_takes_no_memory",
            "test_service.test_nothing_is_fetched_for_a_signature_that_does_not_hold",
            "test_sources.test_a_file_costs_twenty_requests_at_most",
        ),
    ),
    "8.7 freshness": Proof(
        "lists and responses",
        ("test_freshness.test_what_counts_at_the_proven_time",),
        (
            "test_freshness.test_what_counts_at_the_proven_time",
            "test_chain.TestRevocation.test_list_from_the_future",
            "test_sources_ocsp.test_answers_that_are_not_kept",
            "test_freshness.test_a_final_verdict_of_p2_needs_a_list_of_after_the_grace_period",
        ),
    ),
    "8.8 clock": Proof(
        "time-stamps",
        ("test_timing.TestBestTime.test_the_earliest_signature_time_stamp",),
        (
            "test_timing.TestAuthority.test_sixty_seconds_ahead_of_our_clock_and_no_more",
            "test_timing.TestAuthority.test_its_certificate_is_for_time_stamps_alone_and_says_so_critically",
            "test_timing.TestOrder.test_what_covers_must_not_be_older_by_more_than_a_minute",
        ),
    ),
    "8.9 trust store": Proof(
        "two persons",
        ("test_trust_store.TestTwoPersons.test_a_set_that_two_approved_is_used_and_named",),
        (
            "test_trust_store.TestTwoPersons.test_one_approval_activates_nothing",
            "test_trust_store.TestTwoPersons.test_the_same_person_counts_once",
            "test_trust_store.TestTampering.test_an_altered_manifest",
            "test_trust_store.TestRollback.test_an_older_version_is_refused_while_a_newer_was_in_use",
        ),
    ),
    "8.10 seal key": Proof(
        "purpose-bound, audited, checked",
        ("test_sealing.test_seal", "test_sealing.test_audit_line_comes_first"),
        (
            "test_sealing.test_purpose_and_institution_are_bound",
            "test_sealing.test_a_key_store_that_signs_wrongly_is_found_out",
            "test_tokens.test_a_wrong_pin_is_tried_exactly_once",
        ),
    ),
    "8.11 privacy": Proof(
        "identity numbers are masked",
        ("test_cades.test_qualified_signature_passes_with_numbered_steps",),
        ("test_sealing.test_description_shows_no_identity_number",),
    ),
    "8.12 changed bits": Proof(
        "10,000 of them",
        ("test_bit_flips.test_nothing_raises_and_nothing_altered_is_accepted",),
        (
            "test_bit_flips.test_nothing_raises_and_nothing_altered_is_accepted",
            "test_pades_bit_flips.test_every_bit_of_what_is_signed",
            "test_xades_hostile.test_bit_flips",
        ),
    ),
}
"""Numbers of signatures.md 8."""

OF_TIMESTAMPS: dict[str, Proof] = {
    "signing-certificate-attribute": Proof(
        "",
        ("test_timestamp_files.test_a_token_and_an_answer",),
        ("test_verify_file.test_a_time_stamp_must_name_its_certificate",),
    ),
    "end-entity": Proof(
        "", ("test_timestamp_files.test_a_token_and_an_answer",), ("test_timestamp_files.test_the_authority",)
    ),
    "time-stamping-usage": Proof(
        "", ("test_timestamp_files.test_the_authority",), ("test_timestamp_files.test_the_authority",)
    ),
    "time-stamp-file": Proof(
        "",
        ("test_timestamp_files.test_a_token_and_an_answer",),
        ("test_timestamp_files.test_the_profile_is_for_time_stamps_alone",),
    ),
}
OF_CERTIFICATES: dict[str, Proof] = {
    "end-entity": Proof(
        "",
        ("test_standing.test_a_good_one_passes_every_step",),
        ("test_standing.test_an_authority_is_not_encrypted_with",),
    ),
    "encryption-usage": Proof("", ("test_standing.test_key_and_its_usage",), ("test_standing.test_key_and_its_usage",)),
}


def rules() -> list[tuple[str, Proof]]:
    """Every rule of every profile and purpose."""
    found = []
    for profile, rules_of in PROFILES.items():
        for rule in rules_of.rules:
            cases = Proof(
                rule.text.en,
                (f"test_rule_cases.test_accepted[{profile}]",),
                (f"test_rule_cases.test_refused[{profile}-{rule.id}]",),
            )
            found.append((f"{profile}.{rule.id}", OF_TIMESTAMPS[rule.id] if profile is Profile.TIMESTAMP else cases))
    for purpose, rules_of_purpose in PURPOSES.items():
        found += [(f"{purpose}.{rule.id}", OF_CERTIFICATES[rule.id]) for rule in rules_of_purpose.requirements]
    return found


def markdown() -> str:
    """The table; tests stand in ``tests/unit/signer``."""
    lines = ["| rule, trap, limit | accepted | refused |", "|---|---|---|"]
    for name, proof in (*rules(), *TRAPS.items(), *LIMITS.items()):
        what = f"{name} {proof.what}" if name[0].isdigit() else name
        lines.append(f"| {what} | {_cells(proof.accepted)} | {_cells(proof.refused)} |")
    return "\n".join(lines)


def _cells(tests: tuple[str, ...]) -> str:
    return "<br>".join(f"`{test.removeprefix('test_')}`" for test in tests)


if __name__ == "__main__":
    print(markdown())
