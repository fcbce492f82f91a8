"""Circuit programs: OpenQASM text from strangers, parsed under limits into one form.

`limits`, `errors` and `features` import nothing heavy and pickle, so they may cross a process boundary.
`openqasm` is the entry; it imports qiskit and belongs in a child process with a time and a memory limit.
"""
