"""The faults that the gate and the suite's own bookkeeping must find: none of them is in a model.

A catalogue a module, most of them small functions under a decorator that says what must turn red.
"""
