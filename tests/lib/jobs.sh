# shellcheck shell=bash disable=SC2034
# Runs the pieces of the test suites side by side; for tests/run, which sources this.
#
# A piece (job) is a suite, or one file of a suite for Node's runner.  What it wants is said in a comment of its file (of
# a suite, of its `run`):
#   Takes about N s          the longest begin first; without this, a piece is taken for a short one
#   Mostly waits             takes no place of the others, but only one such piece runs at a time
#   Runs alone               begins when all others have ended, and nothing runs beside it
#   Runs on the plain build  see tests/run

job_suite=()    # by job: its suite
job_file=()     # its file; "" where the job is the whole suite
job_when=()     # waits, pool or alone
job_seconds=()  # about what it takes
job_status=()   # how it ended
job_started=()  # seconds since the start of the run
job_ended=()
declare -A job_running=() # by process: its job

# job_remark FILE REGEX: prints what the group in REGEX matches in the comments of FILE; fails where nothing does.
job_remark() {
    sed -nE "/^(#|\/\/)/{s/.*$2.*/\1/p}" "$1" | grep -m 1 .
}

# job_is FILE REMARK: whether the comments of FILE say so.
job_is() {
    job_remark "$1" "($2)" >/dev/null
}

# job_add SUITE FILE REMARKS SECONDS: one more job, as the comments of the file REMARKS say ("": there is none), which takes
# SECONDS where they do not tell.
job_add() {
    local when=pool seconds=$4
    if [ -n "$3" ]; then
        job_is "$3" 'Mostly waits' && when=waits
        job_is "$3" 'Runs alone' && when=alone
        seconds=$(job_remark "$3" 'Takes about ([0-9]+) s') || seconds=$4
    fi
    job_suite+=("$1") job_file+=("$2") job_when+=("$when") job_seconds+=("$seconds")
}

# job_list WHEN: the jobs of that kind, the longest first.
job_list() {
    local i
    for i in "${!job_suite[@]}"; do
        [ "${job_when[i]}" != "$1" ] || echo "${job_seconds[i]} $i"
    done | sort -k1,1nr -k2,2n | cut -d ' ' -f 2
}

# job_start JOB DIRECTORY COMMAND…: starts COMMAND SUITE FILE in the background; what it prints goes into DIRECTORY.
job_start() {
    local i=$1 directory=$2
    shift 2
    "$@" "${job_suite[i]}" "${job_file[i]}" >"$directory/$i.tap" 2>"$directory/$i.err" </dev/null &
    job_running[$!]=$i
    job_started[i]=$SECONDS
}

# job_wait: waits until one job ends, whichever it is.
job_wait() {
    local pid status=0 i
    wait -n -p pid "${!job_running[@]}" || status=$?
    i=${job_running[$pid]}
    unset "job_running[$pid]"
    job_status[i]=$status
    job_ended[i]=$SECONDS
}

# job_stop: asks all that run to end, and waits for them.
job_stop() {
    local pid
    for pid in "${!job_running[@]}"; do
        kill -TERM "$pid" 2>/dev/null || true
    done
    wait
}

# job_count WHEN: how many jobs of that kind run.
job_count() {
    local i n=0
    for i in "${job_running[@]}"; do
        [ "${job_when[i]}" != "$1" ] || n=$((n + 1))
    done
    echo "$n"
}

# job_run_all PLACES DIRECTORY ENDED COMMAND…: runs all jobs by COMMAND SUITE FILE, at most PLACES side by side, and calls
# ENDED whenever one has ended.
job_run_all() {
    local places=$1 directory=$2 ended=$3 i
    local -a pool waits
    shift 3
    mapfile -t pool < <(job_list pool)
    mapfile -t waits < <(job_list waits)
    while [ "${#pool[@]}" -gt 0 ] || [ "${#waits[@]}" -gt 0 ] || [ "${#job_running[@]}" -gt 0 ]; do
        if [ "${#waits[@]}" -gt 0 ] && [ "$(job_count waits)" -eq 0 ]; then
            job_start "${waits[0]}" "$directory" "$@"
            waits=("${waits[@]:1}")
        elif [ "${#pool[@]}" -gt 0 ] && [ "$(job_count pool)" -lt "$places" ]; then
            job_start "${pool[0]}" "$directory" "$@"
            pool=("${pool[@]:1}")
        else
            job_wait
            "$ended"
        fi
    done
    for i in $(job_list alone); do
        job_start "$i" "$directory" "$@"
        job_wait
        "$ended"
    done
}
