"""SOAP and HTTP clients that nobody here wrote, against the sandbox."""
