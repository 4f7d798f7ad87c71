# Sourced by the other tools: say what is done, show that long steps move, try again what may be
# transient, and end with a sentence when there is no use in trying.

say() { printf '==> %s\n' "$*"; }

# die CODE SENTENCE: stop; 2 = you must do something first, 3 = the world said no.
die() {
    printf 'tashi: %s\n' "$2" >&2
    exit "$1"
}

# step WORDS COMMAND…: run the command with its output in a log; show the log only if it fails.
step() {
    local words=$1 log began teller status=0
    shift
    log=$(mktemp) began=$SECONDS
    say "$words"
    _show_progress "$log" &
    teller=$!
    "$@" >"$log" 2>&1 </dev/null || status=$?
    { kill "$teller" && wait "$teller"; } 2>/dev/null || true
    if [ "$status" -ne 0 ]; then
        printf '    failed after %d s with exit code %d:\n' $((SECONDS - began)) "$status" >&2
        tail -n 30 "$log" | sed 's/^/    | /' >&2
    elif [ $((SECONDS - began)) -ge 2 ]; then
        printf '    done in %d s\n' $((SECONDS - began))
    fi
    rm -f "$log"
    return "$status"
}

# again TIMES COMMAND…: for steps that lean on the network; waits a little longer each time.
again() {
    local left=$1 pause=3
    shift
    until "$@"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        say "trying again in $pause s"
        sleep "$pause"
        pause=$((pause * 3))
    done
}

# Every ten seconds: how long the step has taken and what it said last.
_show_progress() {
    local seconds=0
    while sleep 1 >/dev/null 2>&1 && kill -0 "$$" 2>/dev/null && [ -e "$1" ]; do
        seconds=$((seconds + 1))
        [ $((seconds % 10)) -ne 0 ] ||
            printf '    %d s … %s\n' "$seconds" "$(tail -n 1 "$1" | tr -cd '[:print:]' | cut -c 1-90)"
    done
}
