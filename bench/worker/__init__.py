"""The processes that compute.

`jobs.py` is what a worker can be given to do, `outcomes.py` what comes back, `process.py` the process, `perform.py` the dispatch,
`workbench.py` the computations, each remembered by its inputs, and `history.py` what a method sees of them, each call with its cost.

A user's method is kept apart from everything else. The parent never imports its file: `describe.py`, in a process of its own, reads it.
Each job has a lane (`Job.lane`): the package's own code, or one user's method. A worker process keeps to one lane for its whole
life, so no process that scores, or that runs another method, has ever run the user's code. What such a worker computes goes into the
cache under the method's own keys (`storage.cache.Cache.owner`), where no other method looks.
"""
