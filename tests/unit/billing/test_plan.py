from pathlib import Path

import msgspec
import pytest

from mesh.config import ConfigError, load
from services.billing.plan import PLANS_FILE, Plan, Plans


def test_the_table_is_the_published_one():
    own = [plan for plan in load(PLANS_FILE, Plans).plans if plan.dialect == "qmumma"]
    assert [
        (p.plan, p.requests_per_minute, p.included_job_count, p.burst_count, p.certificate_allowed, p.priority_allowed)
        for p in own
    ] == [
        ("student", 10, 5, 20, False, False),
        ("academic", 60, 30, 100, False, False),
        ("commercial", 300, 100, 500, True, True),
        ("enterprise", 0, 0, 0, True, True),
    ]
    assert [p.plan for p in own if not p.overage_allowed] == ["student"]
    assert {(p.included_per, p.max_qubit_count, p.max_shot_count, p.price_eur) for p in own} == {("month", 0, 0, None)}


def test_the_tiers_of_qcos_are_the_published_ones():
    tiers = [plan for plan in load(PLANS_FILE, Plans).plans if plan.dialect == "qcos"]
    assert [
        (
            tier.display_name.lower(),
            tier.requests_per_minute,
            tier.included_job_count,
            tier.included_per,
            tier.max_qubit_count,
            tier.max_shot_count,
            tier.price_eur,
        )
        for tier in tiers
    ] == [
        ("free", 60, 10, "day", 20, 1024, 0),
        ("professional", 300, 1000, "day", 50, 10000, 99),
        ("enterprise", 1000, "unlimited", "day", 127, 100000, "custom"),
    ]
    assert not any(tier.overage_allowed for tier in tiers)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("burst_count = 20", "burst_count = 20\nbursts = 3", "bursts"),
        ("burst_count = 20", "", "burst_count"),
        ("burst_count = 20", "burst_count = -1", ">= 0"),
        ("burst_count = 20", 'burst_count = "20"', "int"),
        ('plan = "academic"', 'plan = "student"', "named twice: student"),
        ('plan = "student"', 'plan = "Student Plan"', "regex"),
        ("included_job_count = 30", 'included_job_count = "many"', "included_job_count"),
        ('included_per = "day"', 'included_per = "week"', "included_per"),
        ("priority_surcharge_percent = 50", "surcharge = 50", "surcharge"),
    ],
)
def test_a_table_with_a_fault_is_refused_by_name(tmp_path: Path, old: str, new: str, complaint: str):
    text = PLANS_FILE.read_text()
    assert old in text
    file = tmp_path / "plans.toml"
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError, match=complaint):
        load(file, Plans)


def test_a_plan_is_found_by_its_name_alone():
    table = load(PLANS_FILE, Plans)
    assert table.find("academic").display_name == "Academic"
    assert table.find("Academic") is None
    assert table.find("") is None


@pytest.mark.parametrize(
    ("price", "percent", "surcharge"), [(100, 50, 50), (1, 50, 1), (3, 33, 1), (0, 50, 0), (7, 0, 0)]
)
def test_a_surcharge_is_rounded_up_to_a_whole_micro_dollar(price: int, percent: int, surcharge: int):
    plan = msgspec.convert(
        {
            "plan": "p",
            "display_name": "P",
            "requests_per_minute": 0,
            "burst_count": 0,
            "included_job_count": 0,
            "overage_allowed": True,
            "certificate_allowed": True,
            "priority_allowed": True,
        },
        Plan,
    )
    assert Plans(plans=(plan,), priority_surcharge_percent=percent).surcharge(price) == surcharge
