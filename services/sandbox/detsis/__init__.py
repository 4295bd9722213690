"""A DETSİS look-alike: an ASMX-like SOAP service over a generated register. Invented data, for tests and demos."""
