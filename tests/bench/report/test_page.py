"""The report: every form says the same numbers, and the page is readable, safe and needs nothing beside itself.

Run folders are built by hand: scores are drawn item by item from given rates, and nothing is trained.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.errors import UserError
from bench.report import figures, text
from bench.report.content import check_planned, collect, content
from bench.report.page import page, write_report
from bench.report.svg import PALETTE, drawn
from bench.report.words import shown
from bench.results.run import load_run
from bench.suite import DECODINGS

ORDER = ("code", "math", "qa", "cw")
PLAIN = np.array([[20, 40, 50, 50], [70, 41, 55, 50], [68, 90, 60, 49], [66, 85, 95, 50], [60, 60, 94, 80]]) / 100
ITEMS = 120
NASTY = "<script>document.title='broken'</script>|&"


def build_run(
    out: Path,
    method: str = "none",
    end: list[float] | None = None,
    *,
    seed: int = 0,
    sampled_end: list[float] | None = None,
    settings: dict[str, Any] | None = None,
    track: str = "light",
    total: float = 1.0,
    access: dict[str, Any] | None = None,
    null: str = "",
    baseline: np.ndarray = PLAIN,
    targets: str = "single",
    quick: bool = False,
    own_stages: bool = False,
    order: tuple[str, ...] = ORDER,
    sequence: str = "paper",
) -> Path:
    """A run folder whose scores have the rates of `plain` and `end` (per domain, in [0, 1]; None: no repair)."""
    kind = f"null-after-{null}" if null else "-".join([method, *(f"{k}={v}" for k, v in (settings or {}).items())])
    folder = out / f"micro-{sequence}-{targets}-{kind}-s{seed}"
    names = ["baseline-0-base", *(f"baseline-{i}-{d}" for i, d in enumerate(order, 1))]
    stages = [names[0], *(f"method-{i}-{d}" for i, d in enumerate(order, 1))] if own_stages else names
    ends = ["repaired"] if end is not None and not own_stages else [stages[-1]]
    rows = {"baseline": names, "method": stages, "final": ends}
    rates = {name: {d: dict.fromkeys(DECODINGS, baseline[i, k]) for k, d in enumerate(ORDER)} for i, name in enumerate(names)}
    if own_stages:
        rates |= {name: rates[names[i]] for i, name in enumerate(stages)}
    if end is not None:
        rates[ends[0]] = {d: {"greedy": end[k], "sampled": (sampled_end or end)[k]} for k, d in enumerate(ORDER)}
    means = {name: _answers(folder, name, rates[name], seed, order) for name in rates}
    matrix = {d: {part: [means[name][d] for name in part_names] for part, part_names in rows.items()} for d in DECODINGS}
    _json(folder / "matrix.json", matrix | {"sequence": order, "rows": rows})
    _json(folder / "metrics.json", {})
    for name in {*names[1:], *stages[1:]}:
        _training(folder / "training" / f"{name}.jsonl", name.partition("-")[2].partition("-")[2], seed)
    spec = {"device": "cpu", "imported": [], "imported_sequence": [], "method": method, "null": null, "quick": quick, "seed": seed}
    control = method in ("none", "revert", "sharpen", "interpolate", "random", "longer")
    looked = {"checkpoints": [], "experts": [], "prompts": {}} | (access or {})
    manifest = {
        "format": 2,
        "spec": spec | {"sequence": sequence, "settings": settings or {}, "suite": "micro", "targets": targets},
        "suite": {"id": "micro/1", "fingerprint": "f" * 64, "comparable": not quick, "settings": {"rl": {"steps": 60}}},
        "model": {"name": "", "revision": "", "content": "b" * 64},
        "method": {"name": method, "settings": settings or {}, "track": track, "control": control, "source": "a" * 64},
        "sequence": order,
        "targets": ["math"] if targets == "single" else order[:-1],
        "rows": rows,
        "checkpoints": {name: f"{name}-{seed}" for name in rates},
        "distances": _distances(names, [*rates], [names[2]] if targets == "single" else names[1:-1], null),
        "cost": {"stages": 1.0, "repair": total - 1, "total": total, "access": looked},
        "numerics": {"device": "cpu", "torch": "2.13.0"},
        "versions": {"interference-bench": "0.1.0"},
    }
    _json(folder / "manifest.json", manifest)
    return folder


def _distances(baseline: list[str], rows: list[str], own: list[str], null: str) -> dict[str, dict[str, float]]:
    """Every plain row lies 3 (null: 2) from the next; what is no plain row lies 4 from the last and 5 from all others."""
    step = 2.0 if null else 3.0

    def between(one: str, other: str) -> float:
        if one in baseline and other in baseline:
            return step * abs(baseline.index(one) - baseline.index(other))
        return 4.0 if one == baseline[-1] else 5.0

    return {anchor: {row: between(anchor, row) for row in rows} for anchor in [baseline[-1], *own]}


def _answers(folder: Path, name: str, rates: dict[str, dict[str, float]], seed: int, order: tuple[str, ...]) -> dict[str, list[float]]:
    """Write a row's answers. An item is right where its own difficulty, nudged by seed, is below the rate."""
    path = folder / "samples" / f"{name}.jsonl.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    means: dict[str, list[float]] = {decoding: [] for decoding in DECODINGS}
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for domain in order:
            difficulty = np.random.default_rng([ORDER.index(domain), 7]).permutation((np.arange(ITEMS) + 0.5) / ITEMS)
            nudge = np.random.default_rng([seed, ORDER.index(domain), len(name)]).normal(0, 0.05, ITEMS)
            for decoding in DECODINGS:
                scores = (difficulty + nudge < rates[domain][decoding]).astype(float)
                means[decoding].append(float(scores.mean()))
                for item, score in enumerate(scores):
                    answer = {"domain": domain, "decoding": decoding, "item": item, "prompt": f"{domain}{item}=", "score": score}
                    answer |= {"answer": NASTY if name == "baseline-4-cw" else f"{name} says", "parsed": item % 10 != 0}
                    file.write(json.dumps(answer) + "\n")
    return means


