"""The ``darkchannel`` command."""
