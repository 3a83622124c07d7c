/* What reading options and printing help share.
 */
#ifndef DIAGWS_OPT_PARTS_H
#define DIAGWS_OPT_PARTS_H

#include "cli/opt.h"

/* A table of options ends with one that has neither. */
static inline bool
dw_opt_is_end(const struct dw_opt *opt)
{
	return opt->name == NULL && opt->help == NULL;
}

void dw_opt_print_help(const struct dw_command *command);
void dw_opt_print_words(const struct dw_command *command);

#endif