def _training(path: Path, domain: str, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rewards = np.linspace(0.3, 0.9, 20) + 0.02 * np.sin(np.arange(20) * (seed + 1))
    path.write_text("".join(json.dumps({"step": step, "reward": {domain: reward}}) + "\n" for step, reward in enumerate(rewards, 1)))


def _json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Five seeds of a repair, of a sharpened model and of controls, and null runs."""
    out = tmp_path_factory.mktemp("runs")
    repaired, sharper = [0.61, 0.88, 0.94, 0.8], [0.6, 0.78, 0.96, 0.84]
    for seed in range(5):
        build_run(out, "none", seed=seed)
        build_run(out, "refresh", repaired, seed=seed, settings={"steps": 15}, total=1.05, access={"prompts": {"math": 480}})
        build_run(out, "sharpen", PLAIN[-1].tolist(), seed=seed, sampled_end=sharper)
        build_run(out, "revert", [0.66, 0.9, 0.6, 0.49], seed=seed, access={"checkpoints": ["math"]})
        build_run(out, "replay", [0.66, 0.8, 0.93, 0.79], seed=seed, own_stages=True, track="during")
        build_run(out, "none", seed=seed, null="math", baseline=PLAIN[0] - 0.01 * np.arange(5)[:, None])
    return out


@pytest.fixture(scope="module")
def told(folder) -> dict[str, Any]:
    return content(*collect([folder]))


@pytest.fixture(scope="module")
def html(told) -> str:
    return page(told)


class Page(HTMLParser):
    """Tags with attributes, and text with the tag it stands in."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.text.append((self.open[-1] if self.open else "", data.strip()))


def words_of(html: str) -> str:
    return re.sub(r"\s+", " ", " ".join(text for _, text in Page(html).text))


def test_all_forms_say_the_same_numbers(told, html, tmp_path):
    paths = {path.name: path for path in write_report(told, tmp_path)}
    again = json.loads(paths["report.json"].read_text(encoding="utf-8"))
    assert again == json.loads(json.dumps(told))
    seen, markdown, terminal = words_of(html), paths["report.md"].read_text(encoding="utf-8"), text.terminal(told)
    rows = list(csv.DictReader(paths["entries.csv"].open(encoding="utf-8")))
    board = again["boards"][0]
    assert {row["entry"] for row in rows} == {entry["label"] for entry in board["entries"]}
    for entry in board["entries"]:
        for decoding in DECODINGS:
            value = entry["metrics"][decoding]["net recovery"]
            assert shown("net recovery", value) in markdown
            assert shown("net recovery", value) in terminal
            assert shown("net recovery", value) in seen
            row = next(r for r in rows if (r["entry"], r["decoding"], r["metric"]) == (entry["label"], decoding, "net recovery"))
            assert [float(row[key]) for key in ("estimate", "low", "high")] == [value[key] for key in ("estimate", "low", "high")]


def test_planned_pairs_stand_alone_and_say_so(told, folder):
    found = content(*collect([folder]), planned=[("refresh", "none")])
    (pair,) = found["boards"][0]["pairs"]
    of_all = next(p for p in told["boards"][0]["pairs"] if (p["one"], p["other"]) == ("refresh", "none"))
    for decoding in DECODINGS:
        assert pair[decoding]["p"] <= of_all[decoding]["p"]
        assert pair[decoding]["estimate"] == of_all[decoding]["estimate"]
    for form in (text.terminal(found), text.markdown(found), words_of(page(found))):
        assert "p by Holm over the 1 planned here" in re.sub(r"\s+", " ", form)


def test_planned_pairs_that_cannot_be_compared_are_told_in_words(folder):
    """No empty table, and no word of a correction over 0 pairs."""
    runs, _ = collect([folder])
    unranked = content(runs, planned=[("refresh", "none")])
    unranked["boards"][0]["pairs"] = []
    assert "planned pairs: none of them can be compared on this board" in text.terminal(unranked)
    assert "planned here" not in text.terminal(unranked) + text.markdown(unranked) + words_of(page(unranked))


def test_a_planned_pair_on_different_boards_is_refused():
    boards = [{"none", "refresh"}, {"none", "rollback"}]
    check_planned([("none", "rollback")], boards)
    with pytest.raises(UserError, match="--pair refresh/rollback: these two stand on different boards"):
        check_planned([("refresh", "rollback")], boards)
    with pytest.raises(UserError, match="unknown entry 'rolback': did you mean rollback"):
        check_planned([("none", "rolback")], boards)


def test_values_stand_under_their_own_heads(told, html):
    """Of the sharpened model greedy and temperature 1 differ, and so do all metrics."""
    entry = next(entry for entry in told["boards"][0]["entries"] if entry["label"] == "sharpen")
    wanted = [shown("net recovery", entry["metrics"][decoding]["net recovery"]) for decoding in DECODINGS]
    wanted += [shown(name, entry["metrics"]["greedy"][name]) for name in ("recovery ratio", "retention")]
    assert len(set(wanted)) == 4
    line = next(line for line in text.markdown(told).splitlines() if line.startswith("|") and "| sharpen" in line)
    assert [cell.strip() for cell in line.split("|")][4:8] == wanted
    ranking = re.search(r'<table class="ranking">.*?</table>', html, re.DOTALL)[0]
    heads = [re.sub(r"<[^>]*>", "", head) for head in re.findall(r"<th scope=\"col\".*?</th>", ranking)]
    assert heads[2:6] == ["net recovery, greedy", "net recovery, temperature&nbsp;1", "recovery ratio", "retention"]
    row = next(row for row in re.findall(r"<tr.*?</tr>", ranking, re.DOTALL) if ">sharpen<" in row)
    assert [re.sub(r"<[^>]*>", "", cell).strip() for cell in re.findall(r"<td>.*?</td>", row, re.DOTALL)][:4] == wanted


def test_cells_are_those_of_the_runs(told, folder, tmp_path):
    rows = list(csv.DictReader(text.cells_csv(told).splitlines()))
    runs = [run for run in collect([folder])[0] if not run.manifest["spec"]["null"]]
    assert len(rows) == sum(len(run.tables) for run in runs) * len(ORDER) * len(DECODINGS)
    run = next(run for run in runs if run.name.endswith("refresh-steps=15-s3"))
    row = next(r for r in rows if (r["run"], r["row"], r["domain"], r["decoding"]) == (run.name, "repaired", "math", "greedy"))
    assert float(row["score"]) == pytest.approx(100 * run.matrix["greedy"]["final"][0][1])
    assert float(row["unparsed"]) == pytest.approx(10)


def test_the_plain_heat_map_is_the_mean_over_seeds(told, folder):
    runs = [load_run(folder / f"micro-paper-single-none-s{seed}") for seed in range(5)]
    mean = 100 * np.mean([run.matrix["greedy"]["baseline"] for run in runs], 0)
    matrix = told["boards"][0]["matrices"][0]
    assert np.allclose([row["score"]["greedy"] for row in matrix["rows"][:5]], mean)
    assert [row["own"] for row in matrix["rows"][:5]] == [None, 0, 1, 2, 3]
    svg = figures.heat_map("map", matrix, "greedy")
    assert f"{mean[2, 1]:.1f} after math" in svg
    assert svg.count(" *</text>") == 1
    assert len(re.findall(r"stroke-width: 1.5", svg)) == 4  # the frames of own stages


def test_answers_are_escaped(html):
    assert NASTY not in html
    assert "&lt;script&gt;document.title" in html
    assert "script" not in {tag for tag, _ in Page(html).tags}


def test_the_page_needs_nothing_beside_itself(html):
    page = Page(html)
    loading = [attrs.get(name) for _, attrs in page.tags for name in ("src", "href", "data", "srcset", "action", "poster") if name in attrs]
    assert [address for address in loading if not (address or "").startswith(("#", "data:"))] == []
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)
    policy = next(attrs["content"] for tag, attrs in page.tags if tag == "meta" and attrs.get("http-equiv"))
    assert "default-src 'none'" in (policy or "")


