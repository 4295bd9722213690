"""Names and texts of an outgoing KEP message (kep.md 2.6 and 5). National names occur in this module only."""

from __future__ import annotations

MESSAGE_TYPE_HEADER = "X-TR-REM-iletiTip"
MESSAGE_TYPE_CORRESPONDENCE = "eYazisma"
"""The header's spelling; the SOAP enumeration writes the same word with a capital E."""
MESSAGE_TYPE_STANDARD = "standart"
"""A message without a package."""
MESSAGE_ID_HEADER = "X-TR-REM-iletiID"
PACKAGE_MEDIA_TYPE = "application/eyazisma"
PACKAGE_EXTENSIONS = (".eyp", ".eyps", ".eypg")
NEUTRAL_SUBJECT = "Resmî yazı"
BODY = "Bu iletinin ekinde e-Yazışma paketi biçiminde bir resmî yazı bulunmaktadır.\r\n"
"""Says nothing about the letter: headers and body are visible to the providers."""
