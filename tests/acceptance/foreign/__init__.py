"""SOAP and HTTP clients of other projects, used against the sandbox."""