def test_ids_are_unique_and_references_meet_them(html):
    page = Page(html)
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    used = {(attrs.get("href") or "")[1:] for _, attrs in page.tags if "href" in attrs and (attrs["href"] or "").startswith("#")}
    used |= set(re.findall(r"url\(#([^)]*)\)", html)) | {i for _, a in page.tags for i in (a.get("aria-labelledby") or "").split()}
    assert used <= set(ids)


def test_every_figure_has_a_text_alternative_and_takes_the_pages_colours(html):
    svgs = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    assert len(svgs) >= 10
    for svg in svgs:
        assert svg.startswith("<svg viewBox=")
        assert 'role="img"' in svg
        assert re.search(r"<title id=[^>]*>[^<]{5,}</title><desc id=[^>]*>[^<]{20,}</desc>", svg)
        colours = set(re.findall(r"#[0-9a-f]{6}\b", re.sub(r"<desc.*?</desc>|\"#|url\(#", "", svg, flags=re.DOTALL)))
        assert colours <= set(PALETTE)
        assert all(
            "currentColor" in style for style in re.findall(r"<text style=\"([^\"]*)\"", svg) if "fill: #" not in style and "fill" in style
        )
        # matplotlib paints text without a colour black.
        assert not [style for style in re.findall(r"<text([^>]*)>", svg) if "fill" not in style]


