"""The offline verifier: genuine results hold, and whatever was altered is named."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import random
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, cast

import pytest
import rfc8785
from qmumma import Check, Report, UnreadableError, verify
from qmumma.documents import DOCUMENTS, verify_trusting
from qmumma.exact import UnkeptNumberError, canonical, parse
from qmumma.kinds import KINDS, Kind
from qmumma.verification import Trust

from tests.unit.sdk.conftest import FIELDS, Bundle, build, encode

ZEROS = "sha256:" + "0" * 64
ED25519_LINE, MLDSA_LINE = 4, 5


def named(report: Report) -> set[str]:
    return {check.name for check in report.failed}


def check(bundle: Any, result: bytes) -> Report:
    return verify(result, bundle.jwks, bundle.log_keys)


def flip(text: str, place: int = 5) -> str:
    """Change one character of base64 or hex into another of its alphabet."""
    return text[:place] + ("1" if text[place] != "1" else "2") + text[place + 1 :]


def edit_line(note: str, number: int, change: Any) -> str:
    lines = note.split("\n")
    lines[number] = change(lines[number])
    return "\n".join(lines)


def test_a_genuine_result_holds_in_every_check(bundle: Any) -> None:
    report = check(bundle, bundle.result)
    assert report.ok
    assert report.notes == ()
    assert [check.name.split("+")[0] for check in report.checks] == [
        "fields",
        "audit_hash",
        "jwks",
        "pqc_signature",
        "proof.leaf",
        "blockchain_anchor",
        "proof.inclusion",
        "proof.checkpoint origin",
        "proof.checkpoint size",
        "proof.checkpoint signature qmumma.local/log",
        "proof.checkpoint signature qmumma.local/log",
    ]


def test_white_space_and_the_order_of_members_do_not_matter(bundle: Any) -> None:
    compact = json.dumps(dict(reversed(bundle.body.items())), separators=(",", ":"))
    assert check(bundle, compact.encode()).ok


def test_every_changed_field_is_named_by_its_digest(bundle: Any) -> None:
    for name in bundle.body["proof"]["digests"].keys() - {"type"}:
        report = check(bundle, bundle.altered(name, "changed"))
        assert named(report) == {name, "audit_hash", "pqc_signature"}
        assert next(check for check in report.failed if check.name == name).detail.startswith("is not what was signed")


@pytest.mark.parametrize("value", [-1.139765103675978, -1, "-1.1397651036759782", None, [-1.1397651036759782]])
def test_a_value_deep_inside_a_field_is_covered(bundle: Any, value: Any) -> None:
    assert "result" in named(check(bundle, bundle.altered("result.energy", value)))


def test_an_added_a_removed_and_a_renamed_field_are_named(bundle: Any) -> None:
    assert "approved" in named(check(bundle, bundle.altered("approved", "yes")))
    body = copy.deepcopy(bundle.body)
    del body["fidelity"]
    assert "fidelity" in named(check(bundle, json.dumps(body).encode()))
    body["Fidelity"] = bundle.body["fidelity"]
    assert {"fidelity", "Fidelity"} <= named(check(bundle, json.dumps(body).encode()))


def test_every_changed_digest_is_named_as_such_and_nothing_else_is(bundle: Any) -> None:
    for name in bundle.body["proof"]["digests"]:
        assert named(check(bundle, bundle.altered(f"proof.digests.{name}", ZEROS))) == {f"proof.digests.{name}"}


def test_an_added_and_a_removed_digest_are_named_and_nothing_else_is(bundle: Any) -> None:
    assert named(check(bundle, bundle.altered("proof.digests.ghost", ZEROS))) == {"proof.digests.ghost"}
    digests = {name: text for name, text in bundle.body["proof"]["digests"].items() if name != "shots"}
    assert named(check(bundle, bundle.altered("proof.digests", digests))) == {"proof.digests.shots"}


def test_a_field_changed_together_with_its_digest_does_not_pass(bundle: Any) -> None:
    body = json.loads(bundle.altered("shots", 8192))
    body["proof"]["digests"]["shots"] = "sha256:" + hashlib.sha256(b"8192").hexdigest()
    assert named(check(bundle, json.dumps(body).encode())) == {"audit_hash", "pqc_signature"}


def test_a_changed_audit_hash_is_named(bundle: Any) -> None:
    assert named(check(bundle, bundle.altered("audit_hash", ZEROS))) == {"audit_hash"}


def test_a_changed_signature_is_named(bundle: Any) -> None:
    changed = flip(bundle.body["pqc_signature"], 100)
    assert named(check(bundle, bundle.altered("pqc_signature", changed))) == {"pqc_signature"}


def test_a_changed_key_id_is_named_whether_the_jwks_has_it_or_not(bundle: Any) -> None:
    assert named(check(bundle, bundle.altered("key_id", "vajra-2026-09"))) == {"key_id", "jwks", "pqc_signature"}
    assert "key_id" in named(check(bundle, bundle.altered("key_id", "vajra-2026-02")))


def test_a_changed_anchor_is_named(bundle: Any) -> None:
    changed = flip(bundle.body["blockchain_anchor"], 20)
    assert named(check(bundle, bundle.altered("blockchain_anchor", changed))) == {"blockchain_anchor"}


@pytest.mark.parametrize("member", ["audit_hash", "kid", "sig_sha256"])
def test_a_changed_member_of_the_leaf_is_named(bundle: Any, member: str) -> None:
    leaf = json.loads(bundle.body["proof"]["leaf"])
    leaf[member] = "vajra-2026-09" if member == "kid" else ZEROS
    changed = canonical(leaf).decode()
    assert named(check(bundle, bundle.altered("proof.leaf", changed))) == {"proof.leaf"}


@pytest.mark.parametrize("change", [{"v": 2}, {"v": True}, {"type": "result"}, {"extra": 1}, {"kid": 5}])
def test_a_leaf_of_another_kind_is_refused(bundle: Any, change: dict[str, Any]) -> None:
    leaf = canonical({**json.loads(bundle.body["proof"]["leaf"]), **change}).decode()
    assert [each.name for each in check(bundle, bundle.altered("proof.leaf", leaf)).checks] == ["proof.leaf"]


def test_a_leaf_that_is_not_canonical_is_refused(bundle: Any) -> None:
    leaf = json.dumps(json.loads(bundle.body["proof"]["leaf"]))
    (failed,) = check(bundle, bundle.altered("proof.leaf", leaf)).checks
    assert failed.name == "proof.leaf"
    assert "RFC 8785" in failed.detail


def test_the_proof_of_another_result_of_the_same_log_does_not_fit(bundle: Any, other_bundle: Any) -> None:
    """Signature and proof are genuine, each on its own, but the log has no such record."""
    assert check(other_bundle, other_bundle.result).ok
    body = copy.deepcopy(bundle.body)
    body["proof"] = {**other_bundle.body["proof"], "digests": bundle.body["proof"]["digests"]}
    body["blockchain_anchor"] = other_bundle.body["blockchain_anchor"]
    assert named(check(bundle, json.dumps(body).encode())) == {"audit_hash", "pqc_signature"}


def test_a_second_signature_over_the_same_record_is_not_the_one_that_was_logged(
    bundle: Any, bundle_signed_again: Any
) -> None:
    signature = bundle_signed_again.body["pqc_signature"]
    report = check(bundle, bundle.altered("pqc_signature", signature))
    assert [(each.name, each.detail.split(",")[0]) for each in report.failed] == [
        ("pqc_signature", "differs from the log entry")
    ]


def test_spare_bits_of_base64_are_not_room_for_changes(bundle: Any) -> None:
    node = bundle.body["proof"]["inclusion"][1]
    spare = node[:-2] + chr(ord(node[-2]) + 1) + "="
    assert base64.b64decode(spare) == base64.b64decode(node)
    assert named(check(bundle, bundle.altered("proof.inclusion.1", spare))) == {"proof.inclusion[1]"}


def test_every_changed_inclusion_node_is_named_by_number(bundle: Any) -> None:
    nodes = bundle.body["proof"]["inclusion"]
    assert len(nodes) == 5
    for number, node in enumerate(nodes):
        report = check(bundle, bundle.altered(f"proof.inclusion.{number}", flip(node)))
        assert named(report) == {f"proof.inclusion[{number}]", "proof.inclusion"}


def test_every_changed_inclusion_digest_is_named_by_number(bundle: Any) -> None:
    for number in range(5):
        report = check(bundle, bundle.altered(f"proof.inclusion_digests.{number}", ZEROS))
        assert named(report) == {f"proof.inclusion_digests[{number}]"}


@pytest.mark.parametrize("count", [0, 4])
def test_a_shorter_path_and_fewer_digests_are_named(bundle: Any, count: int) -> None:
    proof = bundle.body["proof"]
    assert named(check(bundle, bundle.altered("proof.inclusion", proof["inclusion"][:count]))) == {"proof.inclusion"}
    report = check(bundle, bundle.altered("proof.inclusion_digests", proof["inclusion_digests"][:count]))
    assert named(report) == {f"proof.inclusion_digests[{number}]" for number in range(count, 5)}


def test_a_longer_path_and_more_digests_are_named(bundle: Any) -> None:
    proof = bundle.body["proof"]
    longer = [*proof["inclusion"], proof["inclusion"][0]]
    assert "proof.inclusion" in named(check(bundle, bundle.altered("proof.inclusion", longer)))
    digests = [*proof["inclusion_digests"], ZEROS]
    assert named(check(bundle, bundle.altered("proof.inclusion_digests", digests))) == {"proof.inclusion_digests"}


@pytest.mark.parametrize("index", [0, 12, 14, 20, 21, 2**53 - 1])
def test_a_changed_leaf_index_is_named(bundle: Any, index: int) -> None:
    assert named(check(bundle, bundle.altered("proof.leaf_index", index))) == {"proof.leaf_index"}


@pytest.mark.parametrize("size", [0, 13, 14, 20, 22, 32, 2**40])
def test_a_changed_tree_size_is_named(bundle: Any, size: int) -> None:
    assert named(check(bundle, bundle.altered("proof.tree_size", size))) == {"proof.tree_size"}


@pytest.mark.parametrize(
    ("number", "change", "name"),
    [
        (0, lambda line: line + "x", "proof.checkpoint origin"),
        (1, lambda _line: "22", "proof.checkpoint size"),
        (2, flip, "proof.checkpoint root"),
    ],
)
def test_a_changed_line_of_the_checkpoint_is_named_and_no_signature_holds(
    bundle: Any, number: int, change: Any, name: str
) -> None:
    changed = edit_line(bundle.body["proof"]["checkpoint"], number, change)
    failed = named(check(bundle, bundle.altered("proof.checkpoint", changed)))
    assert name in failed
    assert failed - {name} == {each for each in failed if each.startswith("proof.checkpoint signature")}
    assert len(failed) == 3


@pytest.mark.parametrize(("number", "algorithm"), [(ED25519_LINE, "Ed25519"), (MLDSA_LINE, "ML-DSA-65")])
def test_a_changed_signature_line_is_named_by_its_key(bundle: Any, number: int, algorithm: str) -> None:
    changed = edit_line(bundle.body["proof"]["checkpoint"], number, lambda line: flip(line, 40))
    (failed,) = check(bundle, bundle.altered("proof.checkpoint", changed)).failed
    assert failed.name.endswith(f"({algorithm})")
    assert "this line is altered" in failed.detail


@pytest.mark.parametrize("number", [ED25519_LINE, MLDSA_LINE])
def test_every_key_given_demands_its_line(bundle: Any, number: int) -> None:
    lines = bundle.body["proof"]["checkpoint"].split("\n")
    del lines[number]
    (failed,) = check(bundle, bundle.altered("proof.checkpoint", "\n".join(lines))).failed
    assert failed.detail == "there is no line of this key"


def test_with_one_key_given_the_other_line_is_left_to_a_note(bundle: Any) -> None:
    ed25519 = bundle.log_keys.splitlines()[0]
    report = verify(bundle.result, bundle.jwks, ed25519)
    assert report.ok
    assert len(report.notes) == 1
    assert "is not checked" in report.notes[0]


def test_a_second_line_of_a_given_key_must_hold_as_well(bundle: Any) -> None:
    note = bundle.body["proof"]["checkpoint"]
    doubled = note + flip(note.split("\n")[ED25519_LINE], 40) + "\n"
    assert not check(bundle, bundle.altered("proof.checkpoint", doubled)).ok


@pytest.mark.parametrize("name", ["type", "pqc_signature", "key_id", "audit_hash", "blockchain_anchor"])
def test_a_missing_member_is_named(bundle: Any, name: str) -> None:
    body = {key: value for key, value in bundle.body.items() if key != name}
    assert [(each.name, each.detail) for each in check(bundle, json.dumps(body).encode()).checks] == [(name, "missing")]


def test_an_answer_without_proof_is_told_which_answer_has_one(bundle: Any) -> None:
    completed = {key: value for key, value in bundle.body.items() if key != "proof"}
    for body in (completed, {"job_id": completed["job_id"], "status": "running"}, {}):
        (failed,) = check(bundle, json.dumps(body).encode()).checks
        assert (failed.name, failed.ok) == ("proof", False)
        assert failed.detail.endswith("such as GET /v1/jobs/{id}?include=proof gives")


def test_a_missing_an_unknown_and_a_mistyped_member_of_the_proof_is_named(bundle: Any) -> None:
    for name in bundle.body["proof"]:
        proof = {key: value for key, value in bundle.body["proof"].items() if key != name}
        assert named(check(bundle, bundle.altered("proof", proof))) == {f"proof.{name}"}
        for value in (None, True, 1.5, -1, "", [7], {"a": 7}):
            (failed,) = check(bundle, bundle.altered(f"proof.{name}", value)).failed
            assert failed.name.startswith(f"proof.{name}")
    assert named(check(bundle, bundle.altered("proof.ghost", 1))) == {"proof.ghost"}


@pytest.mark.parametrize("other", ["result", "", None, 1])
def test_a_type_that_is_none_is_refused(bundle: Any, other: object) -> None:
    assert named(check(bundle, bundle.altered("type", other))) == {"type"}


def test_a_result_passed_off_as_another_type_is_named(bundle: Any) -> None:
    altered = check(bundle, bundle.altered("type", "qmumma.entropy/v1"))
    assert named(altered) == {"type", "audit_hash", "pqc_signature"}
    leaf = canonical({**json.loads(bundle.body["proof"]["leaf"]), "type": "qmumma.entropy/v1"}).decode()
    assert named(check(bundle, bundle.altered("proof.leaf", leaf))) == {"proof.leaf"}


def test_any_type_holds_as_a_result_does_and_its_kind_says_what_stands_beside_the_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = build({"bits": 8, "data_sha256": hashlib.sha256(b"\x07").hexdigest()}, "qmumma.entropy/v1")
    assert check(made, made.result).ok
    with_data = encode({**made.body, "data": "07"})
    assert "data" in named(check(made, with_data))

    def examine(answer: Any) -> Iterator[Check]:
        same = hashlib.sha256(bytes.fromhex(answer["data"])).hexdigest() == answer["data_sha256"]
        yield Check("data", same, "is what was signed" if same else "is not what was signed")

    kind = Kind("qmumma.entropy/v1", beside=frozenset({"data"}), examine=examine)
    monkeypatch.setitem(cast("dict[str, Kind]", KINDS), kind.type, kind)
    assert check(made, with_data).ok
    assert named(check(made, encode({**made.body, "data": "08"}))) == {"data"}


def certified(data: object, form: str, packed: bytes, bits: int) -> Bundle:
    """Certified bits as they are answered with their proof."""
    record = {"bits": bits, "format": form, "data_sha256": hashlib.sha256(packed).hexdigest()}
    made = build(record, "qmumma.entropy/v1")
    return Bundle({**made.body, "data": data}, made.jwks, made.log_keys)


@pytest.mark.parametrize(
    ("form", "data", "others"),
    [
        ("hex", "AB01F0", ["ab01F0", "AB 01F0", "AB01F", "AB01F1", ""]),
        ("base64", "qwHwEA==", ["qwHwER==", "qwHwEA=", "qwHwEA==\n", "qwHwEQ=="]),
        ("bytes", [171, 1, 240], [[171, 1, 241], [171, 1, 240.5], [171, 1], [True, 1, 240], "qw=="]),
    ],
)
def test_bits_that_are_written_in_any_other_way_are_named(form: str, data: Any, others: list[Any]) -> None:
    packed = bytes.fromhex("AB01F010" if form == "base64" else "AB01F0")
    made = certified(data, form, packed, 8 * len(packed) - 4)
    assert check(made, made.result).ok
    for other in others:
        assert "data" in named(check(made, made.altered("data", other))), other


def test_raw_bits_are_checked_as_a_download_beside_their_record() -> None:
    made = certified("", "raw", b"\xab\x01", 12)
    record = encode({name: value for name, value in made.body.items() if name != "data"})
    assert verify(record, made.jwks, made.log_keys, b"\xab\x01").ok
    for other in (b"\xab\x00", b"\xab", b""):
        assert named(verify(record, made.jwks, made.log_keys, other)) == {"download"}


def test_a_sample_of_the_bytes_of_certified_bits_is_named_when_it_changes() -> None:
    bits = b"\xab\x01\xf0"
    for answer in (certified("AB01F0", "hex", bits, 24), certified("qwHw", "base64", bits, 24)):
        whole, trust = rfc8785.dumps(answer.body), Trust.read(answer.jwks, answer.log_keys)
        chance = random.Random(len(whole))
        for place in (chance.randrange(len(whole)) for _ in range(150)):
            for mask in (1, 0x20):
                changed = whole[:place] + bytes([whole[place] ^ mask]) + whole[place + 1 :]
                with suppress(UnreadableError):  # no JSON any more
                    assert not verify_trusting(changed, trust).ok, (place, mask)


def test_a_document_that_is_no_json_goes_to_the_one_that_knows_it(bundle: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def examine(document: bytes, trust: Trust) -> Report:
        return Report((Check("pages", document == b"%PDF-1.7" and bool(trust.log_keys), "one page"),))

    monkeypatch.setitem(cast("dict[bytes, Any]", DOCUMENTS), b"%PDF-", examine)
    assert check(bundle, b"%PDF-1.7").ok
    assert named(check(bundle, b"%PDF-1.6")) == {"pages"}


def jwks_with(bundle: Any, change: dict[str, Any]) -> bytes:
    jwks = json.loads(bundle.jwks)
    jwks["keys"][0] |= change
    return json.dumps(jwks).encode()


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"kid": "vajra-2026-03"}, "must hold one key called vajra-2026-01, not 0"),
        ({"kid": ["vajra-2026-01"]}, "not 0"),
        ({"kty": "OKP"}, "kty must be AKP"),
        ({"alg": "ML-DSA-87"}, "alg must be ML-DSA-65"),
        ({"use": "enc"}, "use must be sig"),
        ({"pub": "AAAA"}, "pub must be base64url of 1952 bytes"),
        ({"pub": "A=B"}, "pub must be base64url of 1952 bytes"),
        ({"pub": 7}, "pub must be base64url of 1952 bytes"),
    ],
)
def test_a_wrong_key_in_the_jwks_is_named(bundle: Any, change: dict[str, Any], detail: str) -> None:
    report = verify(bundle.result, jwks_with(bundle, change), bundle.log_keys)
    assert named(report) == {"jwks", "pqc_signature"}
    assert detail in report.failed[0].detail


def test_another_public_key_under_the_same_id_is_named_with_its_thumbprint(bundle: Any) -> None:
    public = json.loads(bundle.jwks)["keys"][1]["pub"]
    report = verify(bundle.result, jwks_with(bundle, {"pub": public}), bundle.log_keys)
    assert named(report) == {"jwks", "pqc_signature"}
    assert "thumbprint" in report.failed[0].detail


def test_two_keys_of_one_id_are_refused(bundle: Any) -> None:
    keys = json.loads(bundle.jwks)["keys"]
    report = verify(bundle.result, json.dumps({"keys": [*keys, keys[0]]}).encode(), bundle.log_keys)
    assert "must hold one key called vajra-2026-01, not 2" in report.failed[0].detail


def test_a_public_key_has_one_spelling(bundle: Any) -> None:
    public = json.loads(bundle.jwks)["keys"][0]["pub"]
    for spelling in (public + "=", public[:100] + "\n" + public[100:], public[:-1] + chr(ord(public[-1]) + 1)):
        assert base64.urlsafe_b64decode(spelling + "==") == base64.urlsafe_b64decode(public + "==")
        report = verify(bundle.result, jwks_with(bundle, {"pub": spelling}), bundle.log_keys)
        assert "pub must be base64url" in report.failed[0].detail


@pytest.mark.parametrize("jwks", [b"", b"[]", b"{}", b'{"keys":{}}', b'{"keys":[],"keys":[]}'])
def test_what_is_no_key_set_is_unreadable(bundle: Any, jwks: bytes) -> None:
    with pytest.raises(UnreadableError, match="the JWKS"):
        verify(bundle.result, jwks, bundle.log_keys)


def test_log_keys_are_read_strictly(bundle: Any) -> None:
    ed25519, mldsa = bundle.log_keys.splitlines()
    name, key_id, key = ed25519.split("+", 2)
    body = base64.b64decode(key)
    for bad in (
        "",
        "\n\n",
        "vkey",
        ed25519 + "x",
        f"{name}x+{key_id}+{key}",
        f"{name}+00000000+{key}",
        f"+{key_id}+{key}",
        f"{name}+{key_id}+{base64.b64encode(bytes([2]) + body[1:]).decode()}",
        f"{name}+{key_id}+{base64.b64encode(body[:-1]).decode()}",
    ):
        with pytest.raises(UnreadableError, match="the log's keys"):
            verify(bundle.result, bundle.jwks, bad)
    assert verify(bundle.result, bundle.jwks, f"\n{mldsa}\n\n{ed25519}").ok


def test_keys_of_another_log_do_not_vouch(bundle: Any) -> None:
    body = b"\x01" + bytes(32)
    key_id = hashlib.sha256(b"elsewhere/log\n" + body).hexdigest()[:8]
    report = verify(bundle.result, bundle.jwks, f"elsewhere/log+{key_id}+{base64.b64encode(body).decode()}")
    assert {"proof.checkpoint origin"} < named(report)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": -Infinity}', "-Infinity is not JSON"),
        (b'{"a": 1, "a": 1}', "'a' is there twice"),
        (b'{"b": {"a": 1, "a": 1}}', "'a' is there twice"),
        (b'{"a": "\xff"}', "byte 7 is not UTF-8"),
        (b'{"a": "\\ud800"}', "the result"),
        (b'{"\\ud800": 1}', "the result"),
        (b'{"a": 01}', "line 1, column"),
        (b'\xef\xbb\xbf{"a": 1}', "line 1, column 1"),
        (b"[" * 100_000, "too deeply"),
        (b"[]", "must be a JSON object"),
        (b"", "line 1, column 1"),
    ],
)
def test_what_two_readers_could_take_differently_is_unreadable(bundle: Any, text: bytes, place: str) -> None:
    with pytest.raises(UnreadableError, match=place):
        check(bundle, text)


@pytest.mark.parametrize(
    ("literal", "shown"),
    [
        ("9007199254740993", "9007199254740993"),
        ("0.1000000000000000055", "0.1000000000000000055"),
        ("-1.1436493015452177", "-1.1436493015452177"),
        ("1e400", "1e400"),
        ("1e-400", "1e-400"),
        ("1e99999999999999999999", "1e99999999999999999999"),
        ("1" * 5000, "1" * 40 + "…"),
    ],
)
def test_a_number_that_a_double_does_not_keep_is_a_change_with_a_path(bundle: Any, literal: str, shown: str) -> None:
    detail = f"{shown} is no number that a signed record can hold, so it was changed"
    for path in ("shots", "result.counts.00", "execution.duration_ms", "proof.tree_size"):
        text = bundle.altered(path, "HERE").replace(b'"HERE"', literal.encode())
        assert [(each.name, each.detail) for each in check(bundle, text).checks] == [(path, detail)]
    (failed,) = check(bundle, b'{"a": [0, {"b": [1, %s]}]}' % literal.encode()).checks
    assert failed.name == "a[1].b[1]"
    with pytest.raises(UnreadableError, match="the JWKS: keys: the number"):
        verify(bundle.result, b'{"keys": %s}' % literal.encode(), bundle.log_keys)


@pytest.mark.parametrize("text", ["1", "1.0", "1e0", "10e-1", "1.50e1", "100000000000000000", "-0.0", "1e22"])
def test_numbers_that_a_double_keeps_are_read_however_they_are_written(text: str) -> None:
    assert canonical(parse(text.encode(), "n")) == canonical(float(text))


def paths(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Every place where two JSON values differ, as the checks name places."""
    if isinstance(before, dict) and isinstance(after, dict) and path in {"", "proof", "proof.digests"}:
        for name in before.keys() | after.keys():
            inner = f"{path}.{name}" if path else name
            if name not in before or name not in after:
                yield inner
            else:
                yield from paths(before[name], after[name], inner)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after) and "." in path:
        for number, pair in enumerate(zip(before, after, strict=True)):
            yield from paths(*pair, f"{path}[{number}]")
    elif canonical(before) != canonical(after):
        yield path


