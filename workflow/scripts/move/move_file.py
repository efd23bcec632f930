"""Move files of tables with a trained transport: the command ``flowmorph``, for a rule."""

from __future__ import annotations

from flowmorph.__main__ import main
from flowmorph.errors import cli

if __name__ == "__main__":
    cli(main)
