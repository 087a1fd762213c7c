# SPDX-License-Identifier: Apache-2.0
# What the scripts share: talking to people, and processes that outlive the script that starts them.
# shellcheck shell=bash
#
# DESIGN
# A started process is known by a folder and a name. It writes its own pid to FOLDER/NAME.pid before it
# becomes the program (so there is no moment in which it runs unrecorded), and its output goes to
# FOLDER/NAME.log. A pid counts as ours only while its standard output is that very file: a stale pid
# file, or a pid that the kernel has given to someone else, is the same as no process. Nothing is ever
# found, or killed, by its program's name.

set -euo pipefail

# shellcheck disable=SC2034  # for the scripts
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# shellcheck disable=SC2034
bold='' red='' green='' dim='' plain=''
# shellcheck disable=SC2034
if [[ -t 1 && -z ${NO_COLOR-} && ${TERM-dumb} != dumb ]]; then
    bold=$'\e[1m' red=$'\e[31m' green=$'\e[32m' dim=$'\e[2m' plain=$'\e[0m'
fi

say() { printf '%s\n' "$*"; }
warn() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
    warn "$*"
    exit 1
}

# seconds_since START: one decimal, START being an earlier $EPOCHREALTIME.
seconds_since() {
    local ms=$(((${EPOCHREALTIME/[.,]/} - ${1/[.,]/}) / 1000))
    printf '%d.%d' $((ms / 1000)) $((ms % 1000 / 100))
}

# process_pid FOLDER NAME: prints the pid of the running process; fails when there is none.
process_pid() {
    local pid
    { read -r pid <"$1/$2.pid"; } 2>/dev/null || return 1
    [[ $pid =~ ^[0-9]+$ ]] || return 1
    [[ /proc/$pid/fd/1 -ef $1/$2.log ]] || return 1
    printf '%s\n' "$pid"
}

process_is_up() { process_pid "$1" "$2" >/dev/null; }

# process_start FOLDER NAME COMMAND…: in a session of its own, so that the terminal's ^C does not reach
# it, and with nothing inherited but the standard files: a held lock or pipe would outlive the script.
process_start() {
    local folder=$1 name=$2
    shift 2
    # shellcheck disable=SC2016  # expanded by the inner shell
    setsid bash -c '
        for fd in /proc/self/fd/*; do
            fd=${fd##*/}
            ((fd <= 2 || fd == 255)) || eval "exec $fd>&-"
        done
        echo $$ >"$0.pid"
        exec "$@"' "$folder/$name" "$@" </dev/null >"$folder/$name.log" 2>&1 &
}

# process_wait FOLDER NAME SECONDS CHECK…: until CHECK succeeds. When the process dies or time is up,
# says so with the end of the log, and fails.
process_wait() {
    local folder=$1 name=$2 limit=$3 end=$((SECONDS + $3)) why=''
    shift 3
    # The process has recorded itself only some milliseconds after its start.
    local born=$((SECONDS + 2))
    until "$@"; do
        if ! process_is_up "$folder" "$name" && ((SECONDS >= born)); then
            why='ended before it answered'
        elif ((SECONDS >= end)); then
            why="did not answer within $limit s"
        else
            sleep 0.05
            continue
        fi
        warn "$name $why. The end of $folder/$name.log:"
        tail -n 20 "$folder/$name.log" | sed 's/^/    /' >&2
        return 1
    done
}

# process_stop FOLDER NAME SECONDS: SIGTERM, and SIGKILL when SECONDS have passed. Not running is fine.
process_stop() {
    local folder=$1 name=$2 end=$((SECONDS + $3)) pid asked=''
    while pid=$(process_pid "$folder" "$name"); do
        if [[ -z $asked ]]; then
            asked=yes
            kill -TERM "$pid" 2>/dev/null || true
        elif ((SECONDS >= end)); then
            warn "$name (pid $pid) did not end within $3 s of SIGTERM: SIGKILL"
            kill -KILL "$pid" 2>/dev/null || true
        fi
        sleep 0.05
    done
    rm -f "$folder/$name.pid"
}

# Whether nobody listens (state 0A) there. Connecting would tell, too, but fills the queue of a listener that
# does not accept, and then hangs.
port_is_free() {
    local port
    printf -v port '%04X' "$1"
    ! grep -qsE "^ *[0-9]+: [0-9A-F]+:$port [0-9A-F]+:0000 0A " /proc/net/tcp /proc/net/tcp6
}

ports_are_free() {
    local port
    for port in "$@"; do
        port_is_free "$port" || return 1
    done
}

# free_ports COUNT (at most 10): prints the first of COUNT consecutive free ports. They lie below the
# ports that the kernel hands out to outgoing connections: from that range, a client that keeps trying
# a stopped server's port can end up connected to itself, and hold the port against the server.
free_ports() {
    local first try
    for ((try = 0; try < 1000; try++)); do
        first=$((20000 + RANDOM % 1200 * 10))
        # shellcheck disable=SC2046  # a list of numbers
        if ports_are_free $(seq "$first" $((first + $1 - 1))); then
            printf '%s\n' "$first"
            return
        fi
    done
    die "found no $1 free ports between 20000 and 32000"
}

# random_hex BYTES
random_hex() { od -An -vtx1 -N "$1" /dev/urandom | tr -d ' \n'; }

# s3_get PATH-AND-QUERY [CURL-ARGUMENT…]: a signed GET with the credentials of `scripts/stack env`.
# The secret goes to curl by a pipe: a command line can be read by every user.
s3_get() {
    local path=$1
    shift
    curl -sS --noproxy '*' --fail-with-body --max-time 10 --aws-sigv4 "aws:amz:$CRESS_S3_REGION:s3" \
        -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' --path-as-is "$@" "$CRESS_S3_ENDPOINT$path" \
        --config <(printf 'user = "%s:%s"\n' "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY")
}
