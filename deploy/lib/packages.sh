# shellcheck shell=sh
# Installing Debian packages; for quickstart and tests/run, which source this.  POSIX sh.

# What building needs.
# shellcheck disable=SC2034 # for who sources this
PACKAGES_BUILD="gcc libc6-dev make autoconf automake pkg-config
    libcjson-dev libfcgi-dev libinih-dev libsodium-dev libsqlite3-dev libzstd-dev"

# packages_missing NAME…: prints those that are not installed.
packages_missing() {
    for package in "$@"; do
        if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
            printf '%s ' "$package"
        fi
    done
}

# packages_root COMMAND…: runs it as root.
packages_root() {
    if [ "$(id -u)" -eq 0 ]; then
        env DEBIAN_FRONTEND=noninteractive "$@"
    else
        sudo env DEBIAN_FRONTEND=noninteractive "$@"
    fi
}

packages_apt() {
    packages_root apt-get -q -y -o DPkg::Lock::Timeout=300 "$@"
}

# While this runs, packages that are installed start no services; the caller removes the file.
packages_forbid_services() {
    # shellcheck disable=SC2016 # the inner shell expands
    packages_root sh -c 'test -e "$1" && exit 1; printf "#!/bin/sh\nexit 101\n" >"$1" && chmod 755 "$1"' sh "$1"
}

# packages_install NAME…: installs the missing ones, quick where there are none.  A web server that comes this way is
# neither started now nor enabled for later.  Fails with a message.
packages_install() {
    missing=$(packages_missing "$@")
    [ -n "$missing" ] || return 0
    if ! command -v apt-get >/dev/null; then
        echo "not a Debian system; install what corresponds to: $missing" >&2
        return 1
    fi
    if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
        echo "packages are missing, and there is no sudo; as root:  apt-get install $missing" >&2
        return 1
    fi
    echo "installing: $missing" >&2
    (
        policy=/usr/sbin/policy-rc.d
        if packages_forbid_services "$policy"; then
            trap 'packages_root rm -f "$policy"' EXIT
            trap 'exit 1' HUP INT TERM
        fi
        fresh=no
        if ! ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1; then
            packages_apt update
            fresh=yes
        fi
        # shellcheck disable=SC2086 # a list of words
        if ! packages_apt install --no-install-recommends $missing; then
            [ "$fresh" = no ] || exit 1
            packages_apt update
            packages_apt install --no-install-recommends $missing
        fi
    ) >&2 || return 1
    for service in apache2 caddy fcgiwrap.socket fcgiwrap.service lighttpd nginx prometheus; do
        case " $missing " in
        *" ${service%.*} "*)
            if [ -d /run/systemd/system ]; then
                packages_root systemctl disable --quiet --now "$service" >&2 || true
            fi
            ;;
        esac
    done
}
