"""The one procedure for every change under traffic: gate, drain, act, prove, canary, undrain, soak."""
