#include <errno.h>

#include "base/fiber.h"
#include "deploy/engine.h"

/* How often an undo, or a step behind COMMIT, is tried before it is left to recover, and the first pause between; it
 * doubles. */
#define TRIES      4
#define PAUSE_USEC (100 * USEC_PER_MSEC)

typedef struct Engine {
        const StepTable *table;
        Journal *journal;
        Deploy *deploy;
        const EngineObserver *observer;
        EngineOutcome *outcome;
        unsigned n_before;
        unsigned n_all;
} Engine;

void engine_outcome_clear(EngineOutcome *o) {
        error_clear(&o->cause);
        error_clear(&o->fault);
        *o = (EngineOutcome){0};
}

static unsigned count(const StepType *const *steps) {
        unsigned n = 0;

        while (steps[n])
                n++;
        return n;
}

static void engine_init(Engine *g, const StepTable *table, Journal *j, Deploy *d,
                const EngineObserver *observer, EngineOutcome *outcome) {
        *outcome = (EngineOutcome){.result = ENGINE_COMMITTED};
        *g = (Engine){.table = table, .journal = j, .deploy = d, .observer = observer, .outcome = outcome};
        g->n_before = count(table->before);
        g->n_all = g->n_before + count(table->after);
}

static void tell(const Engine *g, EngineMoment moment, const StepType *step, unsigned index,
                const Error *error) {
        if (g->observer)
                g->observer->on_moment(moment, step, index + 1, g->n_all, error, g->observer->userdata);
}

/* A way to do something that must come about in the end, and what is told of it. */
typedef struct Attempt {
        int (*action)(Deploy *d, Error *e);
        EngineMoment begin, success, failure;
} Attempt;

/* Tries until it holds, or leaves it to recover. A request to stop ends one wait of the step and so one try: it does not
 * turn the direction again. */
static int until_it_holds(Engine *g, const Attempt *a, const StepType *step, unsigned index) {
        uint64_t pause = PAUSE_USEC;

        for (unsigned try = 1;; try++) {
                _cleanup_error_ Error error = ERROR_INIT;
                int r;

                tell(g, a->begin, step, index, NULL);
                r = a->action(g->deploy, &error);
                if (r == 0) {
                        tell(g, a->success, step, index, NULL);
                        return 0;
                }
                tell(g, a->failure, step, index, &error);
                if (r > 0 || try == TRIES) {
                        if (error.message || !g->outcome->fault.message)
                                error_move(&g->outcome->fault, &error);
                        return r;
                }
                (void) fiber_sleep(pause);
                pause *= 2;
        }
}

/* Undoes steps @last..0, as far as they began and were not undone yet, up to the first that cannot be: what stands below
 * it may be what it still rests on. The journal is told where it can be: on a full or failing disk the way back goes on
 * all the same, because what it does can be repeated. */
static void go_back(Engine *g, unsigned last) {
        bool unhealthy = false;
        int r = 0;

        for (unsigned i = last + 1; r >= 0 && i-- > 0;) {
                const StepType *step = g->table->before[i];
                const Attempt undo = {step->undo, MOMENT_UNDO, MOMENT_UNDONE, MOMENT_UNDO_FAILED};

                if (!journal_has(g->journal, RECORD_INTENT, step->name) ||
                                journal_has(g->journal, RECORD_UNDONE, step->name))
                        continue;
                r = until_it_holds(g, &undo, step, i);
                unhealthy = unhealthy || r == ENGINE_UNHEALTHY;
                if (r == 0) /* what is not well is proved anew, should we crash here */
                        (void) journal_append(
                                        g->journal, &(RecordNew){RECORD_UNDONE, step->name, NULL}, 1, NULL);
        }
        g->outcome->result = r < 0 ? ENGINE_STUCK : unhealthy ? ENGINE_BACK_BROKEN : ENGINE_TAKEN_BACK;
}

/* Step @i ended with @r and @error: the direction changes. */
static void abort_at(Engine *g, unsigned i, int r, Error *error) {
        const StepType *step = g->table->before[i];
        _cleanup_json_ json_t *data = NULL;

        g->outcome->failed = step;
        g->outcome->number = r;
        tell(g, MOMENT_ABORT, step, i, error);
        data = json_pack("{ss ss* sb}", "step", step->name, "error", error->message, "fault",
                        g->outcome->at_fault);
        (void) journal_append(g->journal, &(RecordNew){RECORD_ABORT, NULL, data}, 1, NULL);
        error_move(&g->outcome->cause, error);
        go_back(g, i);
}

static void set_cancelled(Error *e) {
        error_set(e, ERROR_FAILED, -ECANCELED, "stopped on request");
}

/* Whether a step that ended with @r found that what it brings does not work: StepType.start. */
static bool is_at_fault(int r) {
        return r == -EIO || r == -ETIMEDOUT || r == -EREMOTEIO;
}

/* Runs the steps before COMMIT; *ret_last is the last that began. */
static int run_steps(Engine *g, unsigned *ret_last, Error *e) {
        const StepType *const *steps = g->table->before;

        for (unsigned i = 0; i < g->n_before; i++) {
                int r = 0;

                if (i > 0) {
                        const RecordNew records[] = {{RECORD_DONE, steps[i - 1]->name, NULL},
                                        {RECORD_INTENT, steps[i]->name, NULL}};

                        r = journal_append(g->journal, records, ELEMENTS_OF(records), e);
                        if (r < 0)
                                return r;
                }
                *ret_last = i;
                tell(g, MOMENT_START, steps[i], i, NULL);
                r = steps[i]->start(g->deploy, e);
                if (r < 0) {
                        if (r == -ECANCELED)
                                set_cancelled(e);
                        g->outcome->at_fault = is_at_fault(r);
                        tell(g, MOMENT_FAILED, steps[i], i, e);
                        return r;
                }
                tell(g, MOMENT_DONE, steps[i], i, NULL);
        }
        return 0;
}

