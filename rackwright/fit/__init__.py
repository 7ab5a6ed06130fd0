"""Whether a model fits on a host: weights, cache and overhead on each GPU, and the changes that would make it fit.

Pure functions over a model's shape. Caches are exact, in each engine's own units; overhead is an estimate.
"""
