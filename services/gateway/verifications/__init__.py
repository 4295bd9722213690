"""Verifications of signatures that are kept: judged until they are settled, shown, put on paper, erased."""
