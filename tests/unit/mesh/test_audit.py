from __future__ import annotations

import datetime as dt

import pytest
from qm.audit.v1.audit_pb2 import OUTCOME_SUCCEEDED, AuditEvents
from qm.type.v1.requester_pb2 import Requester

from mesh.audit import Deed, audit_message
from mesh.call import Call, serving

WHO = Requester(team_id="t-1", user_id="u-1", key_id="k-1")
MOMENT = dt.datetime(2026, 11, 21, 12, 0, 0, 5, tzinfo=dt.UTC)


def test_a_deed_becomes_a_message_that_names_who_what_when_and_for_which_request() -> None:
    with serving(Call("edge", request_id="r-1", address="192.0.2.7")):
        message = audit_message(Deed.by(WHO, "accounts", "key.revoked", "k-2", reason="lost"), MOMENT)
    [event] = AuditEvents.FromString(message.payload).events
    assert message.subject == "audit.event.t-1"
    assert message.id == event.event_id
    assert (event.user_id, event.key_id, event.service) == ("u-1", "k-1", "accounts")
    assert (event.action, event.object_id, event.outcome) == ("key.revoked", "k-2", OUTCOME_SUCCEEDED)
    assert (event.request_id, event.address, dict(event.details)) == ("r-1", "192.0.2.7", {"reason": "lost"})
    assert event.create_time.ToDatetime(dt.UTC) == MOMENT


def test_a_deed_of_an_earlier_request_has_that_ones_address_and_not_that_of_the_call_being_served() -> None:
    earlier = Deed(team_id="t", service="execution", action="job.submitted", object_id="j", request_id="r-1")
    with serving(Call("edge", request_id="r-2", address="192.0.2.7")):
        [event] = AuditEvents.FromString(audit_message(earlier, MOMENT).payload).events
    assert (event.request_id, event.address) == ("r-1", "")


def test_a_deed_that_nobody_asked_for_has_no_request_and_no_person() -> None:
    message = audit_message(Deed(team_id="t", service="execution", action="job.failed", object_id="j"), MOMENT)
    [event] = AuditEvents.FromString(message.payload).events
    assert (event.request_id, event.address, event.user_id, event.key_id) == ("", "", "", "")


@pytest.mark.parametrize("action", ["", "revoked", "key.Revoked", "key.revoked.twice", "key revoked"])
def test_an_action_of_another_form_is_refused(action: str) -> None:
    with pytest.raises(ValueError, match=r"key\.revoked"):
        Deed(team_id="t", service="accounts", action=action, object_id="k")
