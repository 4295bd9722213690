"""The header a message is looked for by, besides its Message-ID (kep.md 2.6)."""

from __future__ import annotations

MESSAGE_REFERENCE = "X-TR-REM-iletiID"
