#!/bin/sh
# setup.sh server|dev [PYTHON]: install the requirements of the level into .venv, unless this is done.
# setup.sh find: print the Python that would be used for .venv; exit status 1 if there is none.
# Plain POSIX shell, because it finds the Python. The installation is in scripts/setup.py.
set -eu

level=$1
wanted=${2:-}
cd "$(dirname "$0")/.."

# The usual case: everything is installed. This takes about 50 ms.
if [ "$level" != find ] && [ -z "$wanted" ] && [ -x .venv/bin/python ] && .venv/bin/python -I scripts/setup.py "$level" --check; then
    exit 0
fi

# Test whether a Python can create a virtual environment. Debian and Ubuntu have `venv` and `ensurepip` in a separate
# package, and version managers have commands on the path that do not start, so each candidate is run.
usable() {
    "$1" -I -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

if [ -n "$wanted" ]; then
    if ! usable "$wanted"; then
        echo "PYTHON=$wanted is not Python 3.11 or later with the modules venv and ensurepip. Set PYTHON to another Python, or do not set it." >&2
        exit 1
    fi
    exec "$wanted" -I scripts/setup.py "$level" --exact-python
fi

# The newest version that the lock files were tested with is first.
for candidate in python3.13 python3.14 python3.12 python3.11 python3 python; do
    if usable "$candidate"; then
        if [ "$level" = find ]; then
            command -v "$candidate"
            exit 0
        fi
        exec "$candidate" -I scripts/setup.py "$level"
    fi
done

cat >&2 <<'END'
LLM Monitor requires Python 3.11 or later with the module venv, and there is none. Install it, then run make again:
  Debian 12+, Ubuntu 24.04+   sudo apt install python3 python3-venv
  Fedora, RHEL 9+             sudo dnf install python3.12
  macOS                       brew install python@3.13
If it is installed elsewhere: make run PYTHON=/path/to/python3
END
exit 1
