"""Sound to expression: streams as a whole would, hears no further than it says, closes its lips."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from models.memface.config_expression import PRESETS, ExpressionConfig
from models.memface.expression import NETWORK, load_expression, new_expression
from models.memface.listening import at_halves, listen, paired
from models.memface.losses_expression import opening_of
from models.memface.network_expression import BANDS, SLIDING, ExpressionNet, even
from models.memory.implicit import ImplicitMemory
from models.methods import Heard
from models.morphable.builtin import builtin
from tests.helpers.expressions import all_of, in_blocks, living, rows_of, sound


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
