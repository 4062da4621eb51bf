"""The record: tables, every query, leases, the queue, settings. Functions here never commit; whoever opens a
transaction closes it.
"""
