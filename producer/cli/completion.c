// SPDX-License-Identifier: Apache-2.0
// Completion scripts for bash, zsh and fish, from the tables of verbs and options. Names of queues
// are asked for when they are wanted.
#include "producer/cli/help.h"

#include <string.h>

#define ASK_QUEUES "cress queues --connect-timeout 1s 2>/dev/null | cut -f 1"

const char *const cress_shells[] = {"bash", "zsh", "fish", NULL};

static void print_words(const char *const *words, FILE *out)
{
    for (size_t i = 0; words[i]; i++) {
        fprintf(out, "%s%s", i ? " " : "", words[i]);
    }
}

/* `text` inside single quotes; `special` characters get a backslash. */
static void print_quoted(const char *text, const char *special, FILE *out)
{
    for (; *text; text++) {
        if (*text == '\'') {
            fputs("'\\''", out);
        } else {
            if (strchr(special, *text)) {
                fputc('\\', out);
            }
            fputc(*text, out);
        }
    }
}

/* --- bash --- */

static void bash_flag_values(const struct cress_verb *verb, const struct cress_flag *flag,
                             FILE *out)
{
    for (; flag && flag->name; flag++) {
        if (flag->kind == CRESS_FLAG_SWITCH || flag->optional) {
            continue;
        }
        fprintf(out, "    %s:--%s) ", verb ? verb->name : "*", flag->name);
        if (flag->words) {
            fputs("words='", out);
            print_words(flag->words, out);
            fputs("' ;;\n", out);
        } else if (flag->is_queue) {
            fputs("words=$(" ASK_QUEUES ") ;;\n", out);
        } else if (flag->is_file) {
            fputs("mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); return ;;\n", out);
        } else {
            fputs("return ;;\n", out);
        }
    }
}

static void bash_flag_names(const struct cress_flag *flag, FILE *out)
{
    for (; flag && flag->name; flag++) {
        fprintf(out, " --%s", flag->name);
    }
}

static void print_bash(FILE *out)
{
    fputs("# SPDX-License-Identifier: Apache-2.0\n"
          "# bash completion for cress; made by `cress completion bash`.\n"
          "_cress() {\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} verb='' "
          "words='' i\n"
          "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
          "        [[ ${COMP_WORDS[i]} == -* ]] || { verb=${COMP_WORDS[i]}; break; }\n"
          "    done\n"
          "    COMPREPLY=()\n"
          "    case $verb:$prev in\n",
          out);
    for (size_t i = 0; cress_verbs[i]; i++) {
        bash_flag_values(cress_verbs[i], cress_verbs[i]->flags, out);
    }
    bash_flag_values(NULL, cress_common_flags, out);
    fputs("    *) case $verb in\n        '') words='", out);
    for (size_t i = 0; cress_verbs[i]; i++) {
        fprintf(out, "%s%s", i ? " " : "", cress_verbs[i]->name);
    }
    fputs("' ;;\n", out);
    for (size_t i = 0; cress_verbs[i]; i++) {
        fprintf(out, "        %s) words='", cress_verbs[i]->name);
        if (cress_verbs[i]->words) {
            print_words(cress_verbs[i]->words, out);
        }
        bash_flag_names(cress_verbs[i]->flags, out);
        bash_flag_names(cress_common_flags, out);
        fputs("' ;;\n", out);
    }
    fputs("        esac ;;\n"
          "    esac\n"
          "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
          "}\n"
          "complete -o default -F _cress cress\n",
          out);
}

/* --- zsh --- */

static void zsh_flags(const struct cress_flag *flag, FILE *out)
{
    for (; flag && flag->name; flag++) {
        const bool has_value = flag->kind != CRESS_FLAG_SWITCH;
        fprintf(out, " \\\n            '--%s%s[", flag->name, flag->optional ? "=-" : "");
        print_quoted(flag->help, "[]:\\", out);
        fputc(']', out);
        if (has_value) {
            fprintf(out, "%s:%s:", flag->optional ? ":" : "", flag->value);
        }
        if (flag->words) {
            fputc('(', out);
            print_words(flag->words, out);
            fputc(')', out);
        } else if (flag->is_queue) {
            fputs("_cress_queues", out);
        } else if (flag->is_file) {
            fputs("_files", out);
        }
        fputc('\'', out);
    }
}

