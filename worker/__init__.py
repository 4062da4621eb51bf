"""The trainer: takes a stack from the record, trains it, and writes down what it measured."""

import gc

# Python looks for garbage after every 700 new objects. Importing PyTorch makes hundreds of thousands that stay.
gc.set_threshold(100_000, 10, 10)
