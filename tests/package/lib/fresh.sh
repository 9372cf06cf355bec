# shellcheck shell=bash
# The package in a fresh Debian below $work/root, made by debootstrap; for tests/package/run, which sources this.  There is no
# systemd: what its units would start is started as they say.  From the environment: KVS_MIRROR, where Debian is had from;
# KVS_OLD, the commit whose database is taken over (by default the one before this).

# shellcheck disable=SC2154 # the suite's
fresh_root=$work/root
fresh_pids=()

# In the place of this shell: what it is in the background can be ended.
fresh_exec() {
    exec chroot "$fresh_root" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
        DEBIAN_FRONTEND=noninteractive "$@"
}

fresh() {
    (fresh_exec "$@")
}

fresh_stop() {
    local pid
    for pid in "${fresh_pids[@]}"; do
        kill -TERM "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
    fresh_pids=()
}

fresh_end() {
    fresh_stop
    umount "$fresh_root/proc" 2>/dev/null
    umount "$fresh_root/dev/shm" 2>/dev/null
    true
}

# A system of which nothing is left out that a package may expect; services do not start in it.
fresh_make() {
    debootstrap --variant=minbase bookworm "$fresh_root" ${KVS_MIRROR:+"$KVS_MIRROR"} || return 1
    printf '#!/bin/sh\nexit 101\n' >"$fresh_root/usr/sbin/policy-rc.d"
    chmod 755 "$fresh_root/usr/sbin/policy-rc.d"
    mount -t proc proc "$fresh_root/proc"
    mkdir -p "$fresh_root/dev/shm" && mount -t tmpfs tmpfs "$fresh_root/dev/shm"
    cp "$work"/new/kvs_*.deb "$fresh_root/tmp/new.deb"
    cp "$work"/old/kvs_*.deb "$fresh_root/tmp/old.deb" 2>/dev/null || true
    fresh apt-get -q update && fresh apt-get -q -y install --no-install-recommends lighttpd curl
    # What is there before the package: all that may be there after it was purged.
    fresh_files >"$work/before"
}

# Every file but those that apt, dpkg and logs keep of any installation.
fresh_files() {
    (cd "$fresh_root" && find . -xdev \( -path ./proc -o -path ./dev -o -path ./tmp -o -path ./var/cache -o -path ./var/log \
        -o -path ./var/lib/apt -o -path ./var/lib/dpkg \) -prune -o -print | sort)
}

# As for a release: compiled anew, with Debian's own flags.
fresh_packages() {
    local old
    mkdir "$work/new" "$work/old"
    DEB_BUILD_OPTIONS=nocheck deploy/debian/build --to "$work/new" || return 1
    old=$(git rev-parse --verify --quiet "${KVS_OLD:-HEAD~1}") || return 0 # a release without its history
    mkdir "$work/tree" && git archive "$old" | tar -x -C "$work/tree" || return 1
    (cd "$work/tree" && ./autogen.sh && ./configure && make -j"$(nproc)" fcgi/kvs.fcgi tools/kvs-maint) || return 1
    strip "$work/tree/fcgi/kvs.fcgi" "$work/tree/tools/kvs-maint"
}

fresh_install() {
    fresh apt-get -q -y install --no-install-recommends /tmp/new.deb
}

# Owner, group and mode of what the installation made.
fresh_installed() {
    local token
    [ "$(fresh stat -c '%U %G %a' /etc/kvs/kvs.conf)" = "root kvs 640" ] || return 1
    [ "$(fresh stat -c '%U %G %a' /var/lib/kvs)" = "kvs kvs 750" ] || return 1
    fresh install -o root -g kvs -m 0640 /usr/share/kvs/kvs.conf.sample /tmp/kvs.conf || return 1
    token=$(fresh_token)
    [ "${#token}" -ge 32 ] && [ "$(fresh ls -A /var/lib/kvs | wc -l)" -eq 0 ]
}

fresh_token() {
    sed -n 's/^access_token = //p' "$fresh_root/etc/kvs/kvs.conf"
}

# What kvs.service and kvs.socket say, without systemd.
fresh_serve() {
    install -d "$fresh_root/run/kvs" && fresh chown kvs:kvs /run/kvs
    fresh_exec env KVS_CONFIG=/etc/kvs/kvs.conf setpriv --reuid=kvs --regid=kvs --clear-groups \
        sh -c 'cd /var/lib/kvs && exec /usr/libexec/kvs/kvs.fcgi --listen /run/kvs/kvs.sock' >>"$work/fcgi.log" 2>&1 </dev/null &
    fresh_pids+=($!)
    fresh_wait test -S "$fresh_root/run/kvs/kvs.sock" && fresh chgrp www-data /run/kvs/kvs.sock
}

fresh_wait() {
    local _
    for _ in {1..600}; do
        "$@" && return
        sleep 0.1
    done
    return 1
}

