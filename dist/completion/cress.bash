# SPDX-License-Identifier: Apache-2.0
# bash completion for cress; made by `cress completion bash`.
_cress() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} verb='' words='' i
    for ((i = 1; i < COMP_CWORD; i++)); do
        [[ ${COMP_WORDS[i]} == -* ]] || { verb=${COMP_WORDS[i]}; break; }
    done
    COMPREPLY=()
    case $verb:$prev in
    enqueue:--queue) words=$(cress queues --connect-timeout 1s 2>/dev/null | cut -f 1) ;;
    enqueue:--delay) return ;;
    enqueue:--at) return ;;
    enqueue:--priority) words='high normal low' ;;
    enqueue:--max-attempts) return ;;
    enqueue:--backoff) words='exponential linear fixed' ;;
    enqueue:--backoff-base) return ;;
    enqueue:--backoff-cap) return ;;
    enqueue:--timeout) return ;;
    enqueue:--expires) return ;;
    enqueue:--id) return ;;
    enqueue:--key) return ;;
    enqueue:--unique) return ;;
    enqueue:--unique-for) return ;;
    enqueue:--after) return ;;
    enqueue:--jsonl) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    wait:--timeout) return ;;
    cancel:--reason) return ;;
    logs:--attempt) return ;;
    batch:--jsonl) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    batch:--then) return ;;
    batch:--then-payload) return ;;
    batch:--then-queue) words=$(cress queues --connect-timeout 1s 2>/dev/null | cut -f 1) ;;
    batch:--complete-on) words='ended succeeded' ;;
    batch:--id) return ;;
    batch:--timeout) return ;;
    batch:--reason) return ;;
    prerender:--to) return ;;
    prerender:--queue) words=$(cress queues --connect-timeout 1s 2>/dev/null | cut -f 1) ;;
    prerender:--cache-control) return ;;
    prerender:--max-attempts) return ;;
    prerender:--max-failures) return ;;
    receive:--count) return ;;
    receive:--timeout) return ;;
    dead:--queue) words=$(cress queues --connect-timeout 1s 2>/dev/null | cut -f 1) ;;
    dead:--task) return ;;
    dead:--error) return ;;
    dead:--group) return ;;
    dead:--older) return ;;
    dead:--newer) return ;;
    dead:--limit) return ;;
    dead:--rate) return ;;
    worker:--exec) return ;;
    worker:--stream) return ;;
    worker:--http) return ;;
    worker:--plugin) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    worker:--task) return ;;
    worker:--queue) words=$(cress queues --connect-timeout 1s 2>/dev/null | cut -f 1) ;;
    worker:--concurrency) return ;;
    worker:--config) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    cron:--count) return ;;
    cron:--timezone) return ;;
    doctor:--to) return ;;
    *:--connect-timeout) return ;;
    *:--color) words='auto always never' ;;
    *) case $verb in
        '') words='enqueue status wait cancel result explain logs batch prerender send receive queues limits pause resume dead worker workers cron config doctor completion version help' ;;
        enqueue) words=' --queue --delay --at --priority --max-attempts --backoff --backoff-base --backoff-cap --timeout --expires --id --key --unique --unique-for --after --after-any --wait --jsonl --json --connect-timeout --color --help' ;;
        status) words=' --attempts --watch --json --connect-timeout --color --help' ;;
        wait) words=' --timeout --any --json --connect-timeout --color --help' ;;
        cancel) words=' --reason --json --connect-timeout --color --help' ;;
        result) words=' --json --connect-timeout --color --help' ;;
        explain) words=' --json --connect-timeout --color --help' ;;
        logs) words=' --attempt --follow --json --connect-timeout --color --help' ;;
        batch) words='create add close status wait results cancel --jsonl --then --then-payload --then-queue --complete-on --id --open --watch --timeout --reason --json --connect-timeout --color --help' ;;
        prerender) words=' --to --queue --cache-control --max-attempts --wait --max-failures --json --connect-timeout --color --help' ;;
        send) words=' --json --connect-timeout --color --help' ;;
        receive) words=' --count --timeout --json --connect-timeout --color --help' ;;
        queues) words=' --json --connect-timeout --color --help' ;;
        limits) words=' --json --connect-timeout --color --help' ;;
        pause) words=' --json --connect-timeout --color --help' ;;
        resume) words=' --json --connect-timeout --color --help' ;;
        dead) words='list show groups requeue purge export --queue --task --error --group --older --newer --limit --rate --dry-run --yes --json --connect-timeout --color --help' ;;
        worker) words='run --exec --stream --http --plugin --task --queue --concurrency --config --json --connect-timeout --color --help' ;;
        workers) words=' --json --connect-timeout --color --help' ;;
        cron) words='list next run pause resume check --count --timezone --json --connect-timeout --color --help' ;;
        config) words='show check --origin --json --connect-timeout --color --help' ;;
        doctor) words=' --to --fix --dry-run --json --connect-timeout --color --help' ;;
        completion) words='bash zsh fish --json --connect-timeout --color --help' ;;
        version) words=' --json --connect-timeout --color --help' ;;
        help) words=' --man --json --connect-timeout --color --help' ;;
        esac ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -o default -F _cress cress
