# SPDX-License-Identifier: Apache-2.0
"""Probes this machine once for the shapes of tiny.toml, for all tests that need some profile of it.

Started as `python3 FILE BINARY PROFILE`.
"""
import pathlib
import shutil
import sys

import lindos_cli

if __name__ == "__main__":
    lindos_cli.BINARY = pathlib.Path(sys.argv[1]).resolve()
    with lindos_cli.temporary_folder() as folder:
        shutil.move(lindos_cli.tiny_profile(folder), sys.argv[2])
