"""The HTTP services: parse, call production, present.  No logic lives here."""
