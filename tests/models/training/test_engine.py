"""The engine repeats itself bit for bit, however often it is interrupted; it stops, and keeps the best."""

from __future__ import annotations

import itertools
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from models.train import CHECKPOINT, main, train_bundle
from models.training import Bundle, read_checkpoint
from models.training.averages import Averages
from models.training.devices import Place
from models.training.engine import Paused, Trained, train
from tests.helpers import tiny_method

REPOSITORY = Path(__file__).parents[3]
CPU = Place(torch.device("cpu"))


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_method.register()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def trained(bundle: Path, folder: Path, **how) -> Trained:
    return train_bundle(Bundle(bundle), folder, place=CPU, **how)


def same(one: Trained, other: Trained) -> bool:
    """Every curve and every weight, to the bit."""
    assert one.curves.keys() == other.curves.keys()
    assert one.best.tensors.keys() == other.best.tensors.keys()
    return all(torch.equal(one.curves[name], other.curves[name]) for name in one.curves) and all(
        torch.equal(value, other.best.tensors[name]) for name, value in one.best.tensors.items()
    )


def test_the_same_seed_is_the_same_training_and_another_is_not(tmp_path: Path) -> None:
    bundle = tiny_method.tiny_bundle(tmp_path / "b")
    one = trained(bundle, tmp_path / "one")
    torch.rand(7)  # what others draw meanwhile does not count
    assert same(one, trained(bundle, tmp_path / "two"))
    other = tiny_method.tiny_bundle(tmp_path / "c", seed=1)
    assert not same(one, trained(other, tmp_path / "three"))
    assert one.best.loss < 0.5 * one.curves["held_out/loss"][0, 1]


def test_paused_at_every_few_steps_it_comes_to_the_same(tmp_path: Path) -> None:
    bundle = tiny_method.tiny_bundle(tmp_path / "b")
    whole = trained(bundle, tmp_path / "whole")
    for step in range(1, whole.step):
        with pytest.raises(Paused) as pause:
            trained(bundle, tmp_path / "parts", limit_seconds=0.0)
        assert pause.value.step == step, "every sitting does one step"
    parts = trained(bundle, tmp_path / "parts", limit_seconds=0.0)
    assert same(whole, parts)
    assert read_checkpoint(tmp_path / "parts" / CHECKPOINT)[0]["losses"]["held_out/loss"][0][0] == 0


# Runs the tiny method by the real command in a process of its own.
COMMAND = "import sys; from tests.helpers import tiny_method; tiny_method.register()\n"
COMMAND += (
    "import torch; torch.set_num_threads(1); from models.train import main; sys.exit(main(sys.argv[1:]))"
)


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-u", "-c", COMMAND, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment, cwd=REPOSITORY)


def killed_after(step: int, process: subprocess.Popen[str], how: int) -> str:
    """Ends the process once it has told of this step; what it said on the way out."""
    for line in process.stdout:
        if line.startswith("step ") and int(line.split()[1].split("/")[0]) >= step:
            break
    process.send_signal(how)
    said = process.stderr.read()
    process.wait(60)
    return said


