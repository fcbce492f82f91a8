"""The document says what the edge does: every route, field, bound and example."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import Annotated, Any

import httpx
import jsonschema
import msgspec
import pytest
from msgspec import Meta

from edge.bodies import parse_text
from edge.dialects.qmumma import audit_export, billing
from edge.operations import Operation
from edge.schemas import to_openapi
from edge.values import body_of, encode

PATHS = {
    ("post", "/v1/jobs/submit"),
    ("post", "/v1/jobs/quote"),
    ("get", "/v1/jobs/{job_id}/decision"),
    ("get", "/v1/jobs/{job_id}"),
    ("get", "/v1/jobs"),
    ("post", "/v1/jobs/{job_id}/cancel"),
    ("get", "/v1/jobs/{job_id}/events"),
    ("get", "/v1/webhooks/secret"),
    ("post", "/v1/webhooks/secret/rotate"),
    ("get", "/v1/webhooks/deliveries"),
    ("post", "/v1/webhooks/deliveries/{delivery_id}/retry"),
    ("get", "/v1/jobs/{job_id}/result"),
    ("get", "/v1/billing/usage"),
    ("get", "/v1/billing/budget"),
    ("put", "/v1/billing/budget"),
    ("delete", "/v1/billing/budget"),
    ("get", "/v1/billing/statements"),
    ("get", "/v1/billing/statements/{month}"),
    ("post", "/v1/keys"),
    ("get", "/v1/keys"),
    ("post", "/v1/keys/{key_id}/rotate"),
    ("delete", "/v1/keys/{key_id}"),
    *(
        (method, f"/v1/providers/{provider}/credentials")
        for method in ("get", "put", "delete")
        for provider in ("ibm", "aws", "azure", "ionq")
    ),
    ("get", "/v1/marketplace/algorithms"),
    ("get", "/v1/algorithms"),
    ("get", "/v1/marketplace/algorithms/{algorithm_id}"),
    ("get", "/v1/algorithms/{algorithm_id}"),
    ("get", "/v1/benchmarks"),
    ("get", "/v1/benchmarks/plot.svg"),
    ("get", "/v1/benchmarks/routing"),
    ("get", "/v1/benchmarks/routing/plot.svg"),
    ("get", "/v1/anchors/{txid}"),
    ("post", "/v1/verify"),
    ("get", "/.well-known/jwks.json"),
    ("get", "/v1/log/checkpoint"),
    ("get", "/v1/log/keys"),
    ("get", "/v1/log/witnesses"),
    ("get", "/v1/log/rotations"),
    ("get", "/v1/log/timestamps"),
    ("get", "/verify/{job_id}"),
    ("get", "/v1/log/tile/{tile}"),
    ("post", "/v1/entropy/generate"),
    ("get", "/v1/entropy/records/{entropy_id}"),
    ("get", "/v1/entropy/records/{entropy_id}/plot.svg"),
    ("get", "/v1/entropy/sources"),
    ("get", "/v1/entropy/beacon"),
    ("get", "/v1/entropy/beacon/{index}"),
    ("get", "/v1/jobs/{job_id}/certificate"),
    ("get", "/v1/jobs/{job_id}/evidence"),
    ("get", "/v1/certificates/roots"),
    ("get", "/v1/audit"),
    ("get", "/healthz"),
    ("get", "/readyz"),
}


@pytest.fixture
async def document(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.get("/v1/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    document: dict[str, Any] = answer.json()
    return document


def operations_of(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def walk(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner)


def resolve(document: dict[str, Any], reference: str) -> Any:
    place: Any = document
    for name in reference.removeprefix("#/").split("/"):
        place = place[name]
    return place


def test_every_operation_of_the_contract_is_there_once(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.0.3"
    assert {(method, path) for method, path, _ in operations_of(document)} == PATHS
    ids = [operation["operationId"] for _, _, operation in operations_of(document)]
    assert len(set(ids)) == len(ids)


def test_every_reference_leads_somewhere_and_stands_alone(document: dict[str, Any]) -> None:
    references = [node for node in walk(document) if isinstance(node.get("$ref"), str)]
    assert len(references) > 100
    for node in references:
        assert resolve(document, node["$ref"])
        assert len(node) == 1


def test_every_field_and_parameter_is_described(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        assert schema["description"], name
        for member, field in schema.get("properties", {}).items():
            assert field.get("description"), f"{name}.{member}"
    for _, path, operation in operations_of(document):
        assert operation["summary"]
        assert operation["description"]
        for parameter in operation["parameters"]:
            assert parameter["description"], (path, parameter["name"])
        placeholders = re.findall(r"{(\w+)}", path)
        assert [p["name"] for p in operation["parameters"] if p["in"] == "path"] == placeholders


def is_bounded(document: dict[str, Any], field: dict[str, Any]) -> bool:
    """Whether a schema says how much it may be: of texts a length or form, of numbers both ends, of lists a length."""
    if "$ref" in field or "allOf" in field or field.get("type") in {"boolean", "object"}:
        return True
    if "anyOf" in field:
        return all(is_bounded(document, option) for option in field["anyOf"])
    match field["type"]:
        case "string":
            return not {"enum", "pattern", "maxLength", "format"}.isdisjoint(field)
        case "array":
            return "maxItems" in field and is_bounded(document, field["items"])
        case _:
            return {"minimum", "maximum"} <= field.keys()


def is_shown(field: dict[str, Any]) -> bool:
    """Whether a schema shows a value, or is one of values that show themselves."""
    inner = field.get("items", field)
    listed = {"example", "enum", "$ref", "allOf"}
    return not listed.isdisjoint(field) or not listed.isdisjoint(inner) or field.get("type") == "boolean"


def fields_of(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, schema in document["components"]["schemas"].items():
        for member, field in schema.get("properties", {}).items():
            yield f"{name}.{member}", field


def test_every_field_is_bounded(document: dict[str, Any]) -> None:
    unbounded = [place for place, field in fields_of(document) if not is_bounded(document, field)]
    assert not unbounded, f"give these a type of scalars.py: {unbounded}"


def test_every_field_has_an_example(document: dict[str, Any]) -> None:
    unshown = [
        place for place, field in fields_of(document) if not (is_shown(field) or field.get("default") is not None)
    ]
    assert not unshown, f"show these in an example of the whole body: {unshown}"


def test_every_parameter_is_bounded_and_has_an_example(document: dict[str, Any]) -> None:
    for _, path, operation in operations_of(document):
        for parameter in operation["parameters"]:
            free = parameter["in"] == "header" and parameter["name"] in {"If-None-Match", "Accept"}  # HTTP's own
            assert free or is_bounded(document, parameter["schema"]), (path, parameter["name"])
            schema = parameter["schema"]
            assert "example" in parameter or is_shown(schema) or "default" in schema, (path, parameter["name"])


def test_every_text_that_is_answered_has_an_example(document: dict[str, Any]) -> None:
    """A page is for people; what is no text has none."""
    for _, path, operation in operations_of(document):
        for answered in operation["responses"].values():
            reference = answered.get("$ref", "").rpartition("/")[2]
            response = document["components"]["responses"][reference] if reference else answered
            for kind, media in response.get("content", {}).items():
                text = kind.startswith(("application/json", "application/x-ndjson", "text/")) and kind != "text/html"
                assert not text or {"example", "examples"} & media.keys(), (path, kind)


def test_examples_of_tables_have_the_columns_that_are_answered(document: dict[str, Any]) -> None:
    for path, columns in (("/v1/audit", audit_export.COLUMNS), ("/v1/billing/statements/{month}", billing.COLUMNS)):
        example = document["paths"][path]["get"]["responses"]["200"]["content"]["text/csv"]["example"]
        head, row = csv.reader(io.StringIO(example))
        assert (tuple(head), len(row)) == (columns, len(columns))


def test_examples_of_fields_are_valid_by_their_own_bounds(document: dict[str, Any]) -> None:
    for _, field in fields_of(document):
        if "example" in field and "allOf" not in field and "anyOf" not in field:
            schema = {key: value for key, value in field.items() if key not in {"items", "nullable", "format"}}
            jsonschema.Draft4Validator(schema).validate(field["example"])  # whose bounds OpenAPI 3.0 has


def test_every_link_leads_to_an_operation_with_the_parameters_that_it_gives(document: dict[str, Any]) -> None:
    operations = {operation["operationId"]: operation for _, _, operation in operations_of(document)}
    links = [
        (operation, response, link)
        for operation in operations.values()
        for response in operation["responses"].values()
        for link in response.get("links", {}).values()
    ]
    assert len(links) > 40
    for operation, response, link in links:
        target = operations[link["operationId"]]
        taken = {parameter["name"]: parameter for parameter in target["parameters"]}
        given = link.get("parameters", {})
        assert given.keys() <= taken.keys()
        assert {name for name, each in taken.items() if each["required"]} <= given.keys()
        assert ("requestBody" in link) <= ("requestBody" in target)
        shown = encode([each["value"] for each in response["content"]["application/json"]["examples"].values()])
        for place in given.values():
            assert f'"{place.rpartition("/")[2]}":'.encode() in shown, (operation["operationId"], place)


def test_every_operation_that_takes_an_id_is_led_to_by_a_link(document: dict[str, Any]) -> None:
    led_to = {
        link["operationId"]
        for _, _, operation in operations_of(document)
        for response in operation["responses"].values()
        for link in response.get("links", {}).values()
    }
    for _, path, operation in operations_of(document):
        name = operation["operationId"]
        if re.search(r"{\w+_id}|{txid}", path) and not name.endswith("Alias") and not path.startswith("/verify/"):
            assert name in led_to, path


def test_one_header_is_described_in_one_way(document: dict[str, Any]) -> None:
    said: dict[str, set[str]] = {}
    for _, _, operation in operations_of(document):
        for parameter in operation["parameters"]:
            if parameter["in"] == "header":
                said.setdefault(parameter["name"], set()).add(parameter["description"])
    assert {name for name, texts in said.items() if len(texts) > 1} == set()


def test_nothing_of_newer_json_schema_is_left(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for node in walk(schemas):
        assert not {"const", "$defs", "prefixItems", "examples"} & node.keys() or "properties" in node
        assert node.get("type") != "null"
        assert not isinstance(node.get("type"), list)


def test_bounds_and_defaults_of_a_submission_are_those_of_the_contract(document: dict[str, Any]) -> None:
    schema = document["components"]["schemas"]["SubmitJob"]
    fields = schema["properties"]
    assert schema["required"] == ["algorithm_id"]
    assert schema["additionalProperties"] is False
    shots = fields["shots"]
    assert (shots["minimum"], shots["maximum"], shots["default"]) == (1024, 131072, 4096)
    assert (fields["seed"]["minimum"], fields["seed"]["maximum"]) == (0, 2**63 - 1)
    assert set(fields["priority"]["enum"]) == {"standard", "priority"}
    assert (fields["max_cost_usd"]["type"], fields["max_cost_usd"]["minimum"]) == ("number", 0)
    assert (fields["webhook_url"]["format"], fields["webhook_url"]["maxLength"]) == ("uri", 2048)


def test_every_answer_tells_its_errors(document: dict[str, Any]) -> None:
    for method, path, operation in operations_of(document):
        answers = operation["responses"]
        assert {"400", "404", "405", "500"} <= answers.keys()
        assert ("429" in answers) == (path not in {"/healthz", "/readyz"})
        assert ("503" in answers) == (path != "/healthz")
        assert ("401" in answers) == bool(operation["security"]), path
        assert ("413" in answers) == ("requestBody" in operation) == (method in {"post", "put"})


def test_the_document_names_nothing_that_does_not_exist(document: dict[str, Any]) -> None:
    text = encode(document).decode().lower()
    for channel in ("ibm_quantum_platform", "ibm_cloud"):
        text = text.replace(channel, "")
    for word in ("ibm_", "marrakesh"):
        assert word not in text


def test_examples_of_errors_have_the_form_of_errors(document: dict[str, Any]) -> None:
    schema = document["components"]["schemas"]["ErrorDetail"]
    for response in document["components"]["responses"].values():
        example = response["content"]["application/json"]["example"]["error"]
        jsonschema.validate(example, {**schema, "additionalProperties": False})


def test_every_example_is_valid_by_the_type_beside_it(world: Any) -> None:
    shown: list[Operation] = [operation for operation in world.edge._dialect.operations if operation.documented]
    examples = [
        (operation.body, example.value) for operation in shown for example in operation.body_examples.values()
    ] + [
        (outcome.kind, example.value)
        for operation in shown
        for outcome in operation.outcomes
        for example in outcome.examples.values()
        if outcome.kind is not None
    ]
    assert len(examples) > 12
    for kind, value in examples:
        assert kind is not None
        body_of(parse_text(encode(value)), kind)


class Inner(msgspec.Struct):
    """Inside."""


class Outer(msgspec.Struct):
    """Outside.

    More.
    """

    inner: Annotated[Inner, Meta(description="With a description.")]
    maybe: Annotated[Inner | None, Meta(description="Or null.")]
    text: Annotated[str | None, Meta(description="Or null.")]
    either: Annotated[int | str, Meta(description="One of two.", examples=[1, 2])]


def test_schemas_are_rewritten_for_openapi_3_0() -> None:
    _, components = msgspec.json.schema_components([Outer], ref_template="#/x/{name}")
    fields = to_openapi(components["Outer"])["properties"]
    assert to_openapi(components["Outer"])["description"] == "Outside.\n\nMore."
    reference = {"$ref": "#/x/Inner"}
    assert fields["inner"] == {"description": "With a description.", "allOf": [reference]}
    assert fields["maybe"] == {"description": "Or null.", "nullable": True, "allOf": [reference]}
    assert fields["text"] == {"description": "Or null.", "nullable": True, "type": "string"}
    assert fields["either"]["anyOf"] == [{"type": "integer"}, {"type": "string"}]
    assert fields["either"]["example"] == 1
    assert to_openapi({"const": "a"}) == {"enum": ["a"], "type": "string"}
