"""``python -m darkchannel``: the same as the ``darkchannel`` command."""

from darkchannel.cli import main

if __name__ == "__main__":
    main()
