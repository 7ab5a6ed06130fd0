"""The CUDA toolkit, for programs of the site's own: runtimes bring what they need."""
