"""The alphabet of the micro suite and the tokenizer made of it.

Every token is a fixed piece of text and no token begins another one (a prefix-free code), so text and tokens determine each
other: decode(encode(text)) is the text, and encode(decode(tokens)) the tokens. A test checks both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

RHYMES: dict[str, tuple[str, ...]] = {
    "ain": ("Brain", "Chain", "Grain", "Rain", "Train"),
    "ake": ("Cake", "Lake", "Rake", "Snake", "Wake"),
    "ame": ("Flame", "Frame", "Game", "Name", "Tame"),
    "ell": ("Bell", "Shell", "Smell", "Tell", "Well"),
    "est": ("Best", "Chest", "Guest", "Nest", "West"),
    "ight": ("Bright", "Fight", "Light", "Night", "Sight"),
    "ing": ("Bring", "King", "Ring", "Sing", "Wing"),
    "ock": ("Clock", "Flock", "Lock", "Rock", "Sock"),
    "old": ("Bold", "Cold", "Fold", "Gold", "Told"),
    "oon": ("Balloon", "Moon", "Noon", "Soon", "Spoon"),
    "ound": ("Ground", "Hound", "Pound", "Round", "Sound"),
    "ow": ("Crow", "Flow", "Grow", "Low", "Snow"),
}
"""Words of the cw and qa tasks by rhyme class."""

WORDS = tuple(word for words in RHYMES.values() for word in words)
RHYME_OF = {word: ending for ending, words in RHYMES.items() for word in words}

DIGITS = tuple("0123456789")
LETTERS = tuple("abcdefghijklmnopqrstuvwxyz")
SYMBOLS = tuple("+-*=:>,;?~^!()")

PAD, END = "<pad>", "<end>"
TOKENS = (PAD, END, *DIGITS, *SYMBOLS, *LETTERS, *WORDS)


def build_tokenizer() -> PreTrainedTokenizerFast:
    """The suite's tokenizer; `AutoTokenizer` loads what its `save_pretrained` writes.

    Text outside the alphabet becomes the pad token, which no prompt contains: micro prompts are always inside it.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({token: i for i, token in enumerate(TOKENS)}, unk_token=PAD))
    words = "|".join(WORDS)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(f"{words}|[\\s\\S]"), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        clean_up_tokenization_spaces=False,
        model_max_length=64,
        padding_side="left",
    )
