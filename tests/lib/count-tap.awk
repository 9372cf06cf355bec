# Counts the results of TAP: a result with results below it is their sum and not counted, unless it failed while they did
# not.  Prints "passed failed skipped" into the file `counts`, and what failed to stdout.

function forget(from, level) {
    for (level = from; level <= deepest; level++) { seen[level] = 0; bad[level] = 0 }
}

/^ *(not )?ok( |$)/ {
    match($0, /^ */); depth = RLENGTH
    failed_now = ($0 ~ /^ *not ok/ && $0 !~ /# *(TODO|SKIP)/)
    below = 0; below_bad = 0
    for (level = depth + 1; level <= deepest; level++) { below += seen[level]; below_bad += bad[level] }
    forget(depth + 1)
    if (depth > deepest) deepest = depth
    seen[depth]++; bad[depth] += failed_now
    show = 0
    if (below == 0) {
        if (failed_now) { failed++; show = 1 }
        else if ($0 ~ /# *(SKIP|TODO)/) skipped++
        else passed++
    } else if (failed_now && below_bad == 0) { failed++; show = 1 }
    if (show) { print; lines = 0 }
    next
}
/^ *# Subtest/ { show = 0 }
show && lines < 40 { print; lines++ }
END { printf "%d %d %d\n", passed, failed, skipped >counts }
