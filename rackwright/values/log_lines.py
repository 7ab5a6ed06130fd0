"""Parts of the expressions for lines that a unit may log (LogFilterPatterns= of systemd.exec(5)).

Whatever may vary in such a line is a number, a single word or one of known texts. What a client sent, or what a model
answered, is none of these.
"""

from __future__ import annotations

import re

WORD = r"[\w.:@+-]{1,64}"
"""One name, without spaces."""
ERROR = (
    "(?:No such file or directory|Permission denied|Operation not permitted|Cannot allocate memory|Exec format error"
    "|No space left on device|Input/output error|Stale file handle|Read-only file system|Not a directory"
    "|Is a directory|Too many levels of symbolic links|Too many open files|Text file busy|Invalid argument"
    "|Device or resource busy|Resource temporarily unavailable|No such process|No such device"
    "|No such device or address|Address already in use|Bad file descriptor|File exists"
    "|Transport endpoint is not connected)"
)
"""The C library's text of an error."""
CUDA_ERROR = (
    "(?:out of memory|unknown error|initialization error|invalid argument|invalid device ordinal|misaligned address"
    "|no CUDA-capable device is detected|CUDA driver version is insufficient for CUDA runtime version"
    "|CUDA-capable device\\(s\\) is/are busy or unavailable|system not yet initialized|operation not supported"
    "|system has unsupported display driver / cuda driver combination|device kernel image is invalid"
    "|forward compatibility was attempted on non supported HW|unspecified launch failure"
    "|no kernel image is available for execution on the device|an illegal memory access was encountered"
    "|the provided PTX was compiled with an unsupported toolchain\\.?|an illegal instruction was encountered"
    "|device-side assert triggered|uncorrectable ECC error encountered"
    "|uncorrectable NVLink error detected during the execution)"
)
"""The CUDA runtime's text of an error."""


def within(folder: str) -> str:
    """Return the expression for a path in a folder."""
    return re.escape(folder) + r"(?:/[\w.@+-]{1,80}){1,12}"
