"""Morph one data set into another with normalizing flows (arXiv:2309.06472).

A trained transport is used in three lines (docs/own-data.md):

    import flowmorph
    transport = flowmorph.load("results/mine/transports/own/movement_penalty")
    moved = transport.move(table)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowmorph.user.transport import Transport

__all__ = ["load"]

#: The one place of the version: packaging, bundles and reports take it from here.
__version__ = "0.1.0"


def load(path: str, device: str = "auto", threads: int = 1) -> Transport:
    """Read a trained transport from its file, or from the folder that holds it.

    ``device`` is ``cpu``, ``cuda`` or ``auto``. Raises `flowmorph.errors.InputError` for a file of
    another kind. PyTorch is imported here, not by ``import flowmorph``.
    """
    from flowmorph.user.transport import load as load_transport

    return load_transport(path, device=device, threads=threads)
