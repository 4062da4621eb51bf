"""What mean-field theory says about a network before its first update: pure functions of NumPy arrays and specs.

`gaussian` integrates, `closed` and `moments` average an activation over a normal pre-activation, `variance` iterates
the variance of a layer, `offsets` tells a layer's units apart, `prediction` answers for an arm, `death` for ReLU units,
`breakpoints` along a segment; `overlay` is what is kept of them.
"""
