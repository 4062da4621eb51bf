"""The smaller choices of a request, each name with its definition."""

NORMALIZATIONS = {
    "none": "No normalization.",
    "batch": "Batch normalization (Ioffe and Szegedy 2015) of the affine map's output, before the activation; "
    "scale and shift are learned; eps 1e-5, running statistics with momentum 0.1.",
    "batch_after": "Batch normalization of the activation's output, before a residual is added; otherwise as batch. "
    "What is measured of activations is measured before it.",
    "layer": "Layer normalization (Ba et al. 2016) of the affine map's output, before the activation: each sample over "
    "the layer's units, the test set as in training; scale and shift are learned; eps 1e-5. With a width of 1 only the "
    "shift is left of it: nothing of the input passes.",
}

OPTIMIZERS = {
    "sgd": "Stochastic gradient descent: w -= lr * g.",
    "momentum": "Heavy ball with coefficient 0.9, as in PyTorch: v = 0.9 v + g; w -= lr * v.",
    "adam": "Adam (Kingma and Ba 2015): beta 0.9 and 0.999, eps 1e-8.",
    "adamw": "Adam with decoupled weight decay (Loshchilov and Hutter 2019): w -= lr * weight_decay * w beside Adam's "
    "update. Without weight_decay it is Adam.",
    "rmsprop": "RMSprop (Hinton 2012), as in PyTorch: v = 0.99 v + 0.01 g^2; w -= lr * g / (sqrt(v) + 1e-8).",
}

DTYPES = {"float32": "Single precision.", "float64": "Double precision."}

SPACINGS = {
    "log": "Recorded steps spaced logarithmically: dense at the start, where most happens.",
    "even": "Recorded steps spaced evenly.",
}
