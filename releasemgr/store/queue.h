#pragma once

/*
 * Queue: bytes from one thread to others, a bounded number of them
 *
 * One writer, and one or two readers, who each get all that was put. Pieces lie in a ring that is allocated once. Who
 * waits is woken by the half ring, not by the piece, so that the threads do not change places for each. Either side can
 * end it: the writer by queue_close(), after which the readers get what is left and then the end; anybody by
 * queue_abort(), after which all sides get -ECANCELED at once.
 */

#include "base/util.h"

typedef struct Queue Queue;

#define QUEUE_READERS_MAX 2

/* @pieces, an even number, is how many pieces of @piece_size bytes it holds at most. @on_room(@userdata) is called on a
 * reader's thread after each piece taken out, and on queue_abort(): for a writer that must not block. NULL for none. */
int queue_new(size_t pieces, size_t piece_size, unsigned readers, void (*on_room)(void *userdata),
                void *userdata, Queue **ret);
Queue *queue_free(Queue *q);

DEFINE_CLEANUP(Queue, queue_free);

/* The place of the next piece, piece_size bytes, to be written in place; blocks while the queue is full: 0 or -ECANCELED.
 * The same one until queue_add() puts it at the end, with its size. */
int queue_room(Queue *q, void **ret);
void queue_add(Queue *q, size_t size);

/* Puts a copy of @size bytes, piece_size at most, at the end, blocking while the queue is full: 0 or -ECANCELED. */
int queue_put(Queue *q, const void *data, size_t size);

/* The same, but -EAGAIN where the queue is full. */
int queue_try_put(Queue *q, const void *data, size_t size);

/* The next piece for reader @reader, or several that lie in a row, blocking until there is one: 1, 0 at the end, -ECANCELED.
 * It stays valid until that reader asks again. */
int queue_get(Queue *q, unsigned reader, const void **ret, size_t *ret_size);

/* The two ends, as above. */
void queue_close(Queue *q);
void queue_abort(Queue *q);
