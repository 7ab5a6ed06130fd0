"""Whether a model fits where it is to run: weights, cache and overhead on each GPU, and what would make it fit.

Pure functions over a model's shape. Caches are exact, in each engine's own units; overhead is an estimate.
"""
