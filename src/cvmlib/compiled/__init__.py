"""Models as functions of the machine: fused likelihoods, and graphs of few numbers as straight-line code."""
