"""Contractual customers: life tables, retention by tenure, residual value and its holdout check.

The shape is that of every domain of cvmlib: **counts** (`counts`, `months`), **model** (`retention`), **value**
(`forecast`, `value`), **validation** (`validation`, `verdict`), with the simulator beside the model (`simulate`).
"""
