"""The training loop of every flow: Adam, warm-up and cosine to zero, clipped gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property, partial

import torch
from torch import Tensor

from flowmorph.errors import InputError
from flowmorph.flows.graphs import Batch, Recorder
from flowmorph.plan.seeds import seed_for
from flowmorph.transfer.adam import Adam
from flowmorph.transfer.checkpoint import Checkpoint
from flowmorph.transfer.problem import Problem
from flowmorph.transfer.rollback import RETURNS, is_lost

VALIDATIONS = 20  # evaluations of the validation loss in one training ...
VALIDATION_STEPS = 20  # ... but not more often than this, or they would cost more than the training


class Training:
    """A training that can stop after any step and go on as if it had not.

    It may be begun several times, with other first parameters and the same points; the start with
    the lowest loss goes on as if it had been the only one. One that ends far from the lowest
    possible loss may begin again, and the better end is kept. With ``graphs``, a GPU runs the steps
    as CUDA graphs. ``say`` takes what there is to say of it, in lines.
    """

    def __init__(
        self, problem: Problem, graphs: bool = False, say: Callable[[str], None] = print
    ) -> None:
        self.say = say
        self.problem, self.flow, self.samples = problem, problem.flow, problem.samples
        self.recipe, self.steps = problem.recipe, problem.steps
        flow, recipe = self.flow, self.recipe
        self.recorder = Recorder() if graphs else None
        # What a graph reads has to lie on the device.
        rate = flow.flat.new_tensor(recipe.learning_rate)
        self.adam = Adam([flow.flat], rate if graphs else recipe.learning_rate, (0.9, recipe.beta2))
        self.history: list[dict[str, float]] = []
        # Kept on the device: to read the loss at each step would mean to wait for the device each
        # time.
        self.recent = flow.flat.new_zeros(())
        self.done = 0  # steps of the schedule
        self.taken = 0  # optimizer steps: those that were given up, too
        self.returns = 0
        self.start = 1
        self.chosen = recipe.starts == 1  # whether the start is that which goes on
        # Of the starts until one is chosen the best; from then on the state with the lowest
        # validation loss so far, which is the last phase's in every phase; and its row.
        self.best: dict[str, Tensor] = {}
        self.best_row: dict[str, float] = {}
        # The same of the best training before this one, if one ended far from the lowest possible
        # loss.
        self.earlier: dict[str, Tensor] = {}
        self.earlier_row: dict[str, float] = {}
        self.restarts = 0
        self.every = max(VALIDATION_STEPS, self.steps // VALIDATIONS)
        start_end = max(2, round(recipe.start_share * self.steps))
        # Starts are compared by their mean loss between these steps.
        self.compared = (start_end * 2 // 3, start_end)

    def _state(self) -> dict[str, Tensor]:
        """What a step changes: parameters, and the optimizer's means."""
        memory = {f"adam.{name}": tensor for name, (tensor,) in self.adam.memory.items()}
        return {"flat": self.flow.flat.detach()} | memory

    def save(self, checkpoint: Checkpoint) -> None:
        """Write all that changes from step to step."""
        tensors = self._state() | {"recent": self.recent}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        tensors |= {f"earlier.{name}": value for name, value in self.earlier.items()}
        tensors |= {f"order.{i}": sample.before for i, sample in enumerate(self.samples)}
        note = {
            "step": self.done,
            "taken": self.taken,
            "returns": self.returns,
            "start": self.start,
            "chosen": self.chosen,
            "positions": [sample.position for sample in self.samples],
            "drawn": [sample.drawn for sample in self.samples],
            "history": self.history,
            "best_row": self.best_row,
            "restarts": self.restarts,
            "earlier_row": self.earlier_row,
        }
        checkpoint.save(tensors, note)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Take the state of a checkpoint of this training, if there is one."""
        state = checkpoint.load()
        if state is None:
            return
        tensors, note = state
        for name, value in self._state().items():
            value.copy_(tensors[name])
        self.recent.copy_(tensors["recent"])
        for i, sample in enumerate(self.samples):
            sample.resume(tensors[f"order.{i}"], note["positions"][i], note["drawn"][i])
        self.done, self.history = note["step"], note["history"]
        self.taken, self.returns = note["taken"], note["returns"]
        self.start, self.chosen, self.best_row = note["start"], note["chosen"], note["best_row"]
        self.best = {name[5:]: value for name, value in tensors.items() if name[:5] == "best."}
        self.restarts, self.earlier_row = note["restarts"], note["earlier_row"]
        self.earlier = {
            name[8:]: value for name, value in tensors.items() if name[:8] == "earlier."
        }
        self.say(f"goes on from step {self.done} of checkpoint {checkpoint.path}")

    def step(self) -> None:
        """One update of the weights, by the loss whose turn it is."""
        number = self.problem.phase_of(self.done)
        phase = self.problem.phases[number]
        if number and self.done == self.problem.begin_of(self.done):
            self._forget()
        rate = self.problem.rate(self.done)
        if isinstance(self.adam.rate, Tensor):
            self.adam.rate.fill_(rate)
        else:
            self.adam.rate = rate
        turn = self.done % len(phase.losses)
        update = partial(self._update, phase.losses[turn])
        drawn = range(len(self.samples)) if phase.draws is None else phase.draws
        batches = [self.samples[i].draw(phase.noise) for i in drawn]
        if self.recorder is None:
            update(batches)
        else:
            self.recorder((number, turn), update, batches)
        self.done += 1
        self.taken += 1

    def _update(self, loss: Callable[..., Tensor], batches: list[Batch]) -> None:
        self.adam.zero_grad()
        value = loss(*batches)
        value.backward()
        torch.nn.utils.clip_grad_norm_([self.flow.flat], self.recipe.clip, foreach=False)
        if self.problem.decay is not None:
            with torch.no_grad():
                self.flow.flat.mul_(1 - self.adam.rate * self.problem.decay)
        self.adam.step()
        self.recent += value.detach()

    def due(self) -> bool:
        """Whether it is time for a record."""
        if not self.chosen:
            return self.done in self.compared
        return self.done % self.every == 0 or self.done == self.steps

    def record(self) -> None:
        """Add the mean loss since the last record, and the validation loss, to the history.

        A start that ends is compared with the best one. A training that has lost what it had
        learnt goes back to its best state.
        """
        since = self.taken - (self.history[-1]["steps_taken"] if self.history else 0)
        row = {
            "step": self.done,
            "epoch": self.done / self.problem.steps_per_epoch,
            "start": self.start,
            "phase": self.problem.phase_of(self.done - 1),
            "train_loss": self.recent.item() / since,
            "validation_loss": self.problem.validate(),
            "learning_rate": self.problem.rate(self.done - 1),
            "steps_taken": self.taken,
            "returns": self.returns,
            "restarts": self.restarts,
        }
        if self.lowest_loss is not None:
            row["above_lowest"] = row["validation_loss"] - self.lowest_loss
        self.recent.zero_()
        self.history.append(row)
        if not self.chosen:
            if self.done == self.compared[-1]:
                self._end_start(row)
            return
        if self._improves(row, "validation_loss"):
            self._keep(row)
        finite = math.isfinite(row["train_loss"])
        # At the end of the schedule nothing is left to go on with, and the best state is kept.
        lost = not finite or (self.done < self.steps and is_lost(self.history))
        if lost and self.best and self.returns < RETURNS:
            self._go_back()
        elif not finite and self.earlier:
            self.done = self.steps  # a restart that comes to nothing leaves the earlier end
        elif not finite:
            self._refuse()
        elif self.done == self.steps and self.restarts < self.recipe.restarts and self._is_far():
            self._begin_again()

    @cached_property
    def lowest_loss(self) -> float | None:
        """The lowest possible validation loss, in nats; None where it is not known."""
        return None if self.problem.floor is None else self.problem.floor()

    def _is_far(self) -> bool:
        return self.best_row.get("above_lowest", -math.inf) > self.recipe.far_nats

    def _begin_again(self) -> None:
        """Begin again with other first parameters, since this training ended far from its goal."""
        self.restarts += 1
        self.say(
            f"{self.problem.name}: ends {self.best_row['above_lowest']:.4f} nats above "
            f"{self.problem.optimum}: begins again, and the better one is kept (restart "
            f"{self.restarts} of at most {self.recipe.restarts})"
        )
        self._take_earlier_if_better()
        self.earlier, self.earlier_row = self.best, self.best_row
        self.best, self.best_row = {}, {}
        self.start = self.recipe.starts + self.restarts
        self._begin()

    def _take_earlier_if_better(self) -> None:
        lowest = self.best_row.get("validation_loss", math.inf)
        if self.earlier and self.earlier_row["validation_loss"] <= lowest:
            self.best, self.best_row = self.earlier, self.earlier_row

    def _refuse(self) -> None:
        raise InputError(
            f"{self.problem.name}: the loss is not finite at step {self.done}; lower the learning "
            "rate"
        )

    def _improves(self, row: dict[str, float], loss: str) -> bool:
        finite = math.isfinite(row["train_loss"] + row["validation_loss"])
        return finite and (not self.best or row[loss] < self.best_row[loss])

    def _keep(self, row: dict[str, float]) -> None:
        self.best = {name: value.clone() for name, value in self._state().items()}
        self.best_row = row

    def _take_best(self) -> None:
        # In place, since recorded CUDA graphs read and write these tensors.
        for name, value in self._state().items():
            value.copy_(self.best[name])
        self.done = self.best_row["step"]

    def _end_start(self, row: dict[str, float]) -> None:
        """Begin the next start, or go on with the best one.

        Starts see the same points in the same order, so which one it is changes nothing else.
        """
        if self._improves(row, "train_loss"):
            self._keep(row)
        self.say(
            f"{self.problem.name}: start {self.start} of {self.recipe.starts} has a loss of "
            f"{row['train_loss']:.4f} at step {self.done}"
        )
        if self.start < self.recipe.starts:
            self.start += 1
            self._begin()
        elif not self.best:
            self._refuse()
        else:
            self.chosen, self.start = True, self.best_row["start"]
            self._take_best()
            self.say(f"{self.problem.name}: goes on with start {self.start}")

    def _begin(self) -> None:
        """Take other first parameters, which follow from the seed and the number of the start."""
        with torch.random.fork_rng([]):
            torch.manual_seed(seed_for(self.samples[0].seed, "start", self.start))
            self.flow.initialise()
        self._forget()
        for sample in self.samples:
            sample.rewind()
        self.done = 0

    def _forget(self) -> None:
        """Begin with an optimizer without memory."""
        for name, value in self._state().items():
            if name != "flat":
                value.zero_()

    def _go_back(self) -> None:
        """Go on from the best state, at its place in the schedule, with another order of points."""
        last, best = self.history[-1], self.best_row
        self._take_best()
        self.returns += 1
        for sample in self.samples:
            sample.reorder(self.returns)
        self.say(
            f"{self.problem.name}: the validation loss {last['validation_loss']:.4f} at step "
            f"{last['step']} is above the {best['validation_loss']:.4f} at step {best['step']}: "
            f"goes back there, and on with another order of the points (return {self.returns} of "
            f"at most {RETURNS})"
        )

    def finish(self) -> None:
        """Take the parameters with the lowest validation loss, and say if they are bad."""
        self._take_earlier_if_better()
        if not self.best:
            return
        with torch.no_grad():
            self.flow.flat.copy_(self.best["flat"])
        name, best = self.problem.name, self.best_row
        if self.returns == RETURNS and is_lost(self.history):
            self.say(
                f"{name}: warning: the loss has risen after {RETURNS} returns; the parameters "
                f"of step {best['step']} are kept"
            )
        if "above_lowest" in best:
            warning = "warning: " if self._is_far() else ""
            self.say(
                f"{name}: {warning}ends {best['above_lowest']:.4f} nats above "
                f"{self.problem.optimum}"
            )
