import platform
import subprocess
import sys

import pytest

_PROGRAM = """
import resource
from spikenas.distributed.allocator import keep_freed_memory

size = 2**26  # 64 MiB are 2**14 pages of 4 KiB; above what glibc keeps by itself
keep_freed_memory()
bytes([1]) * size
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
bytes([1]) * size
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a malloc of its own")
def test_memory_that_was_freed_is_used_again_without_page_faults():
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True
    )

    assert int(done.stdout) < 2**12


def test_without_glibc_nothing_is_done():
    program = (
        "import platform; platform.libc_ver = lambda: ('', ''); "
        "from spikenas.distributed.allocator import keep_freed_memory, ctypes; "
        "ctypes.CDLL = None; keep_freed_memory()"
    )

    subprocess.run([sys.executable, "-c", program], check=True)