# As the package says: enable its file, start lighttpd.
fresh_lighttpd() {
    fresh lighttpd-enable-mod fastcgi kvs || true # 2: a module that another needs was enabled, too
    [ -L "$fresh_root/etc/lighttpd/conf-enabled/50-kvs.conf" ] || return 1
    sed -i "s/^server.port .*/server.port = $fresh_port/" "$fresh_root/etc/lighttpd/lighttpd.conf"
    fresh_exec lighttpd -D -f /etc/lighttpd/lighttpd.conf >>"$work/lighttpd.log" 2>&1 </dev/null &
    fresh_pids+=($!)
    fresh_wait fresh curl -fsS "http://127.0.0.1:$fresh_port/kvs/health"
}

fresh_post() {
    fresh curl -fsS -H "Authorization: Bearer $(fresh_token)" --json "$2" "http://127.0.0.1:$fresh_port/kvs$1"
}

fresh_session() {
    fresh_post /kv/set '{"key":["a"],"value":[1,"zwei"]}' | grep '"ok":true' &&
        fresh_post /kv/get '{"key":["a"]}' | grep '"value":\[1,"zwei"\]' &&
        fresh_post /bucket/create '{"name":"m","options":{"storage":"memory"}}' &&
        fresh_post /kv/set '{"bucket":"m","key":["a"],"value":1}' &&
        [ "$(fresh stat -c '%U %G %a' /var/lib/kvs/kv.db)" = "kvs kvs 660" ]
}

# One of everything, by the program of the commit before; the dump is what has to be there afterwards.
fresh_old_database() {
    mkdir "$work/olddata"
    KVS_OLD_BUILD=$work/tree node tests/package/lib/fill.mjs "$work/olddata/kv.db" "$work/old.dump"
}

fresh_take_over() {
    rm -f "$fresh_root"/var/lib/kvs/*
    cp "$work"/olddata/kv.db* "$fresh_root/var/lib/kvs/"
    fresh chown -R kvs:kvs /var/lib/kvs
    fresh setpriv --reuid=kvs --regid=kvs --clear-groups env KVS_CONFIG=/etc/kvs/kvs.conf kvs-maint check || return 1
    fresh setpriv --reuid=kvs --regid=kvs --clear-groups env KVS_CONFIG=/etc/kvs/kvs.conf kvs-maint dump >"$work/new.dump" || return 1
    [ "$(wc -l <"$work/old.dump")" -gt 20 ] && diff "$work/old.dump" "$work/new.dump"
}

# A second installation, as an upgrade, leaves the token and the data.
fresh_again() {
    local token
    token=$(fresh_token)
    fresh dpkg -i /tmp/new.deb && [ "$(fresh_token)" = "$token" ] && [ -s "$fresh_root/var/lib/kvs/kv.db" ] || return 1
    fresh apt-get -q -y remove kvs && [ "$(fresh_token)" = "$token" ] && [ -s "$fresh_root/var/lib/kvs/kv.db" ] || return 1
    fresh apt-get -q -y install --no-install-recommends /tmp/new.deb && [ "$(fresh_token)" = "$token" ]
}

fresh_purge() {
    fresh apt-get -q -y purge kvs && fresh apt-get -q -y autoremove --purge || return 1
    ! fresh getent passwd kvs || return 1
    ! fresh getent group kvs || return 1
    [ -z "$(find "$fresh_root/dev/shm" -name 'kvs-*')" ] || return 1
    fresh_files >"$work/after"
    comm -13 "$work/before" "$work/after" | grep -vE '^\./(run/lighttpd|run/adduser|etc/(passwd|group|gshadow|shadow|subuid|subgid)-)' >"$work/left" || true
    # lighttpd's own module was enabled by us, and is what may stay.
    grep -v '^\./etc/lighttpd/conf-enabled/10-fastcgi.conf$' "$work/left" && return 1
    true
}

fresh_checks() {
    trap 'fresh_end; rm -rf "$work"' EXIT
    fresh_port=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })')
    check "fresh: the packages are compiled" fresh_packages
    check "fresh: a Debian is made" fresh_make
    check "fresh: the package installs" fresh_install
    check "fresh: with a token that only it can read, and no data" fresh_installed
    # Not in a subshell: they start what later ones need.
    fresh_serve && fresh_lighttpd
    check "fresh: it serves behind lighttpd" fresh_session
    fresh_stop # not in a check, a subshell, which could not wait for them
    if [ -d "$work/tree" ]; then
        check "fresh: the commit before writes a database" fresh_old_database
        check "fresh: which is taken over whole" fresh_take_over
    else
        skip "fresh: a database of the commit before is taken over" "there is no history"
    fi
    check "fresh: upgrade, removal and installation leave token and data" fresh_again
    check "fresh: purging leaves nothing" fresh_purge
    fresh_end
}
