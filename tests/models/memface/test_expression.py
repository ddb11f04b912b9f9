"""Sound to expression: streams as a whole would, learns in turns, is resumed, adapts, closes its lips."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor

from models.memface.config_expression import PRESETS, ExpressionConfig
from models.memface.expression import NETWORK, ExpressionTrainee, load_expression, new_expression, used_to
from models.memface.listening import at_halves, listen, paired
from models.memface.losses_expression import opening_of
from models.memface.network_expression import BANDS, SLIDING, ExpressionNet, even
from models.memory.implicit import ImplicitMemory
from models.methods import Heard, Trainee
from models.morphable.builtin import builtin
from models.training import HELD_OUT, TRAIN, About, Bundle, Segment, write_bundle
from models.training.devices import Place
from models.training.engine import Paused, Trained, train

SMOKE = replace(ExpressionConfig.preset("smoke"), slots=32, layers=1, hidden=64)
HERE = Place(torch.device("cpu"))


def sound(rows: int, seed: int = 0) -> Heard:
    """Features that no speech has."""
    chance = torch.Generator().manual_seed(seed)
    speech = torch.randn(rows, 29, generator=chance).log_softmax(-1)
    mel = torch.randn(1 + rows * 80 // 50, BANDS, generator=chance)
    loud, voice = -30 + 5 * torch.randn(rows, generator=chance), torch.rand(rows, generator=chance)
    return Heard(speech, loud, voice, mel)


def rows_of(whole: Heard) -> Tensor:
    return torch.cat([whole.speech, whole.loudness[:, None], whole.voice[:, None]], 1)


def in_blocks(whole: Heard, sizes: Sequence[int]) -> Iterator[Heard]:
    """The sound piece by piece; log-mel comes by its own clock, a little later."""
    assert whole.mel is not None
    at, mel, k = 0, 0, 0
    while at < len(whole.speech):
        stop = min(at + sizes[k % len(sizes)], len(whole.speech))
        until = len(whole.mel) if stop == len(whole.speech) else int(stop * 1.6)
        yield Heard(
            whole.speech[at:stop], whole.loudness[at:stop], whole.voice[at:stop], whole.mel[mel:until]
        )
        at, mel, k = stop, until, k + 1


def living(config: ExpressionConfig = SMOKE, *, mel: bool = True, lead: int = 0) -> ExpressionNet:
    """A network all of whose parts have something to say."""
    net = new_expression(config, 3)
    chance = torch.Generator().manual_seed(1)
    heard = net.told_apart(
        paired(rows_of(sound(300, 7)))[None], torch.randn(1, 150, BANDS, generator=chance)
    )[0]
    net.moments.settle(heard, torch.arange(20, 120, 3), heard.mean(0), heard.std(0), mel)
    net.moments.values.normal_(generator=chance)
    net.lead.fill_(lead)
    return net.eval()


def all_of(net: ExpressionNet, blocks: Iterator[Heard]) -> Tensor:
    return torch.cat(list(listen(net, blocks)))


@pytest.mark.parametrize("lead", [0, 3, -2])
@pytest.mark.parametrize("mel", [True, False])
def test_blocks_make_no_difference_not_by_a_bit(lead: int, mel: bool) -> None:
    net, whole = living(mel=mel, lead=lead), sound(1037)
    once = all_of(net, iter([whole]))
    assert once.shape == (519, 64)
    for sizes in ((1, 2, 50), (333,), (7, 640)):
        assert torch.equal(once, all_of(net, in_blocks(whole, sizes)))


@pytest.mark.parametrize("lead", [0, 2, -3])
def test_a_stream_is_what_the_network_says_of_the_whole(lead: int) -> None:
    net, whole = living(lead=lead), sound(700)
    assert whole.mel is not None
    rows = rows_of(whole)
    valid = torch.ones(1, 350)
    bands = even(paired(at_halves(whole.mel, 0, 700)).mean(1), valid[0])
    told = net(paired(rows)[None], valid, torch.zeros(1, dtype=torch.int64), bands[None])
    torch.testing.assert_close(all_of(net, iter([whole])), net.as_expression(told)[0], atol=2e-5, rtol=1e-4)


def test_a_stream_waits_for_no_more_than_its_look_ahead() -> None:
    net, heard, given = living(), 0, 0
    ahead = net.config.tile + net.config.halo + SLIDING + 2

    def blocks() -> Iterator[Heard]:
        nonlocal heard
        for block in in_blocks(sound(6000), (100,)):
            assert heard // 2 - given <= ahead + net.config.tile
            heard += len(block.speech)
            yield block

    for rows in listen(net, blocks()):
        given += len(rows)
        assert heard // 2 - given <= ahead + net.config.tile
    assert given == 3000


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 10])
def test_the_shortest_sounds_have_a_row_for_every_two(rows: int) -> None:
    found = list(listen(living(), iter([sound(rows)] if rows else [])))
    assert sum(map(len, found)) == math.ceil(rows / 2)


def test_weights_that_read_log_mel_say_so_when_there_is_none() -> None:
    with pytest.raises(ValueError, match="log-mel"):
        list(listen(living(), iter([sound(50)._replace(mel=None)])))


def test_a_row_hears_nothing_beyond_its_context() -> None:
    net = living(mel=False)
    first = sound(800)
    changed = first._replace(speech=first.speech.clone())
    changed.speech[400:] = changed.speech[400:].flip(0)
    one, other = (all_of(net, iter([x])) for x in (first, changed))
    assert torch.equal(one[: 200 - net.config.halo], other[: 200 - net.config.halo])
    assert not torch.equal(one[200 - net.config.halo : 200], other[200 - net.config.halo : 200])


def test_hours_are_like_seconds() -> None:
    net = living(mel=False)
    speech = paired(torch.cat([sound(200).speech, torch.zeros(200, 2)], 1))[None]
    early, late = (
        net(speech, torch.ones(1, 100), torch.tensor([at * net.config.period])) for at in (0, 1000)
    )
    assert torch.equal(early, late)


def test_only_the_mouth_is_spoken_for() -> None:
    net = living()
    net.mean.fill_(1.0)
    still = builtin().coefficients_of(("lids", "brows", "gaze"))
    found = all_of(net, iter([sound(100)]))
    assert (found[:, still] == 0).all()
    assert (found[:, builtin().coefficients_of(("jaw", "lips"))] != 0).any()


def test_log_mel_is_read_where_rows_of_speech_are() -> None:
    ramp = torch.arange(161.0)[:, None].expand(-1, BANDS)
    torch.testing.assert_close(at_halves(ramp, 0, 100)[:, 0], (torch.arange(100) + 0.5) * 1.6)
    torch.testing.assert_close(at_halves(ramp[10:], 20, 5, 10)[:, 0], (torch.arange(20, 25) + 0.5) * 1.6)


def test_evened_log_mel_knows_no_level() -> None:
    mel, valid = torch.randn(400, BANDS, generator=torch.Generator().manual_seed(0)), torch.ones(400)
    torch.testing.assert_close(even(mel + 7, valid), even(mel, valid), atol=1e-4, rtol=1e-4)
    assert even(torch.full((400, BANDS), 3.0), valid).abs().max() < 1e-5


def test_likeness_is_the_mean_cosine_of_different_slots() -> None:
    torch.manual_seed(0)
    memory = ImplicitMemory(7, 5)
    wanted = 0.0
    for rows in (memory.keys, memory.values):
        unit = torch.nn.functional.normalize(rows, dim=-1)
        alike = unit @ unit.T
        wanted += float((alike.sum() - alike.trace()).detach() / (7 * 6))
    assert float(memory.likeness().detach()) == pytest.approx(wanted, abs=1e-6)


def test_entropy_is_one_where_all_slots_are_used_alike_and_none_where_one_is() -> None:
    torch.manual_seed(0)
    memory, query = ImplicitMemory(50, 8), torch.randn(1, 4, 8)
    with torch.no_grad():
        memory.keys[:] = memory.keys[0]
        assert float(memory.entropy(query)) == pytest.approx(1.0, abs=1e-5)
        memory.keys[:] = 0
        memory.keys[3] = 1e4 * torch.linalg.lstsq(memory.answer.weight, memory.ask(query[0, :1]).T).solution.T
        assert float(memory.entropy(query[:, :1])) < 0.01
    assert memory.attention(query).shape == (1, 4, 50)


def test_without_memory_there_are_as_many_parameters() -> None:
    config = ExpressionConfig()
    with_, without = (
        sum(p.numel() for p in new_expression(one).parameters()) for one in (config, config.without_memory())
    )
    assert without == pytest.approx(with_, rel=0.01)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_configuration_survives_being_written(preset: str) -> None:
    import json

    config = ExpressionConfig.preset(preset)
    assert ExpressionConfig.from_dict(json.loads(json.dumps(config.as_dict()))) == config
    with pytest.raises(ValueError, match="colour"):
        ExpressionConfig.from_dict({"colour": 1})


# Training ---------------------------------------------------------------------------------------------------


def bundle_of(
    folder: Path,
    config: ExpressionConfig,
    *,
    people: int = 0,
    rows: int = 300,
    lead: int = 0,
    symbol: int = 2,
) -> Bundle:
    """Mouths that follow a symbol, `lead` half rows after it; for as many people as told."""
    chance = np.random.default_rng(5)
    count = rows * max(people, 1)
    speech = np.zeros((count, 2, 31), np.float32)
    wave = np.convolve(chance.normal(size=2 * count), np.ones(5) / 2, "same")
    speech[..., :29] = -4
    speech[..., symbol] = -4 + 2 * wave.reshape(count, 2)
    speech[..., 29], speech[..., 30] = -25, 1
    expression = np.zeros((count, 64), np.float32)
    expression[:, 0] = 0.5 * np.roll(wave, -lead).reshape(count, 2).mean(1) + 0.3
    parts = max(people, 1)
    segments = [
        Segment("clip", k * rows, (k + 1) * rows, 25.0, TRAIN if k < parts - 1 or parts == 1 else HELD_OUT)
        for k in range(parts)
    ]
    if parts == 1:
        cut = int(0.8 * rows)
        segments = [Segment("clip", 0, cut, 25.0, TRAIN), Segment("clip", cut, rows, 25.0, HELD_OUT)]
    arrays = {
        "speech": speech,
        "expression": expression,
        "trust": np.ones(count, np.float32),
        "identity": np.zeros(80, np.float32),
    }
    if people:
        arrays["speaker"] = np.repeat(np.arange(people), rows).astype(np.int32)
    about = About("memface", "expression", "smoke", config.as_dict(), 4, {}, segments)
    return Bundle(write_bundle(folder / "b.safetensors", about, arrays))


def trained(bundle: Bundle, config: ExpressionConfig, folder: Path, limit: float | None = None) -> Trained:
    return train(ExpressionTrainee(config, bundle), folder, "same", place=HERE, limit_seconds=limit)


def test_memory_and_the_rest_learn_in_turn(tmp_path: Path) -> None:
    config = replace(SMOKE, steps=8)
    trainee = ExpressionTrainee(config, bundle_of(tmp_path, config, people=3))
    names = [[turn.name for turn in trainee.turns(step)] for step in range(8)]
    assert names == [["memory"], ["rest"], ["memory"], ["rest"], ["all"], ["all"], ["all"], ["all"]]
    owned = {
        name: {id(p) for g in o.param_groups for p in g["params"]} for name, o in trainee.optimisers().items()
    }
    assert trainee.net.memory is not None
    assert owned["memory"] == {id(p) for p in trainee.net.memory.parameters()}
    assert owned["rest"] == {id(p) for p in trainee.net.parameters()} - owned["memory"]


@pytest.mark.parametrize("steps", [1, 3])
def test_who_is_not_at_turn_stands_still(tmp_path: Path, steps: int) -> None:
    config = replace(SMOKE, steps=steps, alternating=1.0)
    bundle = bundle_of(tmp_path, config, people=3)
    states = []
    for count in (steps, steps - 1):
        trainee = ExpressionTrainee(replace(config, steps=1000, alternating=1.0), bundle)
        # The engine's own way through the first steps of a longer course.
        trainee.plan = replace(
            trainee.plan, averaged_steps=0.0, evaluate_every=1000, warm_up=0.0, save_seconds=0
        )
        limited = cast(Trainee, _Stops(trainee, count))
        with pytest.raises(ValueError, match="enough"):
            train(limited, tmp_path / f"{count}", "same", place=HERE)
        states.append({name: value.clone() for name, value in trainee.net.state_dict().items()})
    moved = {name for name in states[0] if not torch.equal(states[0][name], states[1][name])}
    assert moved
    # Step 1 is memory's, step 3 too: momentum of the rest, gathered at step 2, must not show.
    assert all(name.startswith("memory.") for name in moved)


class _Stops:
    """A trainee that gives no more than so many batches."""

    def __init__(self, trainee: ExpressionTrainee, count: int) -> None:
        self._trainee, self._count = trainee, count

    def __getattr__(self, name: str) -> object:
        return getattr(self._trainee, name)

    def batch(self, step: int, draw: torch.Generator) -> dict[str, Tensor]:
        if step >= self._count:
            raise ValueError("enough")
        return self._trainee.batch(step, draw)


def test_a_training_that_was_paused_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    config = replace(SMOKE, steps=7)
    bundle = bundle_of(tmp_path, config, people=3)
    whole = trained(bundle, config, tmp_path / "whole")
    pauses = 0
    while True:
        try:
            parted = trained(bundle, config, tmp_path / "parted", limit=0.0)
            break
        except Paused:
            pauses += 1
    assert pauses == 6
    assert whole.best.judged == parted.best.judged
    for name, value in whole.best.tensors.items():
        assert torch.equal(value, parted.best.tensors[name]), name


QUICK = replace(SMOKE, steps=120, rate=3e-3, dropout=0.0, hush=0.0, batch=8, temper=0.0)


@pytest.fixture(scope="module")
def general(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("general")
    return trained(bundle_of(folder, QUICK, people=4), QUICK, folder / "w")


def test_general_training_learns_what_it_is_shown(general: Trained) -> None:
    assert general.best.judged["opening_correlation"] > 0.9
    assert 0.5 < general.best.judged["slots_entropy"] <= 1.0


@pytest.mark.parametrize("lead", [2, -2])
def test_adaptation_finds_how_far_lips_run_ahead(tmp_path: Path, general: Trained, lead: int) -> None:
    own = ExpressionTrainee(QUICK, bundle_of(tmp_path, QUICK, rows=600, lead=lead), general.best.tensors)
    assert int(own.net.lead) == lead
    assert len(own.net.moments) == 480
    assert not own.net.reads_mel
    with torch.no_grad():
        own.net.eval()
        assert own.judge()["opening_correlation"] > 0.95


def test_moments_say_what_the_general_network_leaves(tmp_path: Path, general: Trained) -> None:
    """Lips that follow a symbol of which the general network knows nothing, held-out rows."""
    bundle = bundle_of(tmp_path, QUICK, rows=900, symbol=7)
    own = ExpressionTrainee(QUICK, bundle, general.best.tensors)
    own.net.eval()
    with torch.no_grad():
        told = own.judge()["opening_correlation"]
        own.net.moments.values.zero_()
        own.adapted = None
        assert told > own.judge()["opening_correlation"] + 0.25


def test_what_sounds_like_no_moment_is_left_to_the_general_network() -> None:
    net = living(mel=False)
    strange = rows_of(sound(100, 3))
    strange[:, :29] = -8.0
    strange[:, 5] = 0.0
    strange[:, 29] = -100.0
    told = (paired(strange)[None], torch.ones(1, 50), torch.zeros(1, dtype=torch.int64))
    torch.testing.assert_close(net(*told), net.general(*told) * net.chosen, atol=0.05, rtol=0)


def test_fewer_moments_than_rows_still_hear_all_rows(
    tmp_path: Path, general: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = bundle_of(tmp_path, QUICK, rows=900, symbol=7)
    told = []
    for most in (3000, 300):
        monkeypatch.setattr("models.memface.adaptation._MOST_MOMENTS", most)
        own = ExpressionTrainee(QUICK, bundle, general.best.tensors)
        own.net.eval()
        assert len(own.net.moments) == min(most, 720)
        with torch.no_grad():
            told.append(own.judge()["opening_correlation"])
    assert told[1] > 0.8 * told[0]


def test_an_adapted_network_is_loaded_as_it_was_saved(tmp_path: Path, general: Trained) -> None:
    own = ExpressionTrainee(QUICK, bundle_of(tmp_path, QUICK), general.best.tensors).net.eval()
    tensors = {f"{NETWORK}/{name}": value for name, value in own.state_dict().items()}
    again = load_expression(QUICK, tensors)
    assert torch.equal(all_of(again, iter([sound(200)])), all_of(own, iter([sound(200)])))


def test_general_weights_take_over_a_persons_statistics() -> None:
    net, mean = living(mel=False), torch.linspace(-1, 1, 64)
    before = net.scale.clone()
    used_to(net, mean, before * torch.linspace(0.1, 5, 64))
    assert torch.equal(net.mean, mean)
    assert float((net.scale / before).min()) == pytest.approx(0.5)
    assert float((net.scale / before).max()) == pytest.approx(2.0)
    assert net.lead == 2


def test_a_batch_depends_on_its_draw_alone(tmp_path: Path) -> None:
    trainee = ExpressionTrainee(SMOKE, bundle_of(tmp_path, SMOKE, people=3))
    one, same, other = (trainee.batch(9, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["speech"], other["speech"])


def test_windows_count_no_row_of_another_run(tmp_path: Path) -> None:
    trainee = ExpressionTrainee(
        replace(SMOKE, hush=0.0, window=80), bundle_of(tmp_path, SMOKE, people=9, rows=50)
    )
    for seed in range(20):
        batch = trainee.batch(0, torch.Generator().manual_seed(seed))
        assert (batch["weight"].sum(1) == 50).all()
        assert (batch["valid"].sum(1) == 50).all()


def test_a_lead_reads_half_rows_later() -> None:
    net, later = living(mel=False), living(mel=False, lead=2)
    rows = torch.cat([sound(200).speech, torch.zeros(200, 2)], 1)
    told = [torch.ones(1, 100), torch.zeros(1, dtype=torch.int64)]
    moved = net.queries(paired(rows[2:])[None], told[0][:, :99], told[1])
    torch.testing.assert_close(later.queries(paired(rows)[None], *told)[:, :90], moved[:, :90])


def bundled() -> ExpressionNet:
    from storage.weights import Registry, open_safetensors

    content = open_safetensors(Registry().find("memface_expression").path)
    tensors = {name: torch.from_numpy(np.array(value)) for name, value in content.arrays.items()}
    return load_expression(
        ExpressionConfig(),
        {
            f"{NETWORK}/{k.removeprefix(NETWORK + '/')}": v.float() if v.is_floating_point() else v
            for k, v in tensors.items()
        },
    )


def test_silence_closes_the_lips_and_an_open_vowel_parts_them() -> None:
    import librosa

    from models.puppet.phonetics import SILENCE
    from tasks.audio import features_of, find_backend
    from tasks.film import Script, rehearse

    speech, performance, _ = rehearse(
        Script(3, "Bob, open the garage: far apart, father, far away.", lead_s=2.0)
    )
    heard = features_of(
        [librosa.resample(speech.samples, orig_sr=speech.rate, target_sr=16000)], find_backend("embedded")
    )
    rows = [torch.from_numpy(x) for x in (heard.deepspeech, heard.loudness, heard.voice)]
    gap = all_of(bundled(), iter([Heard(*rows)])) @ opening_of(builtin())
    silent = gap[5:45]
    assert silent.std() < 0.4
    assert float(gap[55:].max() - silent.mean()) > 6.0
    assert float(silent.mean() - gap.min()) < 1.5
    wanted = performance.expressions[: len(gap), 0]
    assert np.corrcoef(gap[: len(wanted)].numpy(), wanted)[0, 1] > 0.7
    assert SILENCE in performance.phonemes
