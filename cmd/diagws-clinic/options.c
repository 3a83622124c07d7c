/* The options of diagws-clinic: one table for parsing, --help and completion. Its own file because all subcommands read
 * them, and main.c calls all subcommands.
 */
#include "cli/logging.h"
#include "cli/opt.h"
#include "verbs.h"

struct clinic_options clinic_options = { .db = "clinic.db", .seed = 1, .leeway_ms = 0, .max_connections = 1000 };

static const struct dw_opt options[] = {
	{ DW_OPT_TEXT, 0, "db", "FILE", "the clinic's file", .env = "DIAGWS_CLINIC_DB", .initial = "clinic.db",
		.target = &clinic_options.db },
	{ DW_OPT_TEXT, 0, "now", "TIME", "as if it were this time, for tests and replays: RFC 3339, or seconds since 1970",
		.target = &clinic_options.now },
	{ DW_OPT_NUMBER, 0, "limit", "N", "lists: so many entries", .target = &clinic_options.limit, .min = 1,
		.max = HISTORY_MAX },
	{ DW_OPT_NUMBER, 0, "min-samples", "N", "lists: only with so much feedback", .initial = "5",
		.target = &clinic_options.min_samples, .min = 1, .max = 1000000 },
	{ DW_OPT_CHOICE, 0, "optimization", "HOW", "predict, optimize: how bold", .initial = "balanced",
		.choices = "conservative|balanced|aggressive", .target = &clinic_options.optimization },
	{ DW_OPT_TEXT, 0, "target", "SCORE", "optimize: the score to reach, above 0 and up to 1", .initial = "0.75",
		.target = &clinic_options.target },
	{ DW_OPT_FLAG, 0, "all", NULL, "analytics run: everything, not only what may have changed",
		.target = &clinic_options.all },
	{ DW_OPT_CHOICE, 0, "input", "FORMAT", "import: what the lines are", .initial = "by the file's name, else ndjson",
		.choices = "ndjson|csv", .target = &clinic_options.input },
	{ DW_OPT_CHOICE, 0, "output", "FORMAT", "export: what the lines are", .initial = "ndjson", .choices = "ndjson|csv",
		.target = &clinic_options.output },
	{ DW_OPT_FLAG, 0, "atomic", NULL, "import: all lines or none", .target = &clinic_options.atomic },
	{ DW_OPT_FLAG, 'n', "dry-run", NULL, "import, feedback: check, change nothing", .target = &clinic_options.dry },
	{ DW_OPT_NUMBER, 0, "seed", "N", "demo: what is made up", .initial = "1", .target = &clinic_options.seed, .min = 0,
		.max = INT64_MAX },
	{ DW_OPT_HEADING, .help = "serve" },
	{ DW_OPT_LIST, 0, "listen", "ADDR", "ADDR:PORT or unix:PATH, or several", .initial = "127.0.0.1:8080",
		.target = &clinic_options.listen },
	{ DW_OPT_TEXT, 0, "keys", "DIR", "keys of tokens: KID.hs256, KID.rs256.pem, KID.es256.pem", .env = "DIAGWS_KEYS",
		.target = &clinic_options.keys },
	{ DW_OPT_TEXT, 0, "issuer", "ISS", "the iss that tokens must have", .target = &clinic_options.issuer },
	{ DW_OPT_TEXT, 0, "audience", "AUD", "the aud that tokens must have", .target = &clinic_options.audience },
	{ DW_OPT_DURATION, 0, "leeway", "DUR", "how far clocks may be apart, at most 30s", .initial = "0s",
		.target = &clinic_options.leeway_ms, .max = 30000 },
	{ DW_OPT_LIST, 0, "origin", "ORIGIN", "pages of others that may call, or several",
		.target = &clinic_options.origins },
	{ DW_OPT_LIST, 0, "edge", "URL", "where browsers find an edge, ws://HOST:PORT, or several",
		.target = &clinic_options.edges },
	{ DW_OPT_TEXT, 0, "www", "DIR", "the dashboard's files", .initial = "what was installed",
		.target = &clinic_options.www },
	{ DW_OPT_NUMBER, 0, "max-connections", "N", "HTTP connections at once", .initial = "1000",
		.target = &clinic_options.max_connections, .min = 1, .max = 100000 },
	{ 0 },
};

const struct dw_command clinic_command = {
	.name = "diagws-clinic",
	.summary = "analytics, feedback and predictions of a clinic, pushed to those who watch",
	.usage = "init | demo [--seed N]\n"
			 "import [--atomic] TABLE [FILE|-] | export TABLE\n"
			 "feedback submit|update ID [JSON|@FILE|-]\n"
			 "feedback history [DIAGNOSIS]|summary ID|trend ID|overview DIAGNOSIS|most-effective|side-effects\n"
			 "analytics run [--all] | status | recommendation ID | diagnosis ID | condition NAME | herb NAME | "
			 "trending | worst\n"
			 "predict|optimize|evolution|accuracy DIAGNOSIS | profile PATIENT | stats RECOMMENDATION\n"
			 "outbox [push]\n"
			 "serve --keys DIR [--listen ADDR:PORT]… [--edge URL]…",
	.words =
		"init import export feedback analytics predict optimize evolution accuracy profile stats outbox serve demo",
	.examples = "diagws-clinic init && diagws-clinic demo\n"
				"diagws-clinic analytics run                      # from cron\n"
				"diagws-clinic predict 101 --json | jq '.predictions[0]'",
	.groups = (const struct dw_opt *const[]) { options, dw_opt_daemon, dw_opt_hub, dw_opt_table, dw_opt_common, NULL },
};
