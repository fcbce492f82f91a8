"""A job for a machine runs on its twin, and its signed record says so."""

from __future__ import annotations

from qmumma.documents import verify

from tests.live import Api

TWO_ROUNDS = """OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; bit[2] c;
x q[0]; c[0] = measure q[0]; if (c[0] == 1) { x q[1]; } c[1] = measure q[1];"""


def job(hardware: str, qasm: str) -> dict[str, object]:
    return {"algorithm_id": "circuit.openqasm.v1", "hardware": hardware, "shots": 2048, "parameters": {"qasm": qasm}}


async def test_a_job_for_a_machine_is_simulated_from_its_calibration(api: Api, anyone: Api) -> None:
    bell = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; creg c[2]; h q[0]; cx q[0],q[1]; measure q -> c;'
    done = await api.run({**job("ibm_marrakesh", bell), "seed": 7})
    assert (done["hardware"], done["qubits"], done["qubits_used"]) == ("ibm_marrakesh", 156, 2)
    execution = done["execution"]
    assert execution["simulated"] is True
    assert execution["calibration_id"] == "ibm_marrakesh@2025-02-26"
    assert (execution["engine"], execution["seed"]) == ("qmumma-twin", "7")
    assert done["fidelity_method"] == "ideal_comparison"
    assert 90 < float(done["fidelity"].rstrip("%")) < 100
    assert sum(done["result"]["counts"].values()) == 2048
    assert set(done["result"]["counts"]) == {"00", "01", "10", "11"}, "noise shows at this many shots"
    again = await api.run({**job("ibm_marrakesh", bell), "seed": 7})
    assert again["result"]["counts"] == done["result"]["counts"]
    held = await api.get(f"/v1/jobs/{done['job_id']}?include=proof")
    jwks, log_keys = await anyone.get("/.well-known/jwks.json"), await anyone.get("/v1/log/keys")
    assert all(check.ok for check in verify(held.content, jwks.content, log_keys.text).checks)


async def test_the_answer_to_a_submission_says_that_it_will_be_simulated(api: Api) -> None:
    answer = (await api.submit(job("ibm_fez", TWO_ROUNDS))).json()
    assert answer["hardware"] == "ibm_fez"
    assert "simulated with its noise, not run on the machine" in answer["routing"]["reason"]
    done = await api.finished(answer["job_id"])
    assert done["fidelity_method"] == "calibration_estimate"
    assert done["result"]["counts"]["11"] > 1800
