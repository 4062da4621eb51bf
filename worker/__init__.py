"""The trainer: takes a stack from the record, trains it, and writes down what it measured."""
