"""The caller table is the call graph of architecture.md: complete, without a cycle, closed to what it does not list."""

from __future__ import annotations

import re
import tomllib
from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest
from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor

from mesh.errors import PermissionDenied, Unauthenticated
from mesh.guard import Guard, caller_of, load_guard

PROTOS = Path(__file__).resolve().parents[3] / "protos"
ALLOWED = {
    "billing": {"accounts"},
    "certificates": {"accounts", "billing", "execution", "signing"},
    "edge": {"accounts", "billing", "certificates", "entropy", "execution", "routing", "signing", "webhooks"},
    "entropy": {"billing", "execution", "signing"},
    "execution": {"accounts", "billing", "routing", "signing"},
    "witness": {"signing"},
}
"""Who calls whom, from architecture.md. The operator may call everything, and nobody calls the operator or the edge."""
STANDARD = {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection", "grpc.channelz.v1.Channelz"}
MULTIPLEX = "qm.mesh.v1.MultiplexService"


def services() -> dict[str, ServiceDescriptor]:
    """Every RPC service under protos/qm, from the generated code."""
    found: dict[str, ServiceDescriptor] = {}
    for proto in (PROTOS / "qm").rglob("*.proto"):
        if re.search(r"^service ", proto.read_text(), re.MULTILINE):
            name = ".".join(proto.relative_to(PROTOS).with_suffix("").parts) + "_pb2"
            descriptor: FileDescriptor = import_module(name).DESCRIPTOR
            found |= {service.full_name: service for service in descriptor.services_by_name.values()}
    return found


def methods() -> list[str]:
    return [f"/{name}/{method.name}" for name, service in services().items() for method in service.methods]


def owner(service: str) -> str:
    """The service whose process serves an RPC service: qm.billing.v1.BillingService → billing."""
    return service.split(".")[1]


def graph(guard: Guard) -> dict[str, set[str]]:
    """Who calls whom, by the names of processes; the operator, who is a person, left out."""
    calls: dict[str, set[str]] = {}
    for path in methods():
        service = path[1:].rpartition("/")[0]
        if service != MULTIPLEX:
            for caller in guard.callers(path) - {"operator"}:
                calls.setdefault(caller, set()).add(owner(service))
    return calls


def test_the_graph_is_the_one_of_the_architecture() -> None:
    assert graph(load_guard()) == ALLOWED


def test_every_service_is_kept_apart_from_the_others_by_its_imports() -> None:
    contracts = tomllib.loads((PROTOS.parent / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (apart,) = [contract["modules"] for contract in contracts if contract["type"] == "independence"]
    packages = (PROTOS.parent / "services").glob("*/__init__.py")
    assert sorted(apart) == sorted(f"services.{package.parent.name}" for package in packages)


def test_the_graph_has_no_cycle() -> None:
    order = list(TopologicalSorter(graph(load_guard())).static_order())
    assert order.index("edge") > order.index("execution")


def test_a_cycle_would_be_found() -> None:
    table = '[service]\n"qm.billing.v1.BillingService" = ["signing"]\n"qm.signing.v1.SigningService" = ["billing"]'
    with pytest.raises(ValueError, match="cycle"):
        TopologicalSorter(graph(load_guard(table))).prepare()


def test_every_service_has_a_row() -> None:
    assert services().keys() | STANDARD == load_guard().services.keys()


def test_every_row_of_a_method_is_of_a_method_that_exists() -> None:
    assert load_guard().methods.keys() <= set(methods())


@pytest.mark.parametrize("method", methods())
def test_every_method_can_be_called_by_somebody(method: str) -> None:
    assert load_guard().callers(method)


def test_who_may_call_a_service_may_open_the_stream_that_carries_the_call() -> None:
    guard = load_guard()
    callers = set().union(*(guard.callers(path) for path in methods()))
    assert guard.callers(f"/{MULTIPLEX}/Multiplex") == callers


def test_reflection_and_channelz_are_for_the_operator_alone() -> None:
    guard = load_guard()
    for service in STANDARD - {"grpc.health.v1.Health"}:
        assert guard.services[service] == {"operator"}


TABLE = """
[service]
"a.A" = ["edge", "execution"]
[method]
"/a.A/Narrow" = ["edge"]
"/a.A/Wide" = ["edge", "execution", "operator"]
"/a.A/Nobody" = []
"""


@pytest.mark.parametrize(
    ("caller", "method", "admitted"),
    [
        ("edge", "/a.A/Any", True),
        ("execution", "/a.A/Any", True),
        ("operator", "/a.A/Any", False),
        ("execution", "/a.A/Narrow", False),
        ("operator", "/a.A/Wide", True),
        ("edge", "/a.A/Nobody", False),
        ("edge", "/b.B/Any", False),
        ("edge", "a.A/Any", False),
        ("edge", "", False),
        ("", "/a.A/Any", False),
    ],
)
def test_a_row_of_a_method_stands_in_the_place_of_its_services(caller: str, method: str, admitted: bool) -> None:  # noqa: FBT001
    guard = load_guard(TABLE)
    if admitted:
        guard.admit(caller, method)
    else:
        with pytest.raises(PermissionDenied) as refused:
            guard.admit(caller, method)
        assert refused.value.reason == "CALLER_NOT_ALLOWED"


@pytest.mark.parametrize(
    "table", ['[service]\n"a.A" = "edge"', '[services]\n"a.A" = ["edge"]', "[method]", "service = 1"]
)
def test_a_malformed_table_is_refused(table: str) -> None:
    with pytest.raises(ValueError, match=r"Expected|unknown field|missing required"):
        load_guard(table)


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"peer_spiffe_id": []},
        {"peer_spiffe_id": [b"spiffe://qmumma/edge", b"spiffe://qmumma/billing"]},
        {"peer_spiffe_id": [b"spiffe://other/edge"]},
        {"peer_spiffe_id": [b"spiffe://qmumma/a/b"]},
        {"peer_spiffe_id": [b"spiffe://qmumma/"]},
        {"peer_spiffe_id": [b"\xff"]},
        {"x509_common_name": [b"edge"]},
    ],
)
def test_a_peer_without_one_name_of_ours_is_nobody(context: dict[str, list[bytes]]) -> None:
    with pytest.raises(Unauthenticated) as refused:
        caller_of(context)
    assert refused.value.reason == "UNKNOWN_PEER"


def test_a_peer_is_who_its_certificate_says() -> None:
    assert caller_of({"peer_spiffe_id": [b"spiffe://qmumma/edge"], "x509_common_name": [b"billing"]}) == "edge"
