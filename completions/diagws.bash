# Completion for diagws and its commands, for bash.
#
# Options and sub-commands come from --list-words, what an option's value is (FILE, DIR, one of some
# words) from --help, so nothing here can fall behind. Commands: diagws diagws-hub diagws-edge
# diagws-send diagws-stat diagws-owner diagws-token diagws-bench diagws-clinic.

# The kind of value that option $1 of a command takes, and its choices: "FILE", "WHEN auto never"; else nothing.
_diagws_value() {
    local option=$1
    shift
    "$@" --help 2>/dev/null | awk -v option="$option" '
        found && /^ +one of / { gsub(/\|/, " "); sub(/^ +one of/, ""); kind = kind $0; exit }
        found && /^ +(-., +)?--/ { exit }
        /^ +(-., +)?--[a-z-]+ [A-Z]/ {
            letter = $1; sub(/,$/, "", letter)
            name = letter ~ /^--/ ? $1 : $2
            if (letter == option || name == option) { kind = letter ~ /^--/ ? $2 : $3; found = 1 }
        }
        END { print kind }'
}

_diagws_paths() {
    mapfile -t COMPREPLY < <(compgen "$1" -- "$2")
    compopt -o filenames 2>/dev/null
}

_diagws() {
    local current=${2-${COMP_WORDS[COMP_CWORD]}} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local command=("${COMP_WORDS[0]}") value

    COMPREPLY=()
    # Bash splits --name=value in three.
    if [[ $previous == = ]]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]}
    elif [[ ${COMP_WORDS[COMP_CWORD]} == = ]]; then
        current=
    fi
    # `diagws help` takes one command, and is none to ask for words itself.
    if [[ ${command[0]##*/} == diagws && ${COMP_WORDS[1]} == help ]] && ((COMP_CWORD > 1)); then
        mapfile -t COMPREPLY < <(compgen -W "$("${command[0]}" --list-words 2>/dev/null | grep -v '^-')" -- "$current")
        return
    fi
    # `diagws NAME …` completes as diagws-NAME does.
    if [[ ${command[0]##*/} == diagws ]] && ((COMP_CWORD > 1)); then
        command+=("${COMP_WORDS[1]}")
    fi
    if [[ $previous == -* ]]; then
        value=$(_diagws_value "$previous" "${command[@]}")
        case $value in
            FILE) _diagws_paths -f "$current" ;;
            DIR) _diagws_paths -d "$current" ;;
            *' '*) mapfile -t COMPREPLY < <(compgen -W "${value#* }" -- "$current") ;;
        esac
        [[ -z $value ]] || return
    fi
    # diagws-send takes @FILE; the @ is part of what bash replaces.
    if [[ $current == @* ]]; then
        mapfile -t COMPREPLY < <(compgen -P @ -f -- "${current#@}")
        return
    fi
    mapfile -t COMPREPLY < <(compgen -W "$("${command[@]}" --list-words 2>/dev/null)" -- "$current")
    if [[ ${#COMPREPLY[@]} -eq 0 && $current != -* ]]; then
        _diagws_paths -f "$current"
    fi
}

complete -F _diagws diagws diagws-hub diagws-edge diagws-send diagws-stat diagws-owner diagws-token diagws-bench diagws-clinic
