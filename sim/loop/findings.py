"""What may be said of a file of a run that is not as it was left, and what mends it."""

from __future__ import annotations

from dataclasses import dataclass

RUN = "the same `klsim run` computes its block again"
WRITE = "the same `klsim run` writes it again"
ANALYZE = "`klsim analyze` makes it again"
TRACE = "`klsim run --trace` makes it again"
DELETE = "delete it and run its experiment again; trials that fit are kept"
LOG = "delete what is no JSON; nothing follows from the log"
READ = "make it readable; it was not looked at"
MOVE = "move or delete it: who reads the folder as one table reads it too"


@dataclass(frozen=True)
class Finding:
    """A file that is not as a run left it: what is wrong, and what mends it."""

    file: str
    what: str
    mend: str