static int commit(Engine *g, Error *e) {
        const StepType *last = g->table->before[g->n_before - 1], *next = g->table->after[0];
        const RecordNew records[] = {{RECORD_DONE, last->name, NULL}, {RECORD_COMMIT, NULL, NULL},
                        {RECORD_INTENT, next ? next->name : NULL, NULL}};

        if (fiber_take_cancel()) { /* asked while the last step was ending: still in time */
                set_cancelled(e);
                return -ECANCELED;
        }
        /* the point of no return is here */
        return journal_append(g->journal, records, next ? 3 : 2, e);
}

/* Up to COMMIT. False where it is not reached. */
static bool run_before(Engine *g) {
        _cleanup_error_ Error error = ERROR_INIT;
        unsigned last = 0;
        int r;

        r = run_steps(g, &last, &error);
        if (r >= 0) {
                r = commit(g, &error);
                if (r >= 0) {
                        tell(g, MOMENT_COMMIT, NULL, last, NULL);
                        return true;
                }
                if (journal_is_in_doubt(g->journal)) {
                        /* COMMIT may be on disk or not: while all steps stand, either direction is right */
                        g->outcome->result = ENGINE_STUCK;
                        g->outcome->number = r;
                        error_move(&g->outcome->fault, &error);
                        return false;
                }
        }
        abort_at(g, last, r, &error);
        return false;
}

/* Runs what of the steps behind COMMIT is not done. */
static void run_after(Engine *g) {
        for (unsigned i = 0; g->table->after[i]; i++) {
                const StepType *step = g->table->after[i], *next = g->table->after[i + 1];
                const Attempt start = {step->start, MOMENT_START, MOMENT_DONE, MOMENT_FAILED};
                const RecordNew records[] = {{RECORD_DONE, step->name, NULL},
                                {RECORD_INTENT, next ? next->name : NULL, NULL}};

                if (journal_has(g->journal, RECORD_DONE, step->name))
                        continue;
                if (until_it_holds(g, &start, step, g->n_before + i) < 0 ||
                                (next && journal_append(g->journal, records, 2, &g->outcome->fault) < 0)) {
                        g->outcome->result = ENGINE_UNFINISHED;
                        return;
                }
        }
        g->outcome->result = ENGINE_COMMITTED;
}

/* Has it written down what came of it, then closes the journal, unless something is left for recover. A journal that
 * cannot be closed is recovered once more, which finds nothing to do. */
static void finish(Engine *g) {
        static const char *const names[] = {
                        [ENGINE_COMMITTED] = "committed",
                        [ENGINE_TAKEN_BACK] = "taken-back",
                        [ENGINE_BACK_BROKEN] = "back-broken",
        };
        _cleanup_json_ json_t *data = NULL;

        if (g->observer && g->observer->on_outcome &&
                        g->observer->on_outcome(g->outcome, g->observer->userdata) < 0)
                return;
        if (g->outcome->result == ENGINE_STUCK || g->outcome->result == ENGINE_UNFINISHED)
                return;
        data = json_pack("{ss}", "result", names[g->outcome->result]);
        (void) journal_append(g->journal, &(RecordNew){RECORD_END, NULL, data}, 1, NULL);
}

int engine_run(const StepTable *table, Journal *j, Deploy *d, const EngineObserver *observer,
                EngineOutcome *ret) {
        Engine g;

        engine_init(&g, table, j, d, observer, ret);
        if (run_before(&g))
                run_after(&g);
        finish(&g);
        return 0;
}

/* Whether @step, which began and is not known to have ended, left anything to undo. */
static bool left_nothing(const Engine *g, const StepType *step) {
        if (journal_has(g->journal, RECORD_DONE, step->name) || !step->inspect)
                return false;
        return step->inspect(g->deploy, NULL) == 0;
}

/* The last step that began. */
static unsigned last_begun(const Engine *g) {
        unsigned last = 0;

        for (unsigned i = 0; i < g->n_before; i++)
                if (journal_has(g->journal, RECORD_INTENT, g->table->before[i]->name))
                        last = i;
        return last;
}

/* Why it goes back: what ABORT says, or else the crash itself, at step @last. */
static void set_cause(Engine *g, unsigned last) {
        const json_t *abort = journal_data(g->journal, RECORD_ABORT);
        const char *name = json_get_string(abort, "step"), *error = json_get_string(abort, "error");

        for (unsigned i = 0; name && i < g->n_before; i++)
                if (streq(g->table->before[i]->name, name))
                        last = i;
        g->outcome->failed = g->table->before[last];
        g->outcome->at_fault = json_get_boolean(abort, "fault", false);
        g->outcome->number =
                        error_set(&g->outcome->cause, ERROR_FAILED, -EINTR, "%s", error ?: "interrupted");
}

int engine_recover(const StepTable *table, Journal *j, Deploy *d, const EngineObserver *observer,
                EngineOutcome *ret) {
        const StepType *step;
        unsigned last;
        Engine g;

        engine_init(&g, table, j, d, observer, ret);
        if (journal_has(j, RECORD_COMMIT, NULL)) {
                run_after(&g);
                finish(&g);
                return 0;
        }
        last = last_begun(&g);
        step = table->before[last];
        set_cause(&g, last);
        tell(&g, MOMENT_ABORT, step, last, &g.outcome->cause);
        if (!journal_has(j, RECORD_UNDONE, step->name) && left_nothing(&g, step))
                (void) journal_append(j, &(RecordNew){RECORD_UNDONE, step->name, NULL}, 1, NULL);
        go_back(&g, last);
        finish(&g);
        return 0;
}
