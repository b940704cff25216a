"""Any HF causal LM goes the whole way: a folder in bf16 and shards, a chat template, a sequence, a repair, scores, a report."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, AutoTokenizer

from baselines.l2 import Pull
from bench.checkpoint import Checkpoint
from bench.errors import UserError
from bench.method import Rollout, Training
from bench.report.content import collect, content
from bench.runs.execute import execute
from bench.runs.plan import plan
from bench.spec import RunSpec
from bench.storage.cache import Cache
from bench.suite import load_suite
from bench.training.prompting import Dialogue
from bench.weights import WeightFiles
from bench.worker.importing import import_checkpoints
from bench.worker.workbench import Workbench


@dataclass(frozen=True)
class FirstOfEach:
    """Advantages that move a random model, whose rewards are all 0."""

    def __call__(self, rollout: Rollout) -> torch.Tensor:
        count = rollout.rewards.shape[1]
        return torch.tensor([1.0] + [-1 / (count - 1)] * (count - 1)).repeat(len(rollout.domains))


@pytest.fixture(scope="module")
def runs(chat_model: Path, chat_suite: Path, tmp_path_factory: pytest.TempPathFactory):
    """Refresh and rollback on math and qa, and where they lie."""
    out = tmp_path_factory.mktemp("runs")
    where = {"suite": str(chat_suite), "model": str(chat_model), "sequence": "math-qa", "device": "cpu"}
    methods = [("none", {}), ("refresh", {"steps": 1}), ("rollback", {"prompts": 2})]
    specs = [RunSpec(**where, method=method, settings=settings) for method, settings in methods]
    return execute([plan(spec) for spec in specs], out=out / "runs", cache=out / "cache", jobs=1, display=False), out


def test_the_manifest_names_the_model(runs, chat_model: Path) -> None:
    done, _ = runs
    for run in done:
        assert run.manifest.model.name == str(chat_model)
        assert run.manifest.model.content == run.manifest.checkpoints["baseline-0-base"]
        assert run.name.startswith("chat-Tiny-Qwen3-math-qa-single-")
    assert len({run.manifest.model.content for run in done}) == 1


def test_the_base_is_kept_as_it_came_and_stages_are_fp32(runs, chat_model: Path) -> None:
    done, out = runs
    store = Cache(out / "cache").store.folder
    base, last = (Checkpoint(store / done[1].manifest.checkpoints[row]) for row in ("baseline-0-base", "baseline-2-qa"))
    name = "model.layers.0.self_attn.q_proj.weight"
    assert WeightFiles(base.folder).dtype(name) == torch.bfloat16
    assert WeightFiles(last.folder).dtype(name) == torch.float32
    original = AutoModelForCausalLM.from_pretrained(chat_model, dtype=torch.float32).state_dict()
    assert all(torch.equal(tensor, original[name]) for name, tensor in base.items())


@pytest.mark.parametrize("row", ["baseline-0-base", "baseline-1-math", "repaired"])
def test_every_checkpoint_is_an_ordinary_folder(runs, row: str) -> None:
    done, out = runs
    folder = Cache(out / "cache").store.folder / done[1].manifest.checkpoints[row]
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert model.dtype == (torch.bfloat16 if row == "baseline-0-base" else torch.float32)
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": "1+1="}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    assert model.generate(**ids, max_new_tokens=2).shape[1] > ids["input_ids"].shape[1]


def test_costs_are_shares_of_the_runs_own_plain_stages(runs) -> None:
    done, _ = runs
    costs = {run.manifest.method.name: run.manifest.cost for run in done}
    assert costs["none"].total == 1.0
    assert 0 < costs["refresh"].repair < 1
    assert 0 < costs["rollback"].repair < 1


def test_the_board_names_the_model(runs) -> None:
    _, out = runs
    (board,) = content(*collect([out / "runs"])).boards
    assert board.title.startswith("chat/3 Tiny-Qwen3 · math-qa")


def test_cut_prompts_are_reported(runs, chat_model: Path, chat_suite: Path) -> None:
    done, out = runs
    suite = load_suite(str(chat_suite))
    counts = {}
    for domain in ("math", "qa"):
        dialogue = Dialogue.of(chat_model, suite.prompting)
        dialogue.encode([item.prompt for item in suite.items(domain, "test")])
        counts[domain] = dialogue.cut
    cut = {domain: count for domain, count in counts.items() if count}
    assert cut, "the fixture's limit cuts none: lower it"
    assert all(run.manifest.cut == cut for run in done)
    (board,) = content(*collect([out / "runs"])).boards
    for domain, count in cut.items():
        assert f"{count} test prompts of {domain} exceeded the suite's limit and lost their beginning" in board.warnings


def test_cut_prompts_are_counted(chat_model: Path, chat_suite: Path, tmp_path: Path) -> None:
    content = yaml.safe_load(chat_suite.read_text())
    short = tmp_path / "short.yaml"
    short.write_text(yaml.safe_dump(content | {"prompting": {"chat": "plain", "prompt_tokens": 40}}))
    bench = Workbench(load_suite(str(short)), Cache(tmp_path / "cache"), model=str(chat_model))
    assert bench.answers(bench.base, "code", "validation").value["cut"] == 4
    whole = Workbench(load_suite(str(chat_suite)), Cache(tmp_path / "cache"), model=str(chat_model))
    assert whole.answers(whole.base, "qa", "validation").value["cut"] <= 4


@pytest.mark.parametrize("rl", [{"gradient_checkpointing": True}, {"lora": {"rank": 2, "alpha": 4.0}}], ids=["checkpointing", "adapters"])
def test_the_suites_way_to_train_is_taken(chat_model: Path, chat_suite: Path, tmp_path: Path, rl: dict) -> None:
    content = yaml.safe_load(chat_suite.read_text())
    benches = {}
    for name, more in (("baseline", {}), ("other", rl)):
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(content | {"rl": content["rl"] | more}))
        benches[name] = Workbench(load_suite(str(path)), Cache(tmp_path / "cache"), model=str(chat_model))
    entries = {name: bench.train(bench.base, Training.on("cw", advantages=FirstOfEach()), seed=100) for name, bench in benches.items()}
    ends = {name: benches[name].cache.checkpoint(entry.value["checkpoint"]) for name, entry in entries.items()}
    base = benches["baseline"].base
    moved = {name: max((own - before).abs().max().item() for _, own, before in end.pieces(base)) for name, end in ends.items()}
    assert moved["other"] > 0
    if "lora" in rl:
        same = ends["other"].tensor("model.embed_tokens.weight") - base.tensor("model.embed_tokens.weight")
        assert same.abs().max() == 0, "adapters move the linear layers inside the blocks alone"
        assert entries["other"].flops == pytest.approx(entries["baseline"].flops, rel=0.2)
    else:
        gap = max((one - other).abs().max().item() for _, one, other in ends["baseline"].pieces(ends["other"]))
        assert gap < 1e-4 < moved["baseline"]


def test_a_training_that_is_not_metered_is_not_stored(chat_model: Path, chat_suite: Path, tmp_path: Path, monkeypatch) -> None:
    """As with a peft that calls the model past its hooks."""
    bench = Workbench(load_suite(str(chat_suite)), Cache(tmp_path / "cache"), model=str(chat_model))
    monkeypatch.setattr("bench.costs.Meter.watch", lambda self, model: model)
    with pytest.raises(UserError, match="metered no FLOPs, so it is not stored"):
        bench.train(bench.base, Training.on("cw"), seed=100)


def test_masks_and_penalties_do_not_go_with_adapters(chat_model: Path, chat_suite: Path, tmp_path: Path) -> None:
    content = yaml.safe_load(chat_suite.read_text())
    path = tmp_path / "adapters.yaml"
    path.write_text(yaml.safe_dump(content | {"rl": content["rl"] | {"lora": {"rank": 2, "alpha": 4.0}}}))
    bench = Workbench(load_suite(str(path)), Cache(tmp_path / "cache"), model=str(chat_model))
    for more in ({"penalty": Pull(1.0, bench.base, None)}, {"trainable": bench.base}):
        with pytest.raises(UserError, match="take lora out"):
            bench.train(bench.base, Training.on("cw", **more), seed=100)


def test_another_group_size_is_another_gradient(chat_model: Path, chat_suite: Path, tmp_path: Path) -> None:
    content = yaml.safe_load(chat_suite.read_text())
    found = set()
    for group in (2, 4):
        path = tmp_path / f"{group}.yaml"
        path.write_text(yaml.safe_dump(content | {"rl": content["rl"] | {"group": group}}))
        bench = Workbench(load_suite(str(path)), Cache(tmp_path / "cache"), model=str(chat_model))
        found.add(bench.gradient(bench.base, "cw", 8, seed=0).folder)
    assert len(found) == 2


def test_imported_stages_end_their_answers_as_the_base_does(chat_model: Path, chat_suite: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(chat_model, tmp_path / "stage"))
    settings = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps(settings | {"eos_token_id": settings["eos_token_id"][0]}))
    with pytest.raises(UserError, match="its answers end with tokens"):
        import_checkpoints(chat_model, [("math", chat_model), ("qa", folder)], suite=str(chat_suite), cache=tmp_path / "cache")


def test_imported_stages_are_priced_by_a_step_of_theirs(chat_model: Path, chat_suite: Path, tmp_path: Path) -> None:
    stages = [("math", chat_model), ("qa", chat_model)]
    spec = import_checkpoints(chat_model, stages, suite=str(chat_suite), cache=tmp_path / "cache")
    specs = [spec, spec.model_copy(update={"method": "rollback", "settings": {"prompts": 2}})]
    plain, repaired = execute([plan(each) for each in specs], out=tmp_path / "runs", cache=tmp_path / "cache", jobs=1, display=False)
    assert plain.manifest.cost.total == 1.0
    assert 0 < repaired.manifest.cost.repair < 1


def test_a_suite_without_a_base_asks_for_a_model(chat_suite: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="add --model"):
        plan(RunSpec(suite=str(chat_suite), device="cpu"))


def test_a_context_that_the_prompts_do_not_fit_stops_a_run_at_its_start(chat_model: Path, chat_suite: Path, tmp_path: Path) -> None:
    """A suite that cuts no prompt: how long they are is known once the tokenizer is loaded."""
    folder = Path(shutil.copytree(chat_model, tmp_path / "short"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 60}))
    content = yaml.safe_load(chat_suite.read_text())
    (tmp_path / "uncut.yaml").write_text(yaml.safe_dump(content | {"prompting": {"chat": "plain"}}))
    spec = RunSpec(suite=str(tmp_path / "uncut.yaml"), model=str(folder), sequence="math-qa", device="cpu")
    with pytest.raises(UserError, match=r"start failed: --model .*: its context window is 60 tokens; ") as error:
        execute([plan(spec)], out=tmp_path / "runs", cache=tmp_path / "cache", jobs=1, display=False)
    assert "\n" not in str(error.value)
