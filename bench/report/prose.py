"""The sentences of a report, made of its numbers; each is true of every board that it can be made for."""

from __future__ import annotations

from typing import Any

from bench.report.words import listed, rounded, seeds_words, shown
from bench.results.boards import Board
from bench.results.run import Run

RANKED = {
    "net recovery": "the share of the targets' damage that was won back, less every point that other domains lost for it",
    "retention": "the share of all that the stages won which the end still has, each domain capped at its own-stage score",
}
"""What the two boards rank by."""


def null_command(board: Board, run: Run) -> str:
    """The command whose runs a board lacks to set real damage beside null damage; empty for imported checkpoints, which have none."""
    spec = run.manifest["spec"]
    if spec["imported"]:
        return ""
    words = ["python -m bench run --null --seeds 5"]
    for name in ("suite", "sequence", "targets"):
        default = {"suite": "micro", "sequence": "paper", "targets": "single"}[name]
        words += [f"--{name} {spec[name]}"] if spec[name] != default else []
    words += [f"--seed {run.seed}"] if run.seed else []
    return " ".join(words + (["--quick"] if spec["quick"] else []))


def headline(board: dict[str, Any]) -> str:
    """One line: what the first of the board did; where nobody is ranked, what the plain run lost."""
    line = _headline(board)
    return line[0].upper() + line[1:]


def _headline(board: dict[str, Any]) -> str:
    first = next((entry for entry in board["entries"] if entry["place"] == 1), None)
    targets = listed(board["target domains"])
    if first is not None:
        best = first["metrics"]["greedy"][board["ranked by"]]
        if board["ranked by"] == "retention":
            return f"{first['label']} keeps {percent(best['estimate'])} of what the stages won"
        if best["low"] > 0:
            return f"{first['label']} wins back a net {percent(best['estimate'])} of what later stages took from {targets}"
        return f"Nothing ranked here clearly wins back what later stages took from {targets}"
    damage = board["entries"][0]["metrics"]["greedy"]["forgetting"]
    if damage["low"] > 0:
        each = " each, on average" if len(board["target domains"]) > 1 else ""
        return f"Later stages take {rounded(damage['estimate'], 1)} points from {targets}{each}"
    return f"No damage to {targets} that can be told from noise"


def standfirst(board: dict[str, Any]) -> str:
    """A paragraph: what was run, what it lost, who stands first and whether that can be told from the second, how to read on."""
    orders = " and ".join(" → ".join(order) for order in board["orders"]) if len(board["orders"]) < 3 else f"{len(board['orders'])} orders"
    count = len(board["seeds"])
    sentences = [
        f"Suite {board['suite']} on {'CPU' if board['device'] == 'cpu' else board['device'].upper()}: a model was trained by reinforcement "
        f"learning on {listed(board['domains'])}, one domain after another ({orders}), with {count} random seed{'s' * (count > 1)} "
        f"({seeds_words(board['seeds'])}).",
        *_damage(board),
        *_leaders(board),
        "Greedy answers rank; temperature 1 stands beside them, because merely making a model surer of itself lifts scores there. "
        f"Brackets are 95\N{NO-BREAK SPACE}% intervals over {'seeds and ' * (count > 1)}test items.",
    ]
    return " ".join(sentences)


def _damage(board: dict[str, Any]) -> list[str]:
    told = []
    for domain in board["target domains"]:
        values = board["baseline"]["greedy"][domain]
        own, last = (rounded(values[when]["estimate"], 1) for when in ("own", "baseline"))
        told.append(
            f"{domain} {own} % right after its own stage, {last} % after the last ({shown('forgetting', values['forgetting'])} points lost)"
        )
    return [f"Without any repair, greedily: {'; '.join(told)}."]


def _leaders(board: dict[str, Any]) -> list[str]:
    placed = sorted((entry for entry in board["entries"] if entry["place"]), key=lambda entry: entry["place"])
    if not placed:
        return ["No entry has a place here."]
    name = board["ranked by"]
    said = [f"First by {name} stands {placed[0]['label']}, {shown(name, placed[0]['metrics']['greedy'][name])}"]
    if len(placed) > 1:
        both = {placed[0]["label"], placed[1]["label"]}
        pair = next((pair for pair in board["pairs"] if {pair["one"], pair["other"]} == both), None)
        verdict = pair["greedy"]["verdict"] if pair else "not compared: they share no seed"
        told = "this data cannot tell the two apart" if verdict == "no difference told" else f"the difference is {_clear(verdict)}"
        said.append(f"before {placed[1]['label']}, {shown(name, placed[1]['metrics']['greedy'][name])} ({told})")
    return [", ".join(said) + "."]


def _clear(verdict: str) -> str:
    if verdict in ("better", "worse"):
        return "clear, and it did not look at more"
    return "clear, but it looked at more or at other things" if "access" in verdict else verdict


def percent(share: float, digits: int = 0) -> str:
    """A share as percent, kept on one line."""
    return f"{rounded(100 * share, digits)}\N{NO-BREAK SPACE}%"
