# shellcheck shell=bash
# TAP from commands; for suites in bash that have a directory $work, which source this.

count=0

# check NAME COMMAND…: one test; what the command printed is shown where it fails.
check() {
    local name=$1
    shift
    count=$((count + 1))
    # shellcheck disable=SC2154 # the suite's
    if ("$@") >"$work/out" 2>&1; then
        echo "ok $count - $name"
    else
        echo "not ok $count - $name"
        tail -n 30 "$work/out" | sed 's/^/  # /'
    fi
}

skip() {
    count=$((count + 1))
    echo "ok $count - $1 # SKIP $2"
}

# quiet COMMAND…: it succeeds and prints nothing.
quiet() {
    local said
    said=$("$@" 2>&1) && [ -z "$said" ] && return
    echo "$said"
    return 1
}
