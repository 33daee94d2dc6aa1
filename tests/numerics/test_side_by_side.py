"""Tasks in threads: every result, the number of threads, the end of the time."""

from __future__ import annotations

import threading

import pytest
import torch

from rnnmft.deadline import check_deadline, deadline
from rnnmft.errors import OutOfTimeError
from rnnmft.numerics.side_by_side import side_by_side


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_every_task_is_done(device):
    tasks = [lambda k=k: k * k for k in range(20)]
    assert dict(side_by_side(tasks, device)) == {k: k * k for k in range(20)}


def test_a_task_has_one_thread_and_the_rest_of_the_process_what_it_had():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        threads = {n for _, n in side_by_side([torch.get_num_threads] * 6, "cpu")}
        assert threads == {1}
        assert torch.get_num_threads() == 3
        names = {n for _, n in side_by_side([threading.get_ident] * 6, "meta")}
        assert names == {threading.get_ident()}
    finally:
        torch.set_num_threads(before)


def test_the_end_of_the_time_is_known_in_every_thread():
    with deadline(0.0), pytest.raises(OutOfTimeError):
        list(side_by_side([check_deadline] * 3, "cpu"))
    list(side_by_side([check_deadline] * 3, "cpu"))
