# SPDX-License-Identifier: Apache-2.0
# bash completion of frunctl. Commands and their options come from the program itself, names from the
# running daemon or from the file of --config.

# What follows --config and --socket on the line: the names asked for are those of that daemon.
_frunctl_where() {
    local i
    where=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --config | --socket)
            where=("${COMP_WORDS[i]}" "${COMP_WORDS[i + 1]/#\~/$HOME}")
            ;;
        esac
    done
}

# First words of the lines behind the headings of "frunctl $1 list".
_frunctl_names() {
    local where
    _frunctl_where
    frunctl "$1" list "${where[@]}" 2>/dev/null </dev/null |
        awk 'NR > 1 && NF && $1 !~ /[^A-Za-z0-9_.:-]/ { print $1 }'
}

_frunctl() {
    local cur prev group name args help key words="" spec=""
    cur=${COMP_WORDS[COMP_CWORD]}
    prev=${COMP_WORDS[COMP_CWORD - 1]}
    COMPREPLY=()

    case $prev in
    --config | --socket | --file | --ca | --certificate | --password-file | --service-key | --bundle)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    --pki)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -d -- "$cur")
        return
        ;;
    --endpoint)
        mapfile -t COMPREPLY < <(compgen -W "$(_frunctl_names endpoint)" -- "$cur")
        return
        ;;
    --to)
        mapfile -t COMPREPLY < <(compgen -W "tunnel direct sap-connectivity" -- "$cur")
        return
        ;;
    --method)
        mapfile -t COMPREPLY < <(compgen -W "yescrypt sha512" -- "$cur")
        return
        ;;
    esac

    while IFS=$'\t' read -r group name args help; do
        [ "$group" = - ] && group=""
        if [ "$COMP_CWORD" -eq 1 ]; then
            words+=" ${group:-$name}"
        elif [ -n "$group" ] && [ "${COMP_WORDS[1]}" = "$group" ]; then
            if [ "$COMP_CWORD" -eq 2 ]; then
                words+=" $name"
            elif [ "${COMP_WORDS[2]}" = "$name" ]; then
                spec=$args key=$group
            fi
        elif [ -z "$group" ] && [ "${COMP_WORDS[1]}" = "$name" ]; then
            spec=$args key=$name
        fi
    done < <(frunctl config commands 2>/dev/null)

    if [ -n "$key" ]; then
        case $cur in
        -*)
            words="$(grep -oE -- '--[a-z0-9-]+' <<<"$spec") --config --socket --help"
            ;;
        *)
            local first=${spec%% *}
            first=${first#[}
            first=${first%]}
            case $first in
            NAME*)
                words=$(_frunctl_names "$key")
                ;;
            FILE* | DIR | OLD)
                compopt -o filenames 2>/dev/null
                mapfile -t COMPREPLY < <(compgen -f -- "$cur")
                return
                ;;
            -*) ;;
            *'|'*)
                words=${first//|/ }
                ;;
            esac
            ;;
        esac
    elif [ "$COMP_CWORD" -eq 1 ]; then
        words+=" --help --version"
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur" | sort -u)
}

complete -F _frunctl frunctl
