"""Reports: notebooks are executed, turned into self-contained pages, and listed on an index.

`cvmlib.reporting.show` is what a notebook imports; `cvmlib.reporting.words` says numbers in words.
"""
