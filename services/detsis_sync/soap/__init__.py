"""DETSİS over SOAP: the client for small calls and the streaming reader for the bulk lists."""
