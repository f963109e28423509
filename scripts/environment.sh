# Sourced by the scripts beside it: `environment EXTRAS` makes the virtual environment and installs the
# project with these extras, unless both have already been done for this pyproject.toml. Sets $python.
#
# The environment is .venv, or what ANABRANCH_VENV names.

set -eu

root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
venv=${ANABRANCH_VENV:-$root/.venv}
python=$venv/bin/python

supported='import sys; sys.exit(sys.version_info < (3, 11))'

find_python() {
    for candidate in python3.13 python3.14 python3.12 python3.11 python3 python; do
        if command -v "$candidate" >/dev/null 2>&1 && "$candidate" -c "$supported" >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
    echo "Python 3.11 or newer is needed, but there is none on the PATH." >&2
    return 1
}

make_environment() {
    base=$(find_python)
    echo "making a virtual environment in $venv with $("$base" --version)" >&2
    # On Debian venv may lack ensurepip; then the base interpreter's pip installs into the environment.
    "$base" -m venv "$venv" >/dev/null 2>&1 || {
        "$base" -m venv --clear --without-pip "$venv"
        "$base" -m pip --python "$python" install -qq --disable-pip-version-check pip
    }
}

environment() {
    if ! "$python" -c "$supported" >/dev/null 2>&1 || ! "$python" -m pip --version >/dev/null 2>&1; then
        make_environment
    fi
    sum=$(cksum <"$root/pyproject.toml")
    if [ "$(cat "$venv/.anabranch-$1" 2>/dev/null)" != "$sum $root" ]; then
        echo "installing anabranch with the extras $1; this takes a minute or two the first time" >&2
        "$python" -m pip install -qq --disable-pip-version-check --editable "$root[$1]" >&2
        echo "$sum $root" >"$venv/.anabranch-$1"
    fi
}