def test_the_palette_is_seen_on_white_and_on_near_black():
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    for colour in PALETTE:
        assert 1.05 / (luminance(colour) + 0.05) >= 3
        assert (luminance(colour) + 0.05) / (luminance("#15171a") + 0.05) >= 3


def test_the_same_content_makes_the_same_page(told, html):
    assert page(told) == html


def test_the_text_of_a_figure_tells_its_numbers():
    value = {"estimate": 0.5, "low": 0.25, "high": 0.75}
    undefined = {"estimate": None, "why": "the damage is not significant"}
    svg = figures.intervals("x", "A title", "retention", [("mine", {"greedy": value, "sampled": undefined})], axis="retention")
    assert "mine: 0.50 [0.25, 0.75] greedy and undefined: the damage is not significant at temperature 1." in svg
    assert '<title id="x-title">a &lt; b</title>' in drawn("x", "a < b", "d", 1, lambda axes: None)


def test_entries_that_differ_in_a_number_are_joined():
    def entry(steps, rank, recovery):
        value = {"estimate": recovery, "low": recovery - 0.1, "high": recovery + 0.1}
        metrics = {"greedy": {"recovery ratio": value}}
        cost = {"repair": steps / 100}
        return {"label": f"r {steps}", "method": "r", "settings": {"steps": steps, "rank": rank}, "metrics": metrics, "cost": cost}

    entries = [entry(9, "a", 0.9), entry(3, "a", 0.4), entry(5, "b", 0.2)]
    svg = figures.along("x", "Title", entries, "greedy", "repair")
    assert "r 3: 0.40 [0.30, 0.50] at 3.0; r 5: 0.20 [0.10, 0.30] at 5.0; r 9: 0.90 [0.80, 1.00] at 9.0." in svg
    labels = re.findall(r">(r rank=\w)<", svg)
    assert sorted(labels) == ["r rank=a", "r rank=b"]  # one for each line, not for each point


