# Set-up shared by the shell entry points; sourced by them. Needs Python 3.11 with venv, and the network once.
#
# prepare run    what a server needs
# prepare test   that, and what checks and tests need
#
# Everything lands in .tools (uv, pinned) and .venv (the locked packages), beside this folder. A stamp remembers what was
# installed, so that a second start costs nothing.
# shellcheck shell=bash

UV_VERSION=0.13.9
STAMP=.venv/.aitelier-stamp

complain() {
    printf '%s\n' "$@" >&2
    exit 1
}

find_python() {
    local candidate
    for candidate in python3.11 python3; do
        if command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    complain "Aitelier needs Python 3.11, and there is none." \
        "On Debian 12: apt-get install python3 python3-venv. Elsewhere install Python 3.11 and try again."
}

make_tools() {
    local python
    if [ -x .tools/bin/uv ] && [ "$(.tools/bin/uv --version 2>/dev/null | cut -d' ' -f2)" = "$UV_VERSION" ]; then
        return
    fi
    python=$(find_python)
    "$python" -c 'import ensurepip' 2>/dev/null ||
        complain "Python's venv module is not complete." "On Debian: apt-get install python3-venv"
    printf 'Setting up (once)…\n' >&2
    "$python" -m venv --clear .tools >&2 || complain "The folder .tools could not be made; is the disk full?"
    .tools/bin/pip install --quiet --disable-pip-version-check "uv==$UV_VERSION" >&2 ||
        complain "uv could not be fetched." "Check that this machine reaches pypi.org, or set pip's proxy and index."
}

prepare() {
    local kind=$1 wanted have
    local groups=(--no-dev --inexact)
    [ "$kind" = test ] && groups=(--group dev)
    wanted="$(cat uv.lock pyproject.toml | sha256sum | cut -d' ' -f1)"
    have="$(cat "$STAMP" 2>/dev/null || true)"
    # What is enough for tests is enough to run.
    case "$have" in "$wanted test" | "$wanted $kind") return ;; esac
    exec 9>.setup.lock
    flock 9 # two starts at once: one installs, the other waits
    have="$(cat "$STAMP" 2>/dev/null || true)"
    case "$have" in "$wanted test" | "$wanted $kind")
        exec 9>&-
        return
        ;;
    esac
    make_tools
    # Trust the certificates this machine trusts: some networks look into TLS. Harmless elsewhere.
    UV_SYSTEM_CERTS=1 .tools/bin/uv sync --locked --quiet --compile-bytecode "${groups[@]}" \
        --python "$(find_python)" >&2 ||
        complain "The packages in uv.lock could not be installed." "See uv's message above."
    printf '%s %s\n' "$wanted" "$kind" >"$STAMP"
    exec 9>&-
}
