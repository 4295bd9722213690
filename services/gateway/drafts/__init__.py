"""Packages written over REST, in steps that survive between calls (eyp.md 3.3).

``draft`` → ``initialled`` → ``signed`` → ``unsealed`` → ``finished``, and ``discarded`` from all but the last. Of
each package the inputs are kept: what the caller wrote, the files, the signatures, the times decided once. Whatever
is to be signed or sent is made again from them (records 0020, 0021). ``stages`` makes it, ``material`` brings the files,
``rows`` keeps the truth, ``drafting`` and ``finishing`` are the steps.
"""