def test_repairs_alone_stand_along_the_change_undone(told, html):
    assert {e["label"]: e["removed"] is None for e in told["boards"][0]["entries"]} == {
        "none": False, "refresh": False, "sharpen": False, "revert": False, "replay": True,
    }  # fmt: skip
    described = re.search(r'<desc id="b1-undone-greedy-desc">(.*?)</desc>', html)[1]
    assert "refresh: " in described
    assert "replay" not in described


def test_sharpening_is_told_from_a_repair(told):
    marked = {entry["label"]: entry["sharpening"] for entry in told["boards"][0]["entries"]}
    assert marked == {"none": False, "refresh": False, "sharpen": True, "revert": False, "replay": False}
    assert "control; sharpening: up at temperature 1, not greedily" in text.markdown(told)


def test_sharpening_is_told_on_the_board_of_all_targets_too(tmp_path):
    for seed in range(3):
        build_run(tmp_path, "sharpen", PLAIN[-1].tolist(), seed=seed, sampled_end=[0.68, 0.8, 0.95, 0.8], targets="all")
        build_run(tmp_path, "refresh", [0.68, 0.8, 0.95, 0.8], seed=seed, targets="all")
    board = content(*collect([tmp_path]))["boards"][0]
    assert {entry["label"]: entry["sharpening"] for entry in board["entries"]} == {"sharpen": True, "refresh": False}
    assert board["headline"].startswith("Refresh keeps ")


def test_the_front_is_of_cost_and_kept_and_access_counts(told):
    front = {entry["label"]: entry["front"] for entry in told["boards"][0]["entries"]}
    # replay keeps most at no cost and looked at nothing: it beats all but refresh, if that keeps more.
    kept = {entry["label"]: entry["metrics"]["greedy"]["retention"]["estimate"] for entry in told["boards"][0]["entries"]}
    assert kept["replay"] > kept["none"] > kept["revert"]
    assert (front["replay"], front["none"], front["revert"]) == ("cost", "", "")
    assert (front["refresh"] == "cost") == (kept["refresh"] > kept["replay"])


def test_what_has_no_place_and_why(told, html):
    places = {entry["label"]: (entry["place"], entry["unranked"]) for entry in told["boards"][0]["entries"]}
    assert places["refresh"] == (1, "")
    assert places["revert"] == (None, "control")


def test_real_stands_beside_null(told, html):
    null = told["boards"][0]["null"]
    assert null["seeds"] == [0, 1, 2, 3, 4]
    real = told["boards"][0]["baseline"]["greedy"]["math"]["forgetting"]["estimate"]
    beyond = null["beyond"]["greedy"]["math"]
    assert beyond["estimate"] == pytest.approx(real - null["forgetting"]["greedy"]["math"]["estimate"])
    assert beyond["low"] > 0
    assert "math, null" in html


def test_damage_is_told_per_change_of_the_weights(told):
    board = told["boards"][0]
    # From after math to the end: two stages of 3, or of 2 where rewards were permuted.
    assert board["null"]["moved"]["math"] == {"real": 6.0, "null": 4.0}
    header, rows = text.null(board)
    row = next(row for row in rows if row[0] == "math" and row[1] == "greedy")
    damage = board["baseline"]["greedy"]["math"]["forgetting"]["estimate"]
    assert float(row[header.index("real per |δ|")]) == pytest.approx(damage / 6, abs=0.006)


def test_the_change_undone_is_a_share_of_its_square(told):
    removed = {entry["label"]: entry["removed"] for entry in told["boards"][0]["entries"]}
    assert removed["none"] == pytest.approx(0.0)
    assert removed["refresh"] == pytest.approx(1 - 5**2 / 6**2)  # a repaired model lies 5 from after math, the plain end 6


@pytest.fixture
def lone(tmp_path) -> Path:
    """One seed of quick runs without any damage, no null run, development seed."""
    baseline = np.repeat(PLAIN[:1], 5, axis=0)
    build_run(tmp_path, "refresh", [0.3, 0.4, 0.5, 0.5], seed=100, baseline=baseline, quick=True)
    return tmp_path


