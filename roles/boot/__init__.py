"""A kernel is booted once, by the boot loader; the kernel that ran before stays the default until the new one is
committed."""
