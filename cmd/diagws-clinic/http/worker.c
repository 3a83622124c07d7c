/* See worker.h. Its own file because here alone two threads meet: under one lock they hand jobs over, and nothing else
 * is shared.
 *
 * The turn: carry a job out → hand it back → let the pump send what waits and take the hub's answers → wait for a job,
 * for the hub, or a second, for others leave something in the outbox, too. Failure modes: a file that another program
 * writes to for long holds up all jobs once; from then on, until it can be written again, what writes ends as busy
 * almost at once, and reads go on; the hub away: what waits for it stays in the file.
 */
#include "http/worker.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utlist.h>

#include "base/clock.h"
#include "push/pump.h"
#include "sql/db.h"

enum { TURN_MS = 1000, PUMP_MS = 100, AGAIN_MS = 100 /* wait for a writer that was waited for in full */ };

struct worker {
	struct db *db;
	struct pump *pump;
	pthread_t thread;
	pthread_mutex_t lock;
	struct job *waiting, *done; /* utlist; under the lock, as */
	uint64_t turn;              /* of the job that was begun last */
	bool ending;
	int wake, ready;             /* eventfds: for the thread, for the loop */
	atomic_int trouble, pushing; /* what the pump said last */
};

static void
poke(int event)
{
	const uint64_t one = 1;

	/* It fails only where it is at its end, and so readable. */
	(void)!write(event, &one, sizeof(one));
}

static void
calm(int event)
{
	uint64_t count;

	(void)!read(event, &count, sizeof(count));
}

/* Whether the file is to blame, and not what was asked. */
static bool
is_trouble(int err)
{
	return err == DW_E_IO || err == DW_E_STORAGE_FULL || err == DW_E_CORRUPT || err == DW_E_PERMISSION ||
		   err == DW_E_BUSY || err == DW_E_CREATE || err == DW_E_INTERNAL;
}

/* Whether the file can be written again: at once, or another time. On a full disk only a commit shows it. */
static void
look_again(struct worker *worker)
{
	int err;

	db_patience(worker->db, 0);
	err = db_begin(worker->db, NULL);
	if (err == DW_OK)
		err = db_run(worker->db, NULL, sql_call_grow, "");
	if (err == DW_OK)
		err = db_run(worker->db, NULL, sql_call_shrink, "");
	if (err == DW_OK)
		err = db_commit(worker->db, NULL);
	db_rollback(worker->db);
	atomic_store(&worker->trouble, err);
}

static void
carry_out(struct worker *worker, struct job *job)
{
	if (atomic_load(&job->cancelled) || dw_mono_ms() > job->due) {
		job->err = DW_E_BUSY;
		return;
	}
	if (job->order.now == 0)
		job->order.now = (int64_t)(dw_now_ms() / 1000);
	db_patience(worker->db, atomic_load(&worker->trouble) == DW_E_BUSY ? AGAIN_MS : DB_PATIENCE_MS);
	job->err = job->call(worker->db, &job->order, &job->answer, &job->fault);
	if (job->err == DW_OK && !dw_buf_ok(&job->answer))
		job->err = DW_E_NOMEM;
	if (is_trouble(job->err))
		atomic_store(&worker->trouble, job->err);
	else if (job->err == DW_OK && atomic_load(&worker->trouble) != DW_OK) /* it may only have read */
		look_again(worker);
}

/* NULL: there is none. */
static struct job *
next_job(struct worker *worker, bool *ending)
{
	struct job *job;

	(void)pthread_mutex_lock(&worker->lock);
	*ending = worker->ending;
	job = worker->waiting;
	if (job != NULL) {
		DL_DELETE(worker->waiting, job);
		worker->turn = job->turn;
	}
	(void)pthread_mutex_unlock(&worker->lock);
	return job;
}

static void
hand_back(struct worker *worker, struct job *job)
{
	(void)pthread_mutex_lock(&worker->lock);
	DL_APPEND(worker->done, job);
	(void)pthread_mutex_unlock(&worker->lock);
	poke(worker->ready);
}

