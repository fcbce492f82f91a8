"""Zero-noise extrapolation: a circuit is run with its noise amplified, and the value without noise read off the trend.

`folding` amplifies, `extrapolation` fits, `request` is what a job asks for.
"""
