"""Sampling: greedy answers are transformers' own, sampled ones the inverse CDF at the given numbers, whatever the batch."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import Qwen3ForCausalLM

from bench.training.bases.micro import Recipe, config
from bench.training.sampling import GREEDY, Completions, cache_argument, generate, greedy, left_pad, pick, texts, uniforms
from tasks.micro.vocabulary import TOKENS, build_tokenizer

PAD, END = TOKENS.index("<pad>"), TOKENS.index("<end>")
LIMIT = 12
JUST_UNDER_1 = float(np.nextafter(np.float32(1), np.float32(0)))


@pytest.fixture(scope="module")
def model() -> Qwen3ForCausalLM:
    """A tiny random model, its weights scaled up (at the usual scale it is all but blind to its context), that ends an answer
    now and then: the end token's embedding leans towards the mean hidden state."""
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(config(Recipe(hidden=64, layers=2, heads=2, intermediate=128))).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(6 if parameter.ndim == 2 else 1)
        states = model.model(torch.randint(2, len(TOKENS), (64, 12))).last_hidden_state
        model.model.embed_tokens.weight[END] += 0.6 * states.mean((0, 1))
    return model


@pytest.fixture(scope="module")
def prompts() -> list[list[int]]:
    draw = torch.Generator().manual_seed(1)
    return [torch.randint(2, len(TOKENS), (3 + place % 7,), generator=draw).tolist() for place in range(24)]


def answers(done: Completions) -> list[list[int]]:
    return [row[:length].tolist() for row, length in zip(done.tokens, done.lengths, strict=True)]


# --- uniform numbers and the choice of a token ------------------------------------------------------------------------------------


def test_uniforms_are_a_pure_function_of_their_key() -> None:
    first = uniforms(300, 40, "rollout", 0, "math", 3)
    assert first.shape == (300, 40) and first.dtype == torch.float32
    assert 0 <= first.min() < 0.001 and 0.999 < first.max() < 1
    assert first.mean().item() == pytest.approx(0.5, abs=0.01)
    torch.manual_seed(5)
    assert torch.equal(first, uniforms(300, 40, "rollout", 0, "math", 3))
    for key in (("rollout", 1, "math", 3), ("rollout", 0, "math", 4), ("rollout", 0, "qa", 3), ("own", 0, "math", 3)):
        other = uniforms(300, 40, *key)
        assert (other == first).float().mean() < 0.001


def test_more_rows_keep_the_numbers_of_the_first() -> None:
    assert torch.equal(uniforms(3, 8, "a"), uniforms(7, 8, "a")[:3])


@pytest.mark.parametrize(
    ("draw", "token"),
    # Probabilities 0, 1/2, 1/8, 0, 3/8, 0 have the cumulative sums 0, 1/2, 5/8, 5/8, 1, 1.
    [(0.0, 1), (0.25, 1), (0.4999, 1), (0.5, 2), (0.6249, 2), (0.625, 4), (0.99, 4), (JUST_UNDER_1, 4), (GREEDY, 1)],
)
def test_pick_inverts_the_cumulative_distribution(draw: float, token: int) -> None:
    logits = torch.log(torch.tensor([[0.0, 0.5, 0.125, 0.0, 0.375, 0.0]])) + 3.0
    assert pick(logits, torch.tensor([draw])).tolist() == [token]


def test_pick_mixes_greedy_and_sampled_rows() -> None:
    logits = torch.log(torch.tensor([0.3, 0.6, 0.1])).repeat(3, 1)
    assert pick(logits, torch.tensor([0.95, GREEDY, 0.0])).tolist() == [2, 1, 0]


def test_pick_never_leaves_what_can_be() -> None:
    """Rounding puts the last cumulative sum a little beside 1: for some sizes it is below the largest number that can be drawn."""
    for size in range(2, 600):
        logits = torch.zeros(1, size + 2)
        logits[0, [0, -1]] = -torch.inf
        assert pick(logits, torch.tensor([JUST_UNDER_1])).tolist() == [size]
        assert pick(logits, torch.tensor([0.0])).tolist() == [1]


def test_pick_samples_the_softmax() -> None:
    logits = torch.randn(1, 10, generator=torch.Generator().manual_seed(0))
    chosen = pick(logits.expand(20_000, -1), uniforms(20_000, 1, "softmax").squeeze(1))
    shares = torch.bincount(chosen, minlength=10) / 20_000
    torch.testing.assert_close(shares, logits.softmax(-1)[0], atol=0.015, rtol=0)


