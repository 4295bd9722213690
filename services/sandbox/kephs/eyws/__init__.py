"""PTT KEP's SOAP service (EYWS) in front of a provider and its store: the same letters, the same evidence."""
