from services.billing.audit import Difference, Law, LedgerSums, violations

SOUND = {"sum": 0, "entry_count": 4, "open_hold_count": 1, "open_hold_amount": 7}


def test_a_sound_ledger_breaks_no_law():
    assert violations(LedgerSums(**SOUND)) == []


def test_every_broken_law_is_named_with_its_offender():
    sums = LedgerSums(
        **SOUND | {"sum": 3},
        offenders={
            Law.TRANSFER: [Difference("job/hold", 3, 0)],
            Law.BALANCE: [Difference("platform/revenue", 5, 2)],
            Law.HELD: [Difference("team/a/held", 1, 7)],
            Law.NOT_NEGATIVE: [Difference("team/b/held", -1, 0)],
            Law.MOVEMENT: [Difference("job/settle of platform/revenue", 8, 7)],
            Law.INCLUDED: [Difference("a in 2026-11", 2, 1)],
            Law.SPENT: [Difference("a in 2026-11", 9, 8)],
            Law.CHARGES: [Difference("a in 2026-11-01", 3, 4)],
        },
    )
    assert violations(sums) == [
        "the sum of all entries is 3 micros, not 0",
        "the transfer job/hold sums to 3 micros, not 0",
        "the balance of platform/revenue is 5 micros, its entries sum to 2",
        "the account team/a/held has 1 micros, the open holds 7",
        "the account team/b/held has -1 micros, below 0",
        "the entry job/settle of platform/revenue is of 8 micros, its hold says 7",
        "the included jobs of a in 2026-11 are counted as 2, its holds say 1",
        "the charges of a in 2026-11 are counted as 9 micros, its holds say 8",
        "the charges of a in 2026-11-01 are counted as 3, its holds say 4",
    ]
