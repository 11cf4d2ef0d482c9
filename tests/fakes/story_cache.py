"""Where stories in QEMU keep what is built once: the ramdisk, the Debian image.

As root it is the demo's own cache, so that a run of all stories builds each of them once, and the next run none.
"""

import os
from pathlib import Path

TREE = Path(__file__).parents[2]
CACHE = Path("/var/cache/rackwright") if os.geteuid() == 0 else TREE / ".build"
RAMDISK, IMAGES = CACHE / "ramdisk", CACHE / "images"
