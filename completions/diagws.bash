# Completion for diagws and its commands, for bash.
#
# The words come from the commands themselves (--list-words prints their options and sub-commands), so
# they cannot fall behind. Commands: diagws diagws-up diagws-hub diagws-edge diagws-send diagws-stat
# diagws-owner diagws-token.

_diagws_words() {
    "$@" --list-words 2>/dev/null
}

_diagws() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local command=("${COMP_WORDS[0]}")

    COMPREPLY=()
    # `diagws NAME …` completes as diagws-NAME does.
    if [[ ${command[0]##*/} == diagws ]] && ((COMP_CWORD > 1)); then
        command+=("${COMP_WORDS[1]}")
    fi
    case $previous in
        --key-file | --tls-cert | --tls-key | --token-file)
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            return
            ;;
        --keys | --state-dir)
            mapfile -t COMPREPLY < <(compgen -d -- "$current")
            return
            ;;
    esac
    # diagws-send takes @FILE.
    if [[ $current == @* ]]; then
        mapfile -t COMPREPLY < <(compgen -P @ -f -- "${current#@}")
        return
    fi
    mapfile -t COMPREPLY < <(compgen -W "$(_diagws_words "${command[@]}")" -- "$current")
    if [[ ${#COMPREPLY[@]} -eq 0 && $current != -* ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
    fi
}

complete -F _diagws diagws diagws-hub diagws-edge diagws-send diagws-stat diagws-owner diagws-token