def test_undefined_says_why_and_a_missing_null_run_names_the_command(lone):
    told = content(*collect([lone]))
    board = told["boards"][0]
    assert board["entries"][0]["metrics"]["greedy"]["net recovery"]["estimate"] is None
    for form in (text.terminal(told), text.markdown(told), words_of(page(told))):
        assert "undefined: the damage is not significant" in re.sub(r"\s+", " ", form)
        assert "python -m bench run --null --seeds 5 --seed 100 --quick" in re.sub(r"\s+", " ", form)
        assert "not comparable" in form
        assert "provisional" in form
        assert "development seeds" in form
        assert "No damage to math that can be told from noise" in form
    row = next(r for r in csv.DictReader(text.entries_csv(told).splitlines()) if r["metric"] == "net recovery")
    assert (row["estimate"], row["undefined"]) == ("", "the damage is not significant")


def test_flips_count_and_show_the_same_items(folder):
    run = load_run(folder / "micro-paper-single-refresh-steps=15-s0")
    own, last, end = (run.scores("greedy")["math"][row] for row in (2, 4, -1))
    found = next(f for f in content([run])["boards"][0]["flips"])
    assert found["counts"]["lost"] == int((own > last).sum()) > 0
    assert found["counts"]["recovered"] + found["counts"]["still lost"] == found["counts"]["lost"]
    assert found["counts"]["won"] - found["counts"]["fell"] == int(end.sum() - last.sum())
    sample = found["samples"]["recovered"][0]
    assert sample["prompt"] == f"math{sample['item']}="
    assert (sample["own"], sample["baseline"], sample["final"]) == ("baseline-2-math says", NASTY, "repaired says")


def test_a_run_whose_matrix_is_not_its_answers_is_told(folder, tmp_path):
    copy = tmp_path / "micro-paper-single-none-s0"
    shutil.copytree(folder / copy.name, copy)
    matrix = json.loads((copy / "matrix.json").read_text(encoding="utf-8"))
    matrix["greedy"]["baseline"][2][1] = 0.99
    _json(copy / "matrix.json", matrix)
    warnings = content(*collect([copy]))["boards"][0]["warnings"]
    assert any("matrix.json and the stored answers disagree on math in baseline-2-math" in warning for warning in warnings)
    assert not any("disagree" in warning for warning in content([load_run(folder / copy.name)])["boards"][0]["warnings"])


def test_plain_runs_that_differ_are_told(folder, tmp_path):
    for name in ("none", "revert"):
        shutil.copytree(folder / f"micro-paper-single-{name}-s0", tmp_path / f"micro-paper-single-{name}-s0")
    manifest = tmp_path / "micro-paper-single-revert-s0" / "manifest.json"
    assert not any("not the same checkpoints" in w for w in content(*collect([tmp_path]))["boards"][0]["warnings"])
    manifest.write_text(manifest.read_text(encoding="utf-8").replace('"baseline-2-math-0"', '"another"'), encoding="utf-8")
    assert any("seed 0 are not the same checkpoints" in w for w in content(*collect([tmp_path]))["boards"][0]["warnings"])


def test_a_balanced_design_is_one_board_of_all_its_orders(tmp_path):
    orders = {"paper": ORDER, "balanced-2": ("math", "cw", "code", "qa"), "balanced-3": ("cw", "qa", "math", "code")}
    orders["balanced-4"] = ("qa", "code", "cw", "math")
    for name, order in orders.items():
        # A domain is at .9 after its own stage and loses .08 in each later one; a repair puts it back.
        baseline = np.full((5, 4), 0.3)
        for stage, domain in enumerate(order, 1):
            baseline[stage:, ORDER.index(domain)] = 0.9 - 0.08 * np.arange(5 - stage)
        for seed in range(2):
            build_run(tmp_path, "none", seed=seed, baseline=baseline, order=order, sequence=name, targets="all")
            build_run(tmp_path, "refresh", [0.9] * 4, seed=seed, baseline=baseline, order=order, sequence=name, targets="all")
    told = content(*collect([tmp_path]))
    first, board = told["boards"]  # of the design's orders only the first is shown by itself
    assert first["title"] == "micro/1 · paper · targets all · cpu"
    assert board["title"] == "micro/1 · balanced · targets all · cpu"
    assert sorted(board["orders"]) == sorted(map(list, orders.values()))
    assert board["earlier domains"] == list(ORDER)  # each is trained before another in some order
    (kept,) = (e["metrics"]["greedy"]["retention"]["estimate"] for e in board["entries"] if e["label"] == "refresh")
    assert kept == pytest.approx(1.0, abs=0.03)
    # A domain stands once at each place: it loses 0, .08, .16 or .24, on average 12 points.
    for domain in ORDER:
        assert board["baseline"]["greedy"][domain]["forgetting"]["estimate"] == pytest.approx(12, abs=1.5)
    html = page(told)
    assert all(" → ".join(order) in html for order in orders.values())
    assert len(re.findall('id="b2-matrix[0-3]-(?:greedy|sampled)-title"', html)) == 8
    assert text.markdown(told).count("### Scores, ") == 2 + 8


