"""The command ``flowmorph``: what can be done with a trained transport outside of the workflow."""

from __future__ import annotations

import argparse
import sys

from flowmorph import __version__
from flowmorph.errors import InputError, cli

#: What a model may give beside the moved row: names of `user.export.model.EXTRAS`, which takes
#: seconds to import.
FURTHER_OUTPUTS = ("log_det", "log_reference", "log_target", "balance_factor")


def main(argv: list[str] | None = None) -> None:
    """Run one command; raises InputError for input that cannot be used."""
    parser = argparse.ArgumentParser(prog="flowmorph", description=__doc__)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    for add in (_add_move, _add_export):
        add(commands)
    args = parser.parse_args(argv)
    args.run(args)


def _add_move(commands) -> None:
    move = commands.add_parser("move", help="move the rows of files, and write them as they came")
    move.add_argument("--transport", required=True, help="file, or the folder that holds it")
    move.add_argument("--input", nargs="+", required=True, help="files or patterns, one sample")
    move.add_argument("--output", required=True, help="file, in the format of the input")
    move.add_argument("--tree", help="tree, key or group, where the input has several")
    move.add_argument("--format", help="of the input, where its name does not tell")
    move.add_argument("--rename", nargs="+", action="extend", default=[], metavar="NAME=COLUMN",
                      help="the file's column for one of the transport's")  # fmt: skip
    move.add_argument("--object", nargs="+", action="append", default=[],
                      metavar=("NAME", "NAME=COLUMN"), help="object of a row, and its columns; "
                      "all that are named so are moved")  # fmt: skip
    move.add_argument("--columns", choices=("append", "replace"), default="append")
    move.add_argument("--suffix", default="_moved", help="of new columns")
    move.add_argument("--drop", nargs="+", default=(), help="columns or patterns to leave out")
    move.add_argument("--may-lack", action="store_true",
                      help="say it in the log, and move all the same, where there is no column to "
                      "leave out")  # fmt: skip
    move.add_argument("--outside", choices=("move", "keep"), default="move",
                      help="rows beyond the range of the training")  # fmt: skip
    move.add_argument("--variations", choices=("each", "envelope", "none"), default="each",
                      help="of the transport: a column each, their range, or none")  # fmt: skip
    move.add_argument("--support", action="store_true",
                      help="add a column that says where the map is to be trusted")  # fmt: skip
    move.add_argument("--everywhere", action="store_true", help="move rows of every region")
    move.add_argument("--chunk", type=int, default=100_000, help="rows in memory at a time")
    move.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    move.add_argument("--threads", type=int, default=1)
    move.set_defaults(run=_move)


def _add_export(commands) -> None:
    export = commands.add_parser("export", help="write the map as an ONNX model")
    export.add_argument("--transport", required=True, help="file, or the folder that holds it")
    export.add_argument("--output", required=True, help="file of the model")
    export.add_argument("--precision", choices=("float32", "float64"), default="float32",
                        help="of inputs and outputs")  # fmt: skip
    export.add_argument("--arithmetic", choices=("float32", "float64"), default="float64",
                        help="of the flows; float32 is faster and rounds as move")  # fmt: skip
    export.add_argument("--also", nargs="+", action="extend", default=[],
                        choices=FURTHER_OUTPUTS, metavar="OUTPUT",
                        help="further outputs: " + ", ".join(FURTHER_OUTPUTS))  # fmt: skip
    export.add_argument("--variation", type=int, default=0, help="0 for the nominal map")
    export.add_argument("--fold", type=int, help="whose training is taken, where there are folds")
    export.set_defaults(run=_export)


def _move(args: argparse.Namespace) -> None:
    if args.chunk < 1:
        raise InputError(f"--chunk {args.chunk}: give a positive number of rows")
    # PyTorch takes seconds to import: not for --help.
    from flowmorph.plan import objects
    from flowmorph.user import moved_files, transport
    from flowmorph.user.output import Output

    loaded = transport.load(args.transport, device=args.device, threads=args.threads)
    moved = objects.typed(args.rename, args.object, loaded.columns)
    counts = moved_files.move_files(
        loaded,
        args.input,
        args.output,
        tree=args.tree,
        format=args.format,
        output=Output(
            args.columns,
            args.suffix,
            args.drop,
            args.outside,
            moved,
            args.variations,
            support=args.support,
            may_lack=args.may_lack,
        ),
        everywhere=args.everywhere,
        chunk_rows=args.chunk,
    )
    for note in counts.notes:
        print(f"{args.output}: {note}", file=sys.stderr)
    for name, each in counts.objects.items():
        print(f"{args.output}: {name}: {each}", file=sys.stderr)
    if not counts.objects:
        print(f"{args.output}: {counts}", file=sys.stderr)


def _export(args: argparse.Namespace) -> None:
    from flowmorph.user import export, transport

    found = export.export(
        transport.load(args.transport, device="cpu"),
        args.output,
        args.precision,
        args.arithmetic,
        args.also,
        args.variation,
        args.fold,
    )
    print(f"{args.output}: {found}", file=sys.stderr)


def console() -> None:
    """Entry point of the installed command."""
    cli(main)


if __name__ == "__main__":
    console()
