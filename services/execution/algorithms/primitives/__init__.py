"""The primitives: several circuits sampled (circuit.sample.v1), observables estimated (circuit.estimate.v1)."""
