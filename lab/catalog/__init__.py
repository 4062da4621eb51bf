"""What exists to be asked for, each thing one entry: its name is its key, its definition is its help text."""
