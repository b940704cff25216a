"""Writes the sentences of everyday/cw: simple English by SmolLM2-135M-Instruct itself, at temperature 1, after six examples.

    python scripts/write_sentences.py --model models/SmolLM2-135M-Instruct.Q4_1.gguf --work sentences --out tasks/everyday/sentences.txt

For each common word, some prompts with the examples in another order and the word at the end; a line is kept if it is one sentence of 4 to
10 words, all of them common in what was written. The task draws its constraints from these sentences, so that every item has an answer in
fluent English, and its guard against word salad (`tasks.everyday.fluency`) counts their words. About an hour on one core; rerun to resume.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from pathlib import Path

import torch

from bench.errors import UserError
from bench.files import write_bytes
from bench.storage.cache import Cache
from bench.suite import load_suite
from bench.training.models import load_checkpoint, load_tokenizer
from bench.training.sampling import generate, texts, uniforms
from bench.worker.workbench import Workbench
from tasks.everyday.fluency import words_of
from tasks.everyday.words import GOODS, ROOMS, SHORT_WORDS, THINGS
from tasks.task import rng

EXAMPLES = (
    "dog: The dog sleeps under the old table.",
    "letter: Anna put the letter in her bag.",
    "bird: A small bird sang in the apple tree.",
    "tea: We drank hot tea near the fire.",
    "river: The boy jumped over the narrow river.",
    "moon: In winter the moon is bright above the road.",
)
PROMPTS, GROUP, TOKENS = 6, 16, 18
"""Prompts for each word, sentences for each prompt, tokens of a sentence at most."""
SENTENCE = re.compile(r"[A-Z][a-z]*(?: [a-z]+| [A-Z][a-z]+)*\.")
LEFT_OUT = frozenset("blood dead die died drunk god kill killed".split())
"""Words that a child's primer would not have."""
COMMON = 5
"""How often a word must have been written to be common."""


def prompt(word: str, number: int) -> str:
    examples = list(EXAMPLES)
    rng("sentences", word, number).shuffle(examples)
    return "Short sentences with a given word.\n" + "\n".join(examples) + f"\n{word}:"


def write(model: torch.nn.Module, tokenizer, word: str) -> list[str]:
    """Lines about a word, as the model writes them."""
    (newline,) = tokenizer("\n", add_special_tokens=False)["input_ids"]
    prompts = tokenizer([prompt(word, number) for number in range(PROMPTS)], add_special_tokens=False)["input_ids"]
    draws = uniforms(PROMPTS * GROUP, TOKENS, "sentences", word)
    done = generate(model, prompts, draws, ends=(newline, tokenizer.eos_token_id), pad=tokenizer.pad_token_id)
    return [text.strip() for text, ended in zip(texts(tokenizer, done), done.ended.tolist(), strict=True) if ended]


def kept(lines: list[str]) -> list[str]:
    """The sentences among lines, each once, sorted: 4 to 10 words, all of them common in the lines, none of `LEFT_OUT`.
    A word is common if it occurs in `COMMON` such lines."""
    sentences = [
        line for line in lines if SENTENCE.fullmatch(line) and 4 <= len(line.split()) <= 10 and LEFT_OUT.isdisjoint(words_of(line))
    ]
    counts = Counter(word for line in sentences for word in set(words_of(line)))
    return sorted({line for line in sentences if all(counts[word] >= COMMON for word in words_of(line))})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder for what was written for each word")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        base = Workbench(load_suite("gym"), Cache(), model=options.model).base
    except UserError as error:
        sys.exit(str(error))
    model, tokenizer = load_checkpoint(base), load_tokenizer(base.folder)
    lines: list[str] = []
    for word in sorted({*SHORT_WORDS, *THINGS, *ROOMS, *(word.removesuffix("s") for word in GOODS)}):
        file = options.work / f"{word}.txt"
        if not file.exists():
            write_bytes(file, "\n".join(write(model, tokenizer, word)).encode())
            print(word, flush=True)
        lines += file.read_text(encoding="utf-8").split("\n")
    sentences = kept(lines)
    write_bytes(options.out, ("\n".join(sentences) + "\n").encode())
    print(f"{options.out}: {len(sentences)} sentences of {len(lines)} lines")


if __name__ == "__main__":
    main()
