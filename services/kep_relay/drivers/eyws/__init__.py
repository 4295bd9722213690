"""PTT KEP's SOAP service (kep.md section 2)."""
