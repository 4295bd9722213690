"""The managed trust store: versions that officers sign, and the queue of proposals before them.

A store is a directory. ``versions/000001.json`` and so on are the manifests with their signatures, each naming
the digest of the one before; ``anchors/<sha256>.der`` are the certificates; ``pending/`` holds proposals and what
officers have signed of them, ``rejected/`` those that were turned down. Nothing counts but the last version,
and that only with the signatures of enough different persons (record 0035).
"""
