"""What a process that trains asks of the C library's allocator, which reads it once, as the process starts."""

from __future__ import annotations

KEEP: dict[str, str] = {
    # Up to 32 MiB, the most that may be asked for, from the heap; and freed memory stays there up to 64 MiB. Else every
    # operation's passing result may come from the system anew, page by page.
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TRIM_THRESHOLD_": str(2**26),
}
"""Environment variables of glibc; other libraries do not know them."""
