import pytest
from qm.accounts.v1.accounts_pb2 import CreateTeamRequest

from mesh.errors import Conflict
from services.accounts.repetition import Repeatable


def repeatable(name: str) -> Repeatable:
    return Repeatable.of("CreateTeam", "r1", CreateTeamRequest(request_id="r1", name=name, plan="student"))


def test_the_same_request_is_the_same():
    repeatable("Alice").require_same(repeatable("Alice").fingerprint)


def test_another_content_under_the_same_id_is_refused():
    with pytest.raises(Conflict, match="'r1'") as refusal:
        repeatable("Alice").require_same(repeatable("Bob").fingerprint)
    assert (refusal.value.reason, refusal.value.field) == ("REQUEST_ID_REUSED", "request_id")