def test_killed_for_real_in_the_middle_it_goes_on_to_the_same_end(tmp_path: Path) -> None:
    bundle = tiny_method.tiny_bundle(tmp_path / "b", steps=1500, evaluate_every=100, patience=0)
    whole = trained(bundle, tmp_path / "whole")
    for step in (200, 700):
        process = start(bundle, "-o", tmp_path / "parts")
        killed_after(step, process, signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        assert not (tmp_path / "parts" / CHECKPOINT).exists()
    lines: list[str] = []
    rest = trained(bundle, tmp_path / "parts", say=lines.append)
    assert int(lines[0].removeprefix("goes on after step ").split()[0]) > 200
    assert same(whole, rest)


def test_ctrl_c_writes_the_state_and_says_how_to_go_on(tmp_path: Path) -> None:
    bundle = tiny_method.tiny_bundle(tmp_path / "b", steps=100_000, patience=0, save_seconds=3600.0)
    process = start(bundle, "-o", tmp_path / "out")
    said = killed_after(1000, process, signal.SIGINT)
    assert process.returncode == 130
    assert said.count("\n") == 1
    assert "same command again" in said
    lines: list[str] = []
    with pytest.raises(Paused) as paused:
        trained(bundle, tmp_path / "out", say=lines.append, limit_seconds=0.0)
    assert paused.value.step > 1000
    assert lines == [f"goes on after step {paused.value.step - 1} of 100000"]


def test_it_stops_when_the_held_out_loss_gets_no_better_and_keeps_the_best(tmp_path: Path) -> None:
    # Nothing but noise: what is learnt by heart makes the held-out loss worse.
    bundle = tiny_method.tiny_bundle(
        tmp_path / "b", noise=3.0, rows=24, width=64, dropout=0.0, steps=4000, patience=4, evaluate_every=25
    )
    found = trained(bundle, tmp_path / "out")
    held_out = found.curves["held_out/loss"]
    assert found.stopped == "no better for a while"
    assert found.step < 4000
    assert held_out[:, 1].min().item() == found.best.loss
    assert found.step == found.best.step + 4 * 25
    told, tensors = read_checkpoint(tmp_path / "out" / CHECKPOINT)
    assert told["best_step"] == found.best.step
    assert told["metrics"]["loss"] == found.best.loss
    assert all(torch.equal(tensors[name], value) for name, value in found.best.tensors.items())


@pytest.mark.parametrize("lost", [{0}, {0, 10}, {20}, set(range(0, 70, 10))])
def test_a_judgement_that_is_no_number_is_never_the_best_of_numbers(tmp_path: Path, lost: set[int]) -> None:
    bundle = Bundle(tiny_method.tiny_bundle(tmp_path / "b"))

    class Unsure(tiny_method.TinyTrainee):
        judgements = 0

        def judge(self) -> dict[str, float]:
            step, self.judgements = 10 * self.judgements, self.judgements + 1
            return {"loss": math.nan} if step in lost else super().judge()

    torch.manual_seed(0)
    found = train(Unsure(tiny_method.TinyConfig(), bundle, None), tmp_path / "out", "x", place=CPU)
    told = found.curves["held_out/loss"]
    numbers = told[told[:, 1].isfinite()]
    if len(numbers):
        assert [found.best.step, found.best.loss] == numbers[numbers[:, 1].argmin()].tolist()
    else:
        assert found.best.step == found.step == 60, "without any, the last is kept, and nothing ends it early"


def test_the_best_is_what_was_judged(tmp_path: Path) -> None:
    """The checkpoint's weights give its metric: also where they are averages."""
    path = tiny_method.tiny_bundle(tmp_path / "b")
    found = trained(path, tmp_path / "out")
    bundle = Bundle(path)
    again = tiny_method.TinyTrainee(tiny_method.TinyConfig(), bundle, found.best.tensors)
    for network in again.networks.values():
        network.eval()
    assert again.judge()["loss"] == pytest.approx(found.best.loss, rel=1e-6)


def test_averages_are_means_of_the_last_steps() -> None:
    network = nn.Linear(1, 1, bias=False)
    averages = Averages({"net": network}, ["net"], steps=5)
    expected = network.weight.detach().clone()
    for step in range(100):
        with torch.no_grad():
            network.weight.fill_(float(step))
        averages.follow(step)
        keep = min(1 - 1 / 5, (step + 1) / (step + 10))
        expected = keep * expected + (1 - keep) * step
    assert averages.values["net/weight"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert averages.values["net/weight"].item() == pytest.approx(99 - 4, abs=0.1), "1 / share steps behind"
    with averages.in_place():
        assert network.weight.item() == averages.values["net/weight"].item()
    assert network.weight.item() == 99


class Forgetful(tiny_method.TinyTrainee):
    """Draws anew for every turn."""

    def losses(self, turn: str, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        self.drawn = None
        return super().losses(turn, batch)


def test_what_is_drawn_once_for_two_turns_is_what_is_drawn_for_each(tmp_path: Path) -> None:
    bundle = Bundle(tiny_method.tiny_bundle(tmp_path / "b"))
    config, results = tiny_method.TinyConfig(dropout=0.0), []
    for kind in (tiny_method.TinyTrainee, Forgetful):
        torch.manual_seed(0)
        results.append(train(kind(config, bundle, None), tmp_path / kind.__name__, "x", place=CPU))
    once, twice = results
    assert {"first/loss", "then/loss"} <= set(once.curves)
    assert same(once, twice)


def test_who_has_no_turn_stands_still(tmp_path: Path) -> None:
    bundle = Bundle(tiny_method.tiny_bundle(tmp_path / "b", steps=40, averaged_steps=0))
    seen: list[dict[str, Tensor]] = []

    class Watched(tiny_method.TinyTrainee):
        def batch(self, step: int, draw: torch.Generator) -> dict[str, Tensor]:
            state = {name: network[0].weight.detach().clone() for name, network in self.networks.items()}
            seen.append(state)
            return super().batch(step, draw)

    torch.manual_seed(0)
    train(Watched(tiny_method.TinyConfig(), bundle, None), tmp_path / "out", "x", place=CPU)
    moved = [
        {name for name in before if not torch.equal(before[name], after[name])}
        for before, after in itertools.pairwise(seen)
    ]
    assert moved[:20] == [{"body"}, {"memory"}] * 10
    assert moved[20:] == [{"body", "memory"}] * 19


@pytest.mark.parametrize("what", ["cut short", "changed"])
def test_a_damaged_state_costs_the_way_to_the_one_before(tmp_path: Path, what: str) -> None:
    bundle = tiny_method.tiny_bundle(tmp_path / "b")
    whole = trained(bundle, tmp_path / "whole")
    for _ in range(5):
        with pytest.raises(Paused):
            trained(bundle, tmp_path / "parts", limit_seconds=0.0)
    spoil(tmp_path / "parts" / "state.safetensors", what)
    lines: list[str] = []
    assert same(whole, trained(bundle, tmp_path / "parts", say=lines.append))
    assert len(lines) == 3
    assert lines[0].startswith("damaged state: ")
    assert lines[1] == "goes on from the state before it, step 4"


def test_without_a_whole_state_it_begins_anew_and_says_so(tmp_path: Path) -> None:
    bundle = tiny_method.tiny_bundle(tmp_path / "b")
    whole = trained(bundle, tmp_path / "whole")
    for _ in range(3):
        with pytest.raises(Paused):
            trained(bundle, tmp_path / "parts", limit_seconds=0.0)
    for file in (tmp_path / "parts").glob("state*"):
        spoil(file, "cut short")
    lines: list[str] = []
    assert same(whole, trained(bundle, tmp_path / "parts", say=lines.append))
    assert lines[-1] == "no whole state is left: training begins anew"


def spoil(file: Path, what: str) -> None:
    content = bytearray(file.read_bytes())
    if what == "changed":
        content[-20] ^= 1
    file.write_bytes(content[: len(content) // 2] if what == "cut short" else content)


def test_the_state_of_another_training_is_not_taken_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Paused):
        trained(tiny_method.tiny_bundle(tmp_path / "b"), tmp_path / "out", limit_seconds=0.0)
    other = tiny_method.tiny_bundle(tmp_path / "c", width=13)
    assert main([str(other), "-o", str(tmp_path / "out"), "--device", "cpu"]) == 2
    told = capsys.readouterr().err
    assert "another training" in told
    assert told.count("\n") == 1


def test_a_loss_that_is_no_number_ends_it_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tiny_method.tiny_bundle(tmp_path / "b", noise=1e38)
    assert main([str(bundle), "-o", str(tmp_path / "out"), "--device", "cpu"]) == 2
    told = capsys.readouterr().err
    assert "no longer a number" in told
    assert told.count("\n") == 1


def test_the_time_left_counts_steps_and_evaluations(tmp_path: Path) -> None:
    """What is said half-way is what the second half takes, evaluations included."""
    bundle = Bundle(tiny_method.tiny_bundle(tmp_path / "b", steps=40, evaluate_every=4, patience=0))

    class Slow(tiny_method.TinyTrainee):
        def judge(self) -> dict[str, float]:
            time.sleep(0.02)
            return super().judge()

    from models.training import engine

    seen: list[tuple[int, float]] = []
    moment = pytest.MonkeyPatch()
    with moment.context() as patch:
        patch.setattr(engine, "_LOOK_SECONDS", 0.0)
        engine.train(
            Slow(tiny_method.TinyConfig(), bundle, None),
            tmp_path / "out",
            "x",
            place=CPU,
            progress=lambda told: seen.append((told.step, told.seconds_left)),
        )
    left = dict(seen)
    assert left[20] >= 5 * 0.02
    assert left[40] == 0.0
    assert left[8] > left[32]
