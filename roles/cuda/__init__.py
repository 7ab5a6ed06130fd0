"""The CUDA toolkit, for your own programs; runtimes bring the CUDA libraries that they need."""
