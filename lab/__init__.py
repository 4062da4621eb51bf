"""The science: what can be asked, what theory predicts, what follows from numbers. Pure; no I/O."""
