#include <errno.h>
#include <pthread.h>

#include "store/queue.h"

/* A piece is free once every reader has given it back, which it does by asking for the next one. */
typedef struct Reader {
        uint64_t done; /* pieces given back */
        size_t has;    /* how many it has of those behind them */
} Reader;

struct Queue {
        pthread_mutex_t mutex;
        pthread_cond_t more, room; /* for the readers, and for the writer */
        void (*on_room)(void *userdata);
        void *userdata;
        bool closed;
        bool aborted;
        uint64_t put; /* pieces in all */
        unsigned n_readers;
        Reader readers[QUEUE_READERS_MAX];
        size_t capacity, piece_size; /* of the ring */
        size_t *sizes;
        char *pieces;
};

int queue_new(size_t pieces, size_t piece_size, unsigned readers, void (*on_room)(void *userdata),
                void *userdata, Queue **ret) {
        _cleanup_(queue_free_p) Queue *q = calloc(1, sizeof(*q));

        if (!q)
                return -ENOMEM;
        *q = (Queue){.capacity = pieces,
                        .piece_size = piece_size,
                        .n_readers = readers,
                        .on_room = on_room,
                        .userdata = userdata,
                        .sizes = calloc(pieces, sizeof(*q->sizes)),
                        .pieces = malloc(pieces * piece_size)};
        (void) pthread_mutex_init(&q->mutex, NULL);
        (void) pthread_cond_init(&q->more, NULL);
        (void) pthread_cond_init(&q->room, NULL);
        if (!q->sizes || !q->pieces)
                return -ENOMEM;
        *ret = TAKE(q);
        return 0;
}

Queue *queue_free(Queue *q) {
        if (!q)
                return NULL;
        (void) pthread_mutex_destroy(&q->mutex);
        (void) pthread_cond_destroy(&q->more);
        (void) pthread_cond_destroy(&q->room);
        free(q->sizes);
        free(q->pieces);
        free(q);
        return NULL;
}

/* Pieces that a reader has still to give back. */
static size_t queue_fill(const Queue *q) {
        uint64_t done = q->put;

        for (unsigned i = 0; i < q->n_readers; i++)
                done = MIN_OF(done, q->readers[i].done);
        return q->put - done;
}

static bool is_full(const Queue *q) {
        return queue_fill(q) == q->capacity;
}

static int await_room(Queue *q, bool block) {
        int r;

        (void) pthread_mutex_lock(&q->mutex);
        while (block && !q->aborted && is_full(q))
                (void) pthread_cond_wait(&q->room, &q->mutex);
        r = q->aborted ? -ECANCELED : is_full(q) ? -EAGAIN : 0;
        (void) pthread_mutex_unlock(&q->mutex);
        return r;
}

/* Where the next piece goes: free, once there is room, and nobody else writes. */
static char *next_place(const Queue *q) {
        return q->pieces + q->put % q->capacity * q->piece_size;
}

int queue_room(Queue *q, void **ret) {
        int r = await_room(q, true);

        *ret = r < 0 ? NULL : next_place(q);
        return r;
}

void queue_add(Queue *q, size_t size) {
        bool wake;

        q->sizes[q->put % q->capacity] = size;
        (void) pthread_mutex_lock(&q->mutex);
        wake = ++q->put % (q->capacity / 2) == 0;
        (void) pthread_mutex_unlock(&q->mutex);
        if (wake)
                (void) pthread_cond_broadcast(&q->more);
}

static int put(Queue *q, const void *data, size_t size, bool block) {
        int r = await_room(q, block);

        if (r < 0)
                return r;
        memcpy(next_place(q), data, size);
        queue_add(q, size);
        return 0;
}

int queue_put(Queue *q, const void *data, size_t size) {
        return put(q, data, size, true);
}

int queue_try_put(Queue *q, const void *data, size_t size) {
        return put(q, data, size, false);
}

static void give_back(Queue *q, Reader *reader) {
        bool wake;

        (void) pthread_mutex_lock(&q->mutex);
        reader->done += reader->has;
        reader->has = 0;
        wake = queue_fill(q) <= q->capacity / 2;
        (void) pthread_mutex_unlock(&q->mutex);
        if (wake)
                (void) pthread_cond_signal(&q->room);
        if (q->on_room)
                q->on_room(q->userdata);
}

/* How many pieces from the next one on lie in a row without a gap: half of the ring at most, so that there is always room for
 * the writer as well. */
static size_t count_run(const Queue *q, const Reader *own, size_t *ret_size) {
        size_t place = own->done % q->capacity, n = 0;

        *ret_size = 0;
        do
                *ret_size += q->sizes[place + n++];
        while (own->done + n < q->put && n < q->capacity / 2 && place + n < q->capacity &&
                        *ret_size == n * q->piece_size);
        return n;
}

int queue_get(Queue *q, unsigned reader, const void **ret, size_t *ret_size) {
        Reader *own = &q->readers[reader];
        int r;

        if (own->has > 0)
                give_back(q, own);
        (void) pthread_mutex_lock(&q->mutex);
        while (!q->aborted && !q->closed && own->done == q->put)
                (void) pthread_cond_wait(&q->more, &q->mutex);
        r = q->aborted ? -ECANCELED : own->done < q->put;
        if (r > 0)
                own->has = count_run(q, own, ret_size);
        (void) pthread_mutex_unlock(&q->mutex);
        if (r > 0)
                *ret = q->pieces + own->done % q->capacity * q->piece_size;
        return r;
}

void queue_close(Queue *q) {
        (void) pthread_mutex_lock(&q->mutex);
        q->closed = true;
        (void) pthread_cond_broadcast(&q->more);
        (void) pthread_mutex_unlock(&q->mutex);
}

void queue_abort(Queue *q) {
        (void) pthread_mutex_lock(&q->mutex);
        q->aborted = true;
        (void) pthread_cond_broadcast(&q->more);
        (void) pthread_cond_signal(&q->room);
        (void) pthread_mutex_unlock(&q->mutex);
        if (q->on_room)
                q->on_room(q->userdata);
}