/* How long it may be left alone then. */
static int
push(struct worker *worker)
{
	bool idle = false;
	int err;

	db_patience(worker->db, AGAIN_MS);
	err = pump_run(worker->pump, &idle, NULL);
	if ((err != DW_OK && err != DW_E_BUSY) || idle)
		atomic_store(&worker->pushing, err);
	return err != DW_OK || idle ? TURN_MS : PUMP_MS;
}

static void *
run(void *arg)
{
	struct worker *worker = arg;

	for (;;) {
		struct pollfd fds[] = { { .fd = worker->wake, .events = POLLIN }, { .fd = -1, .events = POLLIN } };
		int wait_ms;
		bool ending;
		struct job *job = next_job(worker, &ending);

		if (job != NULL && ending)
			job->err = DW_E_CLOSING;
		else if (job != NULL)
			carry_out(worker, job);
		else if (ending)
			return NULL;
		else if (atomic_load(&worker->trouble) != DW_OK)
			look_again(worker);
		if (job != NULL)
			hand_back(worker, job);
		if (ending)
			continue;
		wait_ms = push(worker);
		fds[1].fd = pump_fd(worker->pump);
		(void)poll(fds, 2, job != NULL ? 0 : wait_ms);
		if (fds[0].revents != 0)
			calm(worker->wake);
	}
}

/* Signals are the loop's. */
static int
start(struct worker *worker)
{
	sigset_t all, before;
	int failed;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	failed = pthread_create(&worker->thread, NULL, run, worker);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return failed == 0 ? DW_OK : DW_E_NOMEM;
}

int
worker_new(struct worker **out, struct db *db, struct pump *pump)
{
	struct worker *worker = calloc(1, sizeof(*worker));

	if (worker == NULL)
		return DW_E_NOMEM;
	worker->db = db;
	worker->pump = pump;
	(void)pthread_mutex_init(&worker->lock, NULL);
	worker->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	worker->ready = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (worker->wake < 0 || worker->ready < 0) {
		worker_destroy(&worker);
		return DW_E_NOMEM;
	}
	if (start(worker) != DW_OK) {
		worker_destroy(&worker);
		return DW_E_NOMEM;
	}
	*out = worker;
	return DW_OK;
}

void
worker_end(struct worker *worker)
{
	(void)pthread_mutex_lock(&worker->lock);
	worker->ending = true;
	(void)pthread_mutex_unlock(&worker->lock);
	poke(worker->wake);
	(void)pthread_join(worker->thread, NULL);
}

void
worker_destroy(struct worker **worker_p)
{
	struct worker *worker = *worker_p;

	if (worker == NULL)
		return;
	*worker_p = NULL;
	if (worker->wake >= 0)
		(void)close(worker->wake);
	if (worker->ready >= 0)
		(void)close(worker->ready);
	(void)pthread_mutex_destroy(&worker->lock);
	free(worker);
}

static int
compare_turns(const struct job *waiting, const struct job *job)
{
	return waiting->turn <= job->turn ? -1 : 1;
}

void
worker_add(struct worker *worker, struct job *job)
{
	job->due = dw_mono_ms() + WORKER_WAIT_MS;
	(void)pthread_mutex_lock(&worker->lock);
	if (job->turn < worker->turn)
		job->turn = worker->turn;
	DL_INSERT_INORDER(worker->waiting, job, compare_turns);
	(void)pthread_mutex_unlock(&worker->lock);
	poke(worker->wake);
}

void
worker_cancel(struct job *job)
{
	atomic_store(&job->cancelled, true);
}

struct job *
worker_take(struct worker *worker)
{
	struct job *job;

	calm(worker->ready);
	(void)pthread_mutex_lock(&worker->lock);
	job = worker->done;
	if (job != NULL)
		DL_DELETE(worker->done, job);
	(void)pthread_mutex_unlock(&worker->lock);
	return job;
}

int
worker_fd(const struct worker *worker)
{
	return worker->ready;
}

int
worker_trouble(const struct worker *worker)
{
	return atomic_load(&worker->trouble);
}

int
worker_pushing(const struct worker *worker)
{
	return atomic_load(&worker->pushing);
}
