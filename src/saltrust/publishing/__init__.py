"""Publishing (floor 7): from an executed chapter to something that one opens or deposits.

The package may import all below. It makes the book and a run's page, compares runs, says where a number comes from
(provenance), and packs results for deposit (RO-Crate). It reads what chapters have left behind and computes no result.
"""
