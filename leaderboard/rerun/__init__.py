"""Runs a submission again, and judges its claim by the result.

`sandbox.py` is where the method runs, `admission.py` how a checkpoint comes out of there, `draw.py` what fresh seeds and items are,
`execute.py` the runs, and `judge.py` the verdict. The method's process can write to one folder, of which only tensors and training logs are
taken over; processes that never load the method score them.
"""
