"""What backends really do: circuits of known families, run now and then, and how right the predictions were."""