def test_left_pad() -> None:
    ids, mask = left_pad([[5, 6, 7], [8]], pad=0)
    assert ids.tolist() == [[5, 6, 7], [0, 0, 8]] and mask.tolist() == [[1, 1, 1], [0, 0, 1]]
    assert ids.dtype == mask.dtype == torch.int64


# --- whole answers ----------------------------------------------------------------------------------------------------------------


def test_greedy_answers_are_those_of_transformers(model: Qwen3ForCausalLM, prompts: list[list[int]]) -> None:
    ids, mask = left_pad(prompts, PAD)
    theirs = model.generate(input_ids=ids, attention_mask=mask, do_sample=False, max_new_tokens=LIMIT, eos_token_id=END, pad_token_id=PAD)[
        :, ids.shape[1] :
    ]
    ours = generate(model, prompts, greedy(len(prompts), LIMIT), ends=[END], pad=PAD)
    assert torch.equal(ours.tokens[:, : theirs.shape[1]], theirs)
    assert (ours.tokens[:, theirs.shape[1] :] == PAD).all()
    # Long and short answers, so that rows are dropped on the way, and answers that are cut.
    assert 3 <= ours.ended.sum() <= 21 and len(set(ours.lengths.tolist())) >= 4


def test_sampled_answers_invert_the_models_own_distribution(model: Qwen3ForCausalLM, prompts: list[list[int]]) -> None:
    """Token by token, each prompt alone, without cache or padding, against a cumulative sum in double precision."""
    draws = uniforms(len(prompts), LIMIT, "sampled")
    for row, answer in enumerate(answers(generate(model, prompts, draws, ends=[END], pad=PAD))):
        with torch.no_grad():
            logits = model(torch.tensor([prompts[row] + answer])).logits[0, len(prompts[row]) - 1 : -1]
        cdf = logits.double().softmax(-1).cumsum(-1)
        for place, token in enumerate(answer):
            below = cdf[place, token - 1] if token else 0.0
            assert below - 1e-5 <= draws[row, place] <= cdf[place, token] + 1e-5


def test_lengths_ended_and_padding_agree(model: Qwen3ForCausalLM, prompts: list[list[int]]) -> None:
    done = generate(model, prompts, uniforms(len(prompts) * 4, LIMIT, "long"), ends=[END], pad=PAD)
    assert done.tokens.shape == (96, LIMIT) and done.lengths.shape == done.ended.shape == (96,)
    assert done.ended.any() and not done.ended.all()
    for tokens, length, ended in zip(done.tokens.tolist(), done.lengths.tolist(), done.ended.tolist(), strict=True):
        assert ended == (END in tokens)
        assert length == (tokens.index(END) + 1 if ended else LIMIT)
        assert all(token == PAD for token in tokens[length:])


def test_an_end_token_in_the_last_place_ends_the_answer(model: Qwen3ForCausalLM, prompts: list[list[int]]) -> None:
    draws = uniforms(len(prompts) * 4, LIMIT, "long")
    whole = generate(model, prompts, draws, ends=[END], pad=PAD)
    row = next(row for row in range(96) if whole.ended[row] and whole.lengths[row] > 1)
    length = int(whole.lengths[row])
    exact = generate(model, prompts, draws[:, :length], ends=[END], pad=PAD)
    assert exact.ended[row] and exact.lengths[row] == length
    short = generate(model, prompts, draws[:, : length - 1], ends=[END], pad=PAD)
    assert not short.ended[row] and short.lengths[row] == length - 1


def test_the_end_token_may_be_the_pad_token(model: Qwen3ForCausalLM, prompts: list[list[int]]) -> None:
    draws = uniforms(len(prompts), LIMIT, "pad")
    one, other = (generate(model, prompts, draws, ends=[END], pad=pad) for pad in (PAD, END))
    assert answers(one) == answers(other)
    assert torch.equal(one.lengths, other.lengths) and torch.equal(one.ended, other.ended)


def test_answers_do_not_depend_on_order_or_batch(model: Qwen3ForCausalLM, prompts: list[list[int]]) -> None:
    draws = uniforms(len(prompts), LIMIT, "order")
    draws[::3] = GREEDY
    together = answers(generate(model, prompts, draws, ends=[END], pad=PAD))
    order = torch.randperm(len(prompts), generator=torch.Generator().manual_seed(2)).tolist()
    permuted = answers(generate(model, [prompts[place] for place in order], draws[order], ends=[END], pad=PAD))
    assert permuted == [together[place] for place in order]
    for size in (1, 5):
        starts = range(0, len(prompts), size)
        apart = [generate(model, prompts[s : s + size], draws[s : s + size], ends=[END], pad=PAD) for s in starts]
        assert [answer for done in apart for answer in answers(done)] == together


