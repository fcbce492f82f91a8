"""A simulated week: its machines and jobs, and the policies that choose among them."""
