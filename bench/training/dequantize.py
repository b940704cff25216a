"""The weights of a GGUF file as an HF folder that can be trained."""

from __future__ import annotations

import io
import tempfile
from contextlib import redirect_stderr
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from bench.errors import UserError, one_line
from bench.training.models import check_complete, quiet
from bench.weights import write_weights


def dequantized(file: Path, folder: Path, what: str) -> Path:
    """`folder`, with the model of a GGUF file in fp32 as an HF folder: weights, config, tokenizer, chat template.

    what: what names the file in messages. `UserError` where transformers cannot read it, and where tensors are missing or unknown.
    """
    with tempfile.TemporaryDirectory() as alone:  # transformers would prefer a config or a tokenizer that lies beside the file
        (Path(alone) / file.name).symlink_to(file.resolve())
        try:
            with quiet(), redirect_stderr(io.StringIO()):  # its progress bar knows no switch
                tokenizer = AutoTokenizer.from_pretrained(alone, gguf_file=file.name, local_files_only=True)
                model, info = AutoModelForCausalLM.from_pretrained(
                    alone, gguf_file=file.name, dtype=torch.float32, local_files_only=True, output_loading_info=True
                )
        except Exception as error:
            raise UserError(f"{what}: transformers cannot read it ({one_line(error)})") from error
    check_complete(model, info, file.parent, what)
    del model.config.quantization_config
    model.config.save_pretrained(folder)
    model.generation_config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    tied = set(getattr(model, "all_tied_weights_keys", None) or {})
    write_weights(folder, sorted((name, tensor.contiguous()) for name, tensor in model.state_dict().items() if name not in tied))
    return folder
