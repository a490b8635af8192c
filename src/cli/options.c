/* SPDX-License-Identifier: MIT */
/* options.c - the command line of `weft map`, by argp */
#include "options.h"

#include <argp.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weft/runtime.h>

#include "cli.h"

#define WORKERS_MOST	   4096
#define MAX_RECORD_DEFAULT ((size_t)256 << 20)

enum {
	OPTION_RECORD = 256,
	OPTION_SKIP,
	OPTION_LIMIT,
	OPTION_MAX_RECORD,
	OPTION_UNORDERED,
	OPTION_ON_ERROR,
	OPTION_PROGRESS,
	OPTION_JSON,
	OPTION_ISOLATE,
	OPTION_RECORD_TIMEOUT,
	OPTION_MEMORY,
};

static const struct argp_option list[] = {
	{ .doc = "The input", .group = 1 },
	{ "record", OPTION_RECORD, "KIND", 0,
	  "What a record is: lines (the default), nul, blank-line (stanzas), fixed:N (N bytes "
	  "each), or the string that ends it, with \\n \\t \\0 \\xHH as in C",
	  0 },
	{ "skip", OPTION_SKIP, "N", 0, "Leave out the first N records", 0 },
	{ "limit", OPTION_LIMIT, "N", 0, "Stop after N records", 0 },
	{ "max-record", OPTION_MAX_RECORD, "SIZE", 0,
	  "A longer record is an error (default 256M; suffix K, M or G)", 0 },
	{ .doc = "The job", .group = 2 },
	{ "set", 's', "KEY=VALUE", 0, "Hand the job an argument", 0 },
	{ "on-error", OPTION_ON_ERROR, "stop|skip", 0,
	  "At a record that fails: end the run (the default), or go on without its output", 0 },
	{ "isolate", OPTION_ISOLATE, NULL, 0,
	  "Map in worker processes: a record at which the job crashes is one that fails", 0 },
	{ "record-timeout", OPTION_RECORD_TIMEOUT, "SECONDS", 0,
	  "A record that takes longer fails (implies --isolate)", 0 },
	{ "memory", OPTION_MEMORY, "SIZE", 0,
	  "What a worker process may allocate; suffix K, M or G (implies --isolate)", 0 },
	{ .doc = "The output", .group = 3 },
	{ "output", 'o', "FILE", 0,
	  "Write to FILE, which appears, or is replaced, only if the run succeeds", 0 },
	{ "unordered", OPTION_UNORDERED, NULL, 0,
	  "Write output as it comes, and not in the order of the input", 0 },
	{ .doc = "The run", .group = 4 },
	{ "workers", 'j', "N|N%", 0,
	  "Use N workers, or N% of the CPUs (default: all that the process may use)", 0 },
	{ "progress", OPTION_PROGRESS, "WHEN", 0,
	  "Show progress on standard error: auto (on a terminal), always or never", 0 },
	{ "json", OPTION_JSON, NULL, 0, "Print the closing summary as JSON", 0 },
	{ "quiet", 'q', NULL, 0, "Print no closing summary", 0 },
	{ 0 },
};

/* A whole number, and with `suffixes` one of K, M, G.  False for anything else. */
static bool parse_number(const char *text, bool suffixes, uint64_t *number)
{
	static const char units[] = "KMG";
	char *end;

	errno = 0;
	uint64_t n = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)*text) || errno)
		return false;
	const char *unit = suffixes && *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
	if (unit) {
		int shift = 10 * (int)(unit - units + 1);
		if (n > UINT64_MAX >> shift)
			return false;
		n <<= shift;
		end++;
	}
	*number = n;
	return *end == '\0';
}

unsigned weft__options_workers(const char *text, unsigned cpus)
{
	char *end;

	if (!strcmp(text, "auto"))
		return cpus;
	errno = 0;
	unsigned long n = strtoul(text, &end, 10);
	if (!isdigit((unsigned char)*text) || errno || n > 100 * WORKERS_MOST)
		return 0;
	if (!strcmp(end, "%") && n > 0) {
		n = (n * cpus + 50) / 100;
		n = n > 0 ? n : 1;
	} else if (*end) {
		return 0;
	}
	return n <= WORKERS_MOST ? (unsigned)n : 0;
}

static void set_argument(struct argp_state *state, struct weft__options *o, const char *text)
{
	const char *equals = strchrnul(text, '=');

	if (equals == text)
		argp_error(state, "--set %s: the key is missing", text);
	struct weft__setting *settings =
		realloc(o->settings, (o->setting_count + 1) * sizeof *settings);
	char *key = strndup(text, (size_t)(equals - text));
	if (!settings || !key)
		argp_failure(state, WEFT__EXIT_SYSTEM, ENOMEM, "--set");
	o->settings = settings;
	settings[o->setting_count].key = key;
	settings[o->setting_count].value = *equals ? equals + 1 : equals;
	atomic_init(&settings[o->setting_count++].used, false);
}

/* The index of `text` in `words`, a NULL-ended list. */
static int choose(struct argp_state *state, const char *option, const char *text,
		  const char *const *words)
{
	for (int i = 0; words[i]; i++)
		if (!strcmp(text, words[i]))
			return i;
	argp_error(state, "%s: no such choice: %s", option, text);
	return 0;
}

static uint64_t number(struct argp_state *state, const char *option, const char *text,
		       bool suffixes)
{
	uint64_t n = 0;

	if (!parse_number(text, suffixes, &n))
		argp_error(state, "%s: not a number: %s", option, text);
	return n;
}

static int64_t seconds(struct argp_state *state, const char *option, const char *text)
{
	char *end;
	double s = strtod(text, &end);

	if (!isdigit((unsigned char)*text) || *end || !(s >= 0.001 && s <= 1e9))
		argp_error(state, "%s: not a number of seconds, 0.001 and more: %s", option, text);
	return (int64_t)(s * 1e9);
}

