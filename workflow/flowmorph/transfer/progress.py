"""How far a training is: as lines of a log, as a bar on the screen, or not at all."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from tqdm import TqdmWarning, tqdm

if TYPE_CHECKING:
    from flowmorph.transfer.training import Training

LINE_SECONDS = 15.0


class Progress(Protocol):
    """What a training tells: of each step, and what happens to it, in lines."""

    @contextmanager
    def of(self, training: Training) -> Iterator[None]:
        """Follow a training as long as the block lasts."""

    def step(self) -> None:
        """Look at the training after one step."""

    def say(self, line: str) -> None:
        """Tell one thing that happened."""


class Lines:
    """A line now and then, and at the end, with speed and losses: for logs."""

    @contextmanager
    def of(self, training: Training) -> Iterator[None]:
        self.training, self.first = training, training.taken
        self.start = self.reported = time.monotonic()
        yield

    def step(self) -> None:
        training, now = self.training, time.monotonic()
        done, steps = training.done, training.steps
        if now - self.reported > LINE_SECONDS or done == steps:
            self.reported = now
            speed = (training.taken - self.first) / (now - self.start)
            meter = tqdm.format_meter(
                done, steps, now - self.start, rate=speed, unit=" steps", ncols=70
            )
            self.say(
                f"{training.problem.name} {meter}{_losses(training)} "
                f"{training.recipe.batch * speed:,.0f} points/s"
            )

    @staticmethod
    def say(line: str) -> None:
        print(line, flush=True)


class Bar:
    """A bar in a terminal or a notebook."""

    @contextmanager
    def of(self, training: Training) -> Iterator[None]:
        with warnings.catch_warnings():
            # A notebook without widgets gets a bar of text, which needs no excuse.
            warnings.simplefilter("ignore", TqdmWarning)
            # Asks IPython what it runs in: not for the jobs of a workflow.
            from tqdm.auto import tqdm as bar

        self.training = training
        with bar(total=training.steps, desc=training.problem.name, unit="step") as self.bar:
            yield

    def step(self) -> None:
        if self.training.due():
            self.bar.set_postfix_str(_losses(self.training).lstrip(), refresh=False)
        # Backwards, where a training begins again.
        self.bar.update(self.training.done - self.bar.n)

    @staticmethod
    def say(line: str) -> None:
        tqdm.write(line)


class Quiet:
    """Nothing on the screen; what happens goes to the logger ``flowmorph``."""

    @contextmanager
    def of(self, training: Training) -> Iterator[None]:
        yield

    def step(self) -> None:
        pass

    @staticmethod
    def say(line: str) -> None:
        logging.getLogger("flowmorph").info(line)


def _losses(training: Training) -> str:
    """The last losses after a space, if there are any yet."""
    if not training.history:
        return ""
    row = training.history[-1]
    return f" loss {row['train_loss']:.4f} validation {row['validation_loss']:.4f}"
