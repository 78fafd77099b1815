#!/bin/sh
# setup.sh server|dev [PYTHON]: make .venv hold what the level needs; does nothing when it already does.
# setup.sh find: only print the Python that .venv would be made from; exit status 1 when there is none.
# Plain POSIX shell, because this is what runs before any Python is known. The work is in scripts/setup.py.
set -eu

level=$1
wanted=${2:-}
cd "$(dirname "$0")/.."

# The usual case, some 50 ms: everything is there.
if [ "$level" != find ] && [ -z "$wanted" ] && [ -x .venv/bin/python ] && .venv/bin/python -I scripts/setup.py "$level" --check; then
    exit 0
fi

# A Python that can make a virtual environment. Debian and Ubuntu ship `venv` and `ensurepip` in a package of their own,
# and version managers leave commands on the path that do not start: so each candidate is tried, not only looked for.
usable() {
    "$1" -I -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

if [ -n "$wanted" ]; then
    if ! usable "$wanted"; then
        echo "PYTHON=$wanted is not a Python 3.11 or later with the modules venv and ensurepip. Name another, or leave PYTHON out." >&2
        exit 1
    fi
    exec "$wanted" -I scripts/setup.py "$level" --exact-python
fi

# The newest that the locks were tried on comes first.
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
LLM Monitor needs Python 3.11 or later with its venv module, and none was found. Install one, then run make again:
  Debian 12+, Ubuntu 24.04+   sudo apt install python3 python3-venv
  Fedora, RHEL 9+             sudo dnf install python3.12
  macOS                       brew install python@3.13
Or name one that is somewhere else: make run PYTHON=/path/to/python3
END
exit 1