def test_unreadable_and_unfinished_folders_are_named(folder, tmp_path):
    shutil.copytree(folder / "micro-paper-single-none-s0", tmp_path / "good")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text("{", encoding="utf-8")
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / ".lock").touch()
    runs, left_out = collect([tmp_path, tmp_path / "good"])
    assert [run.name for run in runs] == ["good"]
    assert len(left_out) == 2
    assert "half: not finished" in page(content(runs, left_out))
    with pytest.raises(UserError, match=r"broken/manifest\.json"):
        collect([tmp_path / "broken"])


def bench(*words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "bench", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | {"COLUMNS": "200"})
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_the_command(lone, tmp_path):
    run = next(lone.iterdir())
    done = bench("report", run, "--out", tmp_path / "out")
    assert "Standing by net recovery" in done.stdout
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        ["report.html", "report.md", "report.json", "entries.csv", "cells.csv"]
    )
    unknown = bench("report", run, "--pair", "refersh/refresh", code=2)
    assert unknown.stderr.splitlines() == ["bench: unknown entry 'refersh': did you mean refresh?"]
    half = bench("report", run, "--pair", "none", code=2)
    assert half.stderr.splitlines() == ["bench: --pair 'none': give two entries' labels as the report shows them, one/other"]
    nowhere = bench("report", tmp_path / "nowhere", code=2)
    assert len(nowhere.stderr.splitlines()) == 1
    assert "nowhere: no finished run there" in nowhere.stderr


def test_the_picture_is_a_file_of_its_own_for_light_and_dark(folder, tmp_path):
    bench("show", folder / "micro-paper-single-refresh-steps=15-s0", "--picture", tmp_path / "p.svg")
    svg = (tmp_path / "p.svg").read_text(encoding="utf-8")
    assert svg.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    assert "prefers-color-scheme:dark" in svg
    assert set(re.findall(r": (#[0-9a-f]{6})", svg)) <= set(PALETTE)
    assert "svg" in bench("show", folder / "micro-paper-single-none-s0", "--picture", tmp_path / "p.png", code=2).stderr


def render(page: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Chromium, headless, without a network."""
    from bench.report.doctor import find_browser

    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--proxy-server=127.0.0.1:9", "--enable-logging=stderr", "--no-first-run"]
    profile = f"--user-data-dir={page.parent / 'profile'}"
    command = [find_browser() or "", *flags, profile, *words, page.resolve().as_uri()]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=240)


@pytest.mark.browser
def test_the_page_renders_in_a_browser_and_fits_a_phone(html, tmp_path):
    (tmp_path / "report.html").write_text(html, encoding="utf-8")
    done = render(tmp_path / "report.html", f"--screenshot={tmp_path / 'shot.png'}", "--window-size=1200,1600")
    assert "CONSOLE" not in done.stderr
    import matplotlib.image

    pixels = matplotlib.image.imread(tmp_path / "shot.png")
    assert len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0)) > 50  # text, three palettes, and no blank page
    # A frame of 400 pixels in a page with a script, since the report itself allows none.
    frame = f'<iframe width="400" height="800" srcdoc="{html.replace("&", "&amp;").replace(chr(34), "&quot;")}"></iframe>'
    measured = "d.documentElement.scrollWidth+' '+d.querySelectorAll('svg').length"
    script = f"<script>onload=()=>{{const d=frames[0].document;document.title={measured}}}</script>"
    (tmp_path / "phone.html").write_text(f"<meta charset=utf-8>{frame}{script}", encoding="utf-8")
    width, drawings = re.search(r"<title>(\d+) (\d+)</title>", render(tmp_path / "phone.html", "--dump-dom").stdout).groups()
    assert int(drawings) >= 10
    assert int(width) <= 400
