"""What a result depends on: code as it is, what it holds, the files that it reads, and what it does."""

from harness.identity.behaviour import behaviour
from harness.identity.content import Content, content, same_content
from harness.identity.opened import Reads, as_read, loading, note_reads, reads_of, watched

__all__ = [
    "Content",
    "Reads",
    "as_read",
    "behaviour",
    "content",
    "loading",
    "note_reads",
    "reads_of",
    "same_content",
    "watched",
]
