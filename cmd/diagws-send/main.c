/* diagws-send: sends an update to every client that watches a diagnosis, from a shell, a cron job or a batch.
 *
 * One message: TYPE DIAGNOSIS [JSON|@FILE|-]. Many: -l [FILE|-], a JSON object a line. The command ends when the
 * hub has stored all of them, or it is told of each that it has not. single.c and batch.c are the two
 * ways, of which this file takes one.
 *
 * Failure modes and exit status: diagws(7). Standard input is touched only when it is what is to be sent.
 */
#include <signal.h>

#include "cli/interrupt.h"
#include "send.h"

int
main(int argc, char **argv)
{
	int first = argc;
	int err;

	dw_hold_streams();
	err = dw_opt_parse(&send_command, argc, argv, &first);

	if (err == DW_OPT_DONE)
		return 0;
	if (err == DW_OK)
		err = check_options(argc - first, argv + first);
	if (err != DW_OK)
		return dw_err_exit(err);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)dw_interrupt_fd();
	if (send_options.lines)
		return send_lines(&send_options, first < argc ? argv[first] : NULL);
	return send_single(&send_options, argv[first], argv[first + 1], first + 2 < argc ? argv[first + 2] : NULL);
}
