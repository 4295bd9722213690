"""Header names of KEP and REM mail (kep.md 3.3 to 3.5). National names occur in this module only."""

from __future__ import annotations

ENVELOPE_KIND = "X-REM-Msg-Type"
DISPATCH = "dispatch"
EVIDENCE_ONLY = "message"
"""Values of ``ENVELOPE_KIND`` in lower case."""
EVIDENCE_TYPE = "X-REM-Evidence-Type"
DISPATCH_IDENTIFIER = "X-REM-Message-Identifier"
MESSAGE_TYPE = "X-TR-REM-iletiTip"
MESSAGE_REFERENCE = "X-TR-REM-iletiID"

PEC_RECEIPT = "X-Ricevuta"
PEC_TRANSPORT = "X-Trasporto"
PEC_REFERENCE = "X-Riferimento-Message-ID"

PACKAGE_MEDIA_TYPE = "application/eyazisma"
PACKAGE_EXTENSIONS = (".eyp", ".eyps", ".eypg")
ENCRYPTED_EXTENSION = ".eyps"
