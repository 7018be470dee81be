#!/bin/sh
# Starts the runner of a release archive on the libtorch that this machine has: that of the variable LIBTORCH,
# or of the PyTorch that python3 would import.
wanted=2.11
here=$(dirname "$(readlink -f "$0")")
lib=${LIBTORCH:+$LIBTORCH/lib}
if [ -z "$lib" ]; then
    lib=$(python3 -c '
import importlib.util
spec = importlib.util.find_spec("torch")
print(spec.submodule_search_locations[0] + "/lib" if spec else "")' 2>/dev/null)
fi
if [ ! -e "$lib/libtorch.so" ]; then
    echo "runner: found no libtorch; install PyTorch (pip install torch==$wanted.0), or set LIBTORCH to an unpacked libtorch $wanted" >&2
    exit 2
fi
found=$(cat "$lib/../build-version" 2>/dev/null || sed -n "s/^__version__ = '\([0-9.]*\).*/\1/p" "$lib/../version.py" 2>/dev/null)
case "$found" in
"" | $wanted*) ;;
*)
    echo "runner: found libtorch $found in $lib, expected $wanted: pip install torch==$wanted.0, or set LIBTORCH" >&2
    exit 2
    ;;
esac
LD_LIBRARY_PATH=$lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} exec "$here/runner-on-libtorch" "$@"
