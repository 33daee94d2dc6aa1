"""Training of many networks at once: Adam, gradients clipped network by network, checkpoints.

Every number drawn belongs to a step, so that a run that goes on from a checkpoint is the run that
was never interrupted, to the bit on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from rnnmft.experiments.digits import Digits
from rnnmft.experiments.optimizer import clip
from rnnmft.experiments.store import load_arrays, save_arrays
from rnnmft.experiments.tasks import ImageThenNoise, Pixels, generator
from rnnmft.experiments.trainees import Trainees
from rnnmft.parameters import check_count
from rnnmft.simulation.subnormal import subnormal_as_zero

__all__ = ["Course", "Training", "train"]

Progress = Callable[[float, float], None]
#: What a generator is for, as its last number.
_BATCH, _NOISE, _TEST = 0, 1, 2
#: Test images looked at at once.
_AT_ONCE = 256


class _Watcher(Protocol):
    def __call__(self, step: int, trainees: Trainees) -> None: ...


@dataclass(frozen=True)
class Course:
    """How to train.

    Attributes:
        iterations: steps of Adam.
        batch: images a step.
        rate: of learning.
        clip: the largest norm of a network's gradient.
        every: steps between two looks at the test set.
        seed: of batches and noise.
        enough: a network that tests above this is done; training ends when all are.
        mixed: whether the forward pass runs in bfloat16 on a GPU.
    """

    iterations: int
    batch: int = 64
    rate: float = 1e-3
    clip: float = 1.0
    every: int = 50
    seed: int = 0
    enough: float = 2.0
    mixed: bool = False

    def __post_init__(self) -> None:
        for name in ("iterations", "batch", "every"):
            check_count(name, getattr(self, name))


@dataclass
class Training:
    """What was seen while training.

    Attributes:
        steps: at which the test set was looked at.
        accuracy: on it, a row of (networks,) for each.
        diverged: the first step at which a network's gradient was not finite; 0 if it always was.
    """

    steps: list[int] = field(default_factory=list)
    accuracy: list[list[float]] = field(default_factory=list)
    diverged: list[int] = field(default_factory=list)


def train(
    trainees: Trainees,
    task: ImageThenNoise | Pixels,
    digits: Digits,
    course: Course,
    *,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
    watch: _Watcher | None = None,
) -> Training:
    """Train all networks on the same batches.

    Args:
        trainees: they are changed.
        task: what to do.
        digits: with what.
        course: how.
        checkpoint: a file that is written at every look at the test set, and gone on from if there.
        progress: called as progress(done, total), in steps.
        watch: called as watch(step, trainees) at every look.
    """
    images, labels = (
        torch.from_numpy(x).to(trainees.device) for x in (digits.images, digits.labels)
    )
    optimizer = torch.optim.Adam(list(trainees.parameters.values()), lr=course.rate)
    seen, first = Training(diverged=[0] * trainees.shapes.networks), 0
    if checkpoint is not None and checkpoint.exists():
        seen, first = _resumed(checkpoint, trainees, optimizer)
    for step in range(first, course.iterations):
        own = generator(course.seed, step, _BATCH)
        rows = torch.randint(len(images), (course.batch,), generator=own).to(trainees.device)
        with subnormal_as_zero():
            loss = _loss(trainees, task, images[rows], labels[rows], course, step)
            optimizer.zero_grad()
            loss.sum().backward()
            finite = clip(trainees.parameters, course.clip).tolist()
            optimizer.step()
        done = step + 1
        noted = zip(seen.diverged, finite, strict=True)
        seen.diverged = [before or (0 if fine else done) for before, fine in noted]
        if done % course.every == 0 or done == course.iterations:
            accuracy = tested(trainees, task, digits, course)
            seen.steps.append(done)
            seen.accuracy.append(accuracy)
            if watch is not None:
                watch(done, trainees)
            if checkpoint is not None:
                _save(checkpoint, trainees, optimizer, seen)
            if min(accuracy) >= course.enough:
                break
        if progress is not None:
            progress(done, course.iterations)
    return seen


def _loss(
    trainees: Trainees,
    task: ImageThenNoise | Pixels,
    images: Tensor,
    labels: Tensor,
    course: Course,
    step: int,
) -> Tensor:
    """Cross entropy of each network, (G,)."""
    own = generator(course.seed, step, _NOISE)
    kind = trainees.device.type
    with torch.autocast(kind, torch.bfloat16, enabled=course.mixed and kind == "cuda"):
        logits = run(trainees, task, images, own)
    networks, classes = logits.shape[0], logits.shape[-1]
    targets = labels.expand(networks, -1).reshape(-1)
    losses = torch.nn.functional.cross_entropy(
        logits.float().reshape(-1, classes), targets, reduction="none"
    )
    return losses.reshape(networks, -1).mean(1)


def run(
    trainees: Trainees, task: ImageThenNoise | Pixels, images: Tensor, own: torch.Generator
) -> Tensor:
    """Logits (G, B, classes) after the whole sequence."""
    states = trainees.start(len(images))
    for x in task.inputs(images, own):
        states = trainees.step(states, x)
    return trainees.read(states)


@torch.no_grad()
def tested(
    trainees: Trainees, task: ImageThenNoise | Pixels, digits: Digits, course: Course
) -> list[float]:
    """Accuracy of each network on the test set, always with the same noise."""
    right = torch.zeros(trainees.shapes.networks, device=trainees.device)
    for first in range(0, len(digits.test_images), _AT_ONCE):
        own = generator(course.seed, first, _TEST)
        part = slice(first, first + _AT_ONCE)
        images = torch.from_numpy(digits.test_images[part]).to(trainees.device)
        labels = torch.from_numpy(digits.test_labels[part]).to(trainees.device)
        right += (run(trainees, task, images, own).argmax(-1) == labels).sum(1)
    return (right / len(digits.test_images)).tolist()


# --- checkpoints ---------------------------------------------------------------------------


def _save(path: Path, trainees: Trainees, optimizer: torch.optim.Adam, seen: Training) -> None:
    """All that changes while networks train."""
    arrays: dict[str, np.ndarray] = {
        "steps": np.array(seen.steps),
        "accuracy": np.array(seen.accuracy),
        "diverged": np.array(seen.diverged),
    }
    for name, value in trainees.parameters.items():
        state = optimizer.state[value]
        arrays[f"p/{name}"] = value.detach().cpu().numpy()
        arrays[f"m/{name}"] = state["exp_avg"].cpu().numpy()
        arrays[f"v/{name}"] = state["exp_avg_sq"].cpu().numpy()
    save_arrays(path, arrays)


def _resumed(path: Path, trainees: Trainees, optimizer: torch.optim.Adam) -> tuple[Training, int]:
    arrays = load_arrays(path)
    steps = int(arrays["steps"][-1])
    trainees.load({n: torch.from_numpy(arrays[f"p/{n}"]) for n in trainees.parameters})
    for name, value in trainees.parameters.items():
        moments = (torch.from_numpy(arrays[f"{k}/{name}"]).to(trainees.device) for k in "mv")
        first, second = moments
        optimizer.state[value] = {
            "step": torch.tensor(float(steps)),
            "exp_avg": first,
            "exp_avg_sq": second,
        }
    seen = Training(*(arrays[name].tolist() for name in ("steps", "accuracy", "diverged")))
    return seen, steps