def places_to_alter(bundle: Any) -> Iterator[int]:
    """Every byte of the file, but of the two long signatures only every 61st."""
    text = bundle.result
    long = [bundle.body["pqc_signature"], bundle.body["proof"]["checkpoint"].split(" ")[-1].strip()]
    starts = [text.index(each[:200].encode()) for each in long]
    inside = {
        place for start, each in zip(starts, long, strict=True) for place in range(start + 61, start + len(each) - 4)
    }
    return (place for place in range(len(text)) if place not in inside or place % 61 == 0)


def test_one_altered_byte_anywhere_is_named(bundle: Any) -> None:
    genuine, before = bundle.result, parse(bundle.result, "genuine")
    outcomes = {"named": 0, "unreadable": 0, "same value": 0}
    unkept: list[tuple[bytes, str]] = []
    for place in places_to_alter(bundle):
        altered = bytearray(genuine)
        altered[place] ^= 1
        try:
            after = parse(bytes(altered), "altered")
        except UnkeptNumberError as fault:
            unkept.append((bytes(altered), fault.place))
            continue
        except UnreadableError:
            outcomes["unreadable"] += 1
            with pytest.raises(UnreadableError, match="the result: "):
                check(bundle, bytes(altered))
            continue
        report = check(bundle, bytes(altered))
        changed = set(paths(before, after))
        if not changed:
            outcomes["same value"] += 1
            assert report.ok
        else:
            outcomes["named"] += 1
            covered = {path for path in changed for name in named(report) if name.split(" ")[0].startswith(path)}
            assert covered, (place, changed, named(report))
    assert unkept
    for text, member in unkept:
        assert named(check(bundle, text)) == {member}
    assert outcomes["named"] > 2_000
    assert outcomes["unreadable"] > 100


