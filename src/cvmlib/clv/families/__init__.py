"""The families of purchase models: of each, functions of arrays, the fused likelihood and the forecast."""