def test_greedy_and_sampled_rows_mix(model: Qwen3ForCausalLM, prompts: list[list[int]]) -> None:
    sampled, likely = uniforms(len(prompts), LIMIT, "mix"), greedy(len(prompts), LIMIT)
    even = (torch.arange(len(prompts)) % 2 == 0).unsqueeze(1)
    mixed = answers(generate(model, prompts, torch.where(even, likely, sampled), ends=[END], pad=PAD))
    expected = [answers(generate(model, prompts, draws, ends=[END], pad=PAD)) for draws in (likely, sampled)]
    assert expected[0] != expected[1]
    assert mixed == [expected[row % 2][row] for row in range(len(prompts))]


def test_a_group_is_its_prompt_repeated(model: Qwen3ForCausalLM, prompts: list[list[int]]) -> None:
    draws = uniforms(len(prompts) * 3, LIMIT, "group")
    group = generate(model, prompts, draws, ends=[END], pad=PAD)
    repeated = generate(model, [prompt for prompt in prompts for _ in range(3)], draws, ends=[END], pad=PAD)
    assert torch.equal(group.tokens, repeated.tokens) and torch.equal(group.lengths, repeated.lengths)
    assert group.tokens[0].tolist() != group.tokens[1].tolist()


@pytest.mark.parametrize("at_once", [1, 5, 9, 100])
def test_answers_are_the_same_however_many_are_written_at_once(model: Qwen3ForCausalLM, prompts: list[list[int]], at_once: int) -> None:
    draws = uniforms(len(prompts) * 3, LIMIT, "at once")
    whole = generate(model, prompts, draws, ends=[END], pad=PAD)
    parts = generate(model, prompts, draws, ends=[END], pad=PAD, at_once=at_once)
    assert torch.equal(whole.tokens, parts.tokens)
    assert torch.equal(whole.lengths, parts.lengths)
    assert torch.equal(whole.ended, parts.ended)


class Older(Qwen3ForCausalLM):
    """A model as older transformers have it: its cache is called `past_key_values`."""

    def forward(self, input_ids, attention_mask=None, position_ids=None, past_key_values=None, use_cache=None, logits_to_keep=0):
        more = {"position_ids": position_ids, "use_cache": use_cache, "logits_to_keep": logits_to_keep}
        return super().forward(input_ids, attention_mask, **more, **{cache_argument(super()): past_key_values})


def test_older_transformers_give_the_same_answers(model: Qwen3ForCausalLM, prompts: list[list[int]]) -> None:
    older = copy.deepcopy(model)
    older.__class__ = Older
    assert cache_argument(older) == "past_key_values"
    draws = uniforms(len(prompts) * 3, LIMIT, "older")
    one, other = (generate(each, prompts, draws, ends=[END], pad=PAD) for each in (model, older))
    assert torch.equal(one.tokens, other.tokens)


def test_adapters_take_their_models_cache(model: Qwen3ForCausalLM) -> None:
    adapted = get_peft_model(copy.deepcopy(model), LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM"))
    assert cache_argument(adapted) == cache_argument(model)


def test_draws_must_divide_into_groups(model: Qwen3ForCausalLM, prompts: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="7 rows of draws do not divide into 3 prompts"):
        generate(model, prompts[:3], greedy(7, LIMIT), ends=[END], pad=PAD)


def test_the_model_is_left_as_found(model: Qwen3ForCausalLM, prompts: list[list[int]]) -> None:
    before = copy.deepcopy(model.state_dict())
    model.train()
    generate(model, prompts[:2], greedy(2, LIMIT), ends=[END], pad=PAD)
    assert model.training
    model.eval()
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_texts_end_at_the_end_token_and_keep_any_other_special_one() -> None:
    tokenizer = build_tokenizer()
    four, one = tokenizer.convert_tokens_to_ids(["4", "1"])
    pad, end = tokenizer.pad_token_id, tokenizer.eos_token_id
    tokens = torch.tensor([[four, one, end, pad], [four, pad, one, end], [four, one, four, one], [end, pad, pad, pad]])
    done = Completions(tokens, torch.tensor([3, 4, 4, 1]), torch.tensor([True, True, False, True]))
    assert texts(tokenizer, done) == ["41", "4<pad>1", "4141", ""]
