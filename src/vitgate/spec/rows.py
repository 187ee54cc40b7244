"""The name of a record's row: the claim, and what it is made about."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RowName:
    """A claim and its subject; `str(name)` is `claim[subject]`, the words of `--claim` and of a test's id.

    Without a subject it stands for all rows of the claim, and is written as the claim's id.
    """

    claim: str
    subject: str = ""

    def __str__(self) -> str:
        """Return `claim[subject]`."""
        return f"{self.claim}[{self.subject}]" if self.subject else self.claim

    @classmethod
    def parse(cls, text: str) -> RowName:
        """Return the name that `str` wrote; text without brackets is a claim's id. Any text is accepted."""
        claim, _, rest = text.partition("[")
        return cls(claim, rest.removesuffix("]"))

    @classmethod
    def of_test(cls, node_id: str) -> RowName:
        """Return the name of a test by its node id, `path::test_label[digits-x86-lite]`."""
        return cls.parse(node_id.rpartition("::")[2])