def large_bundle(download: bytes) -> Any:
    digest = f"sha256:{hashlib.sha256(download).hexdigest()}"
    told = {"digest": digest, "size_bytes": len(download), "media_type": "application/json"}
    fields = {name: value for name, value in FIELDS.items() if name != "result"}
    return build({**fields, "result_object": told})


def test_a_download_is_checked_against_the_digest_that_is_signed() -> None:
    download = b'{"counts":{"00":4096}}'
    bundle = large_bundle(download)
    report = check(bundle, bundle.result)
    assert report.ok
    assert ["download it" in note for note in report.notes] == [True]
    with_download = verify(bundle.result, bundle.jwks, bundle.log_keys, download)
    assert with_download.ok
    assert with_download.notes == ()
    altered = verify(bundle.result, bundle.jwks, bundle.log_keys, download.replace(b"6", b"7"))
    assert named(altered) == {"download"}


def test_a_download_of_a_result_that_is_in_the_file_is_checked_too(bundle: Any) -> None:
    download = canonical(FIELDS["result"])
    assert verify(bundle.result, bundle.jwks, bundle.log_keys, download).ok
    assert named(verify(bundle.result, bundle.jwks, bundle.log_keys, download + b" ")) == {"download"}


def test_the_time_of_completion_is_said_to_be_unsigned(bundle: Any) -> None:
    report = check(bundle, encode({**bundle.body, "completed_at": "2026-11-21T16:53:22.700000Z"}))
    assert report.ok
    assert ["completed_at" in note for note in report.notes] == [True]