static void print_zsh(FILE *out)
{
    fputs("#compdef cress\n"
          "# SPDX-License-Identifier: Apache-2.0\n"
          "# zsh completion for cress; made by `cress completion zsh`.\n"
          "_cress_queues() {\n"
          "    compadd -- ${(f)\"$(" ASK_QUEUES ")\"}\n"
          "}\n"
          "_cress() {\n"
          "    local -a verbs=(\n",
          out);
    for (size_t i = 0; cress_verbs[i]; i++) {
        fprintf(out, "        '%s:", cress_verbs[i]->name);
        print_quoted(cress_verbs[i]->summary, ":\\", out);
        fputs("'\n", out);
    }
    fputs("    )\n"
          "    if ((CURRENT == 2)); then\n"
          "        _describe verb verbs\n"
          "        return\n"
          "    fi\n"
          "    shift words\n"
          "    ((CURRENT--))\n"
          "    case $words[1] in\n",
          out);
    for (size_t i = 0; cress_verbs[i]; i++) {
        fprintf(out, "    %s)\n        _arguments", cress_verbs[i]->name);
        zsh_flags(cress_verbs[i]->flags, out);
        zsh_flags(cress_common_flags, out);
        if (cress_verbs[i]->words) {
            fputs(" \\\n            '1:what:(", out);
            print_words(cress_verbs[i]->words, out);
            fputs(")'", out);
        } else {
            fputs(" \\\n            '*:operand:_files'", out);
        }
        fputs("\n        ;;\n", out);
    }
    fputs("    esac\n}\n_cress \"$@\"\n", out);
}

/* --- fish --- */

static void fish_flags(const char *condition, const struct cress_flag *flag, FILE *out)
{
    for (; flag && flag->name; flag++) {
        fprintf(out, "complete -c cress%s -l %s", condition, flag->name);
        if (flag->kind != CRESS_FLAG_SWITCH && !flag->optional) {
            fputs(flag->is_file ? " -rF" : " -x", out);
        }
        if (flag->words) {
            fputs(" -a '", out);
            print_words(flag->words, out);
            fputc('\'', out);
        } else if (flag->is_queue) {
            fputs(" -a '(" ASK_QUEUES ")'", out);
        }
        fputs(" -d '", out);
        print_quoted(flag->help, "\\", out);
        fputs("'\n", out);
    }
}

static void print_fish(FILE *out)
{
    fputs("# SPDX-License-Identifier: Apache-2.0\n"
          "# fish completion for cress; made by `cress completion fish`.\n",
          out);
    for (size_t i = 0; cress_verbs[i]; i++) {
        fprintf(out, "complete -c cress -n __fish_use_subcommand -f -a %s -d '",
                cress_verbs[i]->name);
        print_quoted(cress_verbs[i]->summary, "\\", out);
        fputs("'\n", out);
    }
    for (size_t i = 0; cress_verbs[i]; i++) {
        char condition[96];
        snprintf(condition, sizeof condition, " -n '__fish_seen_subcommand_from %s'",
                 cress_verbs[i]->name);
        fish_flags(condition, cress_verbs[i]->flags, out);
        if (cress_verbs[i]->words) {
            fprintf(out, "complete -c cress%s -f -a '", condition);
            print_words(cress_verbs[i]->words, out);
            fputs("'\n", out);
        }
    }
    fish_flags("", cress_common_flags, out);
}

bool cress_completion_print(const char *shell, FILE *out)
{
    if (strcmp(shell, "bash") == 0) {
        print_bash(out);
    } else if (strcmp(shell, "zsh") == 0) {
        print_zsh(out);
    } else if (strcmp(shell, "fish") == 0) {
        print_fish(out);
    } else {
        return false;
    }
    return true;
}
