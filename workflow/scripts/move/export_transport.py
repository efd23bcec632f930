"""Write a trained transport as ONNX models, one a fold, as `flowmorph export` does."""

from __future__ import annotations

import argparse

from flowmorph.errors import cli
from flowmorph.user import transport
from flowmorph.user.export import export


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transport", required=True, help="safetensors")
    parser.add_argument("--precision", default="float32", help="type of inputs and outputs")
    parser.add_argument("--also", nargs="*", default=[], help="further outputs")
    parser.add_argument("--outputs", nargs="+", required=True, help="models, in order of folds")
    args = parser.parse_args(argv)

    loaded = transport.load(args.transport, device="cpu")
    for fold, path in enumerate(args.outputs):
        found = export(loaded, path, precision=args.precision, outputs=args.also, fold=fold)
        print(f"{path}: {found}")


if __name__ == "__main__":
    cli(main)
