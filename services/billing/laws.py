"""The laws of the ledger as SQL: who breaks each of them."""

from __future__ import annotations

from services.billing.audit import Law

SUMS = """
SELECT (SELECT coalesce(sum(amount), 0)::bigint FROM entries) AS sum,
       (SELECT count(*) FROM entries) AS entry_count,
       (SELECT count(*) FROM holds WHERE state = 1) AS open_hold_count,
       (SELECT coalesce(sum(amount), 0)::bigint FROM holds WHERE state = 1) AS open_hold_amount
"""


def _periods(column: str, counted: str, time: str, where: str) -> str:
    """Where a column of `periods` differs from what the holds say, counted by month and by day of `time`."""
    return f"""
        SELECT team_id || ' in ' || period AS name,
               coalesce({column}, 0)::bigint AS found, coalesce(counted, 0)::bigint AS expected
        FROM periods
        FULL JOIN (SELECT team_id, to_char({time} AT TIME ZONE 'UTC', form) AS period, {counted} AS counted
                   FROM holds CROSS JOIN unnest(ARRAY['YYYY-MM', 'YYYY-MM-DD']) AS form
                   WHERE {where} GROUP BY 1, 2) AS held
        USING (team_id, period)
        WHERE coalesce({column}, 0) <> coalesce(counted, 0) LIMIT 10"""  # noqa: S608 - the three uses below


OFFENDERS = {
    Law.TRANSFER: """
        SELECT transfer_id AS name, sum(amount)::bigint AS found, 0::bigint AS expected
        FROM entries GROUP BY transfer_id HAVING sum(amount) <> 0 LIMIT 10""",
    Law.MOVEMENT: """
        SELECT transfer_id || ' of ' || account AS name,
               coalesce(entries.amount, 0) AS found, coalesce(due.amount, 0) AS expected
        FROM entries
        FULL JOIN (
          SELECT job_id || '/hold' AS transfer_id, 'team/' || team_id || account AS account, sign * amount AS amount
          FROM holds CROSS JOIN (VALUES ('/available', -1), ('/held', 1)) AS side (account, sign) WHERE amount > 0
          UNION ALL
          SELECT job_id || '/settle', account, sign * amount
          FROM holds CROSS JOIN LATERAL (VALUES ('team/' || team_id || '/held', -1), ('platform/revenue', 1))
            AS side (account, sign) WHERE amount > 0 AND state = 2
          UNION ALL
          SELECT job_id || '/release', 'team/' || team_id || account, sign * amount
          FROM holds CROSS JOIN (VALUES ('/held', -1), ('/available', 1)) AS side (account, sign)
          WHERE amount > 0 AND state = 3
        ) AS due USING (transfer_id, account)
        WHERE entries.amount IS DISTINCT FROM due.amount LIMIT 10""",
    Law.BALANCE: """
        SELECT account AS name, coalesce(balances.amount, 0) AS found, coalesce(lines.amount, 0) AS expected
        FROM balances
        FULL JOIN (SELECT account, sum(amount)::bigint AS amount FROM entries GROUP BY account) AS lines
        USING (account)
        WHERE coalesce(balances.amount, 0) <> coalesce(lines.amount, 0) LIMIT 10""",
    Law.HELD: """
        SELECT account AS name, coalesce(balances.amount, 0) AS found, coalesce(open.amount, 0) AS expected
        FROM (SELECT * FROM balances WHERE account LIKE 'team/%/held') AS balances
        FULL JOIN (SELECT 'team/' || team_id || '/held' AS account, sum(amount)::bigint AS amount
                   FROM holds WHERE state = 1 GROUP BY team_id) AS open
        USING (account)
        WHERE coalesce(balances.amount, 0) <> coalesce(open.amount, 0) LIMIT 10""",
    Law.NOT_NEGATIVE: """
        SELECT account AS name, amount AS found, 0::bigint AS expected
        FROM balances WHERE account LIKE 'team/%/held' AND amount < 0 LIMIT 10""",
    Law.INCLUDED: _periods("used_count", "count(*)", "create_time", "charge_kind = 2 AND state <> 3"),
    Law.SPENT: _periods("spent", "sum(amount)", "close_time", "charge_kind <> 3 AND state = 2"),
    Law.CHARGES: _periods("charge_count", "count(*)", "close_time", "charge_kind <> 3 AND state = 2"),
}
"""Each answers the offenders against one law as name, found, expected."""
