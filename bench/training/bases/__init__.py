"""Where suites' own bases come from: micro's recipe, the warm-up of a pretrained model, adapters, the base that ships."""
