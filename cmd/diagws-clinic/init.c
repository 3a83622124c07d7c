/* diagws-clinic init: makes the file.
 */
#include <stdio.h>

#include "sql/db.h"
#include "verbs.h"

int
verb_init(int count, char **operands)
{
	struct dw_fault fault = { 0 };
	int err;

	if (count > 0)
		return dw_err_exit(dw_opt_misuse(&clinic_command, "'%s' is one operand too many", operands[0]));
	err = db_create(clinic_options.db, &fault);
	if (err != DW_OK)
		dw_fault_print(stderr, clinic_command.name, err, &fault, NULL);
	return dw_err_exit(err);
}
