"""The versions of the tables, one file a change. `python -m store.migrate` applies them."""
