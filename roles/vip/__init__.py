"""One address for several gateways: whichever of them answers has it."""