static void set_record(struct argp_state *state, struct weft__options *o, const char *text)
{
	weft__record_fini(&o->record);
	if (!weft__record_parse(&o->record, text))
		argp_error(state,
			   "--record: neither lines, nul, blank-line, fixed:N nor a string: %s",
			   text);
}

static void set_workers(struct argp_state *state, struct weft__options *o, const char *name,
			const char *text, unsigned cpus)
{
	o->workers = weft__options_workers(text, cpus);
	if (o->workers == 0)
		argp_error(state, "%s: neither a number from 1 to %d nor a percentage: %s", name,
			   WORKERS_MOST, text);
}

/* WEFT_NUM_THREADS gives way to -j, and a percentage is one of the CPUs. */
static void default_workers(struct argp_state *state, struct weft__options *o, const char *text)
{
	const char *variable = getenv("WEFT_NUM_THREADS");
	char *from = variable ? strdup(variable) : NULL;

	unsetenv("WEFT_NUM_THREADS");
	unsigned cpus = weft_worker_count();
	if (text)
		set_workers(state, o, "-j", text, cpus);
	else if (from)
		set_workers(state, o, "WEFT_NUM_THREADS", from, cpus);
	else
		o->workers = cpus;
	free(from);
}

struct parsing {
	struct weft__options *options;
	const char *workers;
};

static void finish_parsing(struct argp_state *state, struct parsing *p)
{
	static char stdin_name[] = "-";
	static char *stdin_only[] = { stdin_name };
	struct weft__options *o = p->options;

	if (!o->job)
		argp_error(state, "which job?  Name a C file or a shared object");
	if (o->input_count == 0) {
		o->inputs = stdin_only;
		o->input_count = 1;
	}
	if (o->record.kind == WEFT__RECORD_FIXED && o->record.length > o->max_record)
		argp_error(state, "--record fixed:%zu is over --max-record", o->record.length);
	default_workers(state, o, p->workers);
	/* Two threads for each worker process. */
	if (o->isolate && o->workers > WORKERS_MOST / 2)
		o->workers = WORKERS_MOST / 2;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	static const char *const error_words[] = { "stop", "skip", NULL };
	static const char *const when_words[] = { "auto", "always", "never", NULL };
	struct parsing *p = state->input;
	struct weft__options *o = p->options;

	switch (key) {
	case OPTION_RECORD:
		set_record(state, o, arg);
		break;
	case OPTION_SKIP:
		o->skip = number(state, "--skip", arg, false);
		break;
	case OPTION_LIMIT:
		o->limit = number(state, "--limit", arg, false);
		break;
	case OPTION_MAX_RECORD:
		o->max_record = number(state, "--max-record", arg, true);
		break;
	case OPTION_UNORDERED:
		o->unordered = true;
		break;
	case OPTION_ON_ERROR:
		o->skip_failed = choose(state, "--on-error", arg, error_words) == 1;
		break;
	case OPTION_PROGRESS:
		o->progress = (enum weft__when)choose(state, "--progress", arg, when_words);
		break;
	case OPTION_JSON:
		o->json = true;
		break;
	case OPTION_ISOLATE:
		o->isolate = true;
		break;
	case OPTION_RECORD_TIMEOUT:
		o->isolate = true;
		o->record_timeout = seconds(state, "--record-timeout", arg);
		break;
	case OPTION_MEMORY:
		o->isolate = true;
		o->memory = number(state, "--memory", arg, true);
		break;
	case 'q':
		o->quiet = true;
		break;
	case 'o':
		o->output = arg;
		break;
	case 'j':
		p->workers = arg;
		break;
	case 's':
		set_argument(state, o, arg);
		break;
	case ARGP_KEY_ARG:
		if (o->job)
			return ARGP_ERR_UNKNOWN; /* the rest comes as ARGP_KEY_ARGS */
		o->job = arg;
		break;
	case ARGP_KEY_ARGS:
		o->inputs = state->argv + state->next;
		o->input_count = (size_t)(state->argc - state->next);
		break;
	case ARGP_KEY_END:
		finish_parsing(state, p);
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp argp = {
	.options = list,
	.parser = parse,
	.args_doc = "JOB [INPUT...]",
	.doc = "Maps the function of a job over the records of the inputs, on all cores."
	       "\vJOB is a C file that includes <weft/job.h>, compiled on the spot, or a shared "
	       "object made of one.  INPUT is a file, or - for standard input, which is also what "
	       "is read when there is none.\n\n"
	       "Exit status: 0 all is well; 1 a record or a step of the job failed; 2 usage; 3 the "
	       "job cannot be compiled, loaded or started; 4 an input cannot be read; 5 the output "
	       "cannot be written; 6 out of memory or threads; 130 interrupted; 141 the reader of "
	       "the output has gone.\n\nSee weft(1) for how to write a job.",
};

void weft__options_parse(struct weft__options *options, int argc, char **argv)
{
	struct parsing p = { .options = options };

	*options = (struct weft__options){
		.limit = UINT64_MAX,
		.max_record = MAX_RECORD_DEFAULT,
	};
	weft__record_parse(&options->record, "lines");
	argp_parse(&argp, argc, argv, 0, NULL, &p);
}

void weft__options_fini(struct weft__options *options)
{
	for (size_t i = 0; i < options->setting_count; i++)
		free(options->settings[i].key);
	free(options->settings);
	weft__record_fini(&options->record);
}

void weft__map_help(void)
{
	char name[] = "weft map", help[] = "--help";
	struct weft__options options;

	weft__options_parse(&options, 2, (char *[]){ name, help, NULL });
}
