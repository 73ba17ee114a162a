#include <divsufsort.h>
#include <errno.h>

#include "store/diff.h"

typedef struct Diff {
        const uint8_t *old, *new;
        size_t old_size, new_size;
        saidx_t *suffixes; /* of the old, sorted */
        /* Where the suffixes that begin with each pair of bytes begin among them: a search's first sixteen steps. */
        saidx_t *pairs;
} Diff;

#define PAIRS 65536

/* A copy that is shorter is not worth its step: so many bytes of text compress to less. */
#define COPY_MIN 32

/* So many suffixes beside the one found are looked at for one that lies nearer. */
#define NEIGHBOURS 256

/* A match: @length bytes at @offset of the old, the suffix of that @rank. */
typedef struct Match {
        size_t offset, length;
        saidx_t rank;
} Match;

static size_t common_length(const uint8_t *a, const uint8_t *b, size_t max) {
        size_t i = 0;

        while (i + 8 <= max) {
                uint64_t x, y;

                memcpy(&x, a + i, 8);
                memcpy(&y, b + i, 8);
                if (x != y)
                        break;
                i += 8;
        }
        while (i < max && a[i] == b[i])
                i++;
        return i;
}

/* How many bytes suffix @i shares with the new at @at, of which @known are known to agree; and whether it sorts before. */
static size_t compare(const Diff *d, saidx_t i, size_t at, size_t known, bool *ret_before) {
        size_t offset = d->suffixes[i], max = MIN_OF(d->old_size - offset, d->new_size - at);
        size_t n = known + common_length(d->old + offset + known, d->new + at + known, max - known);

        *ret_before = n < max ? d->old[offset + n] < d->new[at + n] : d->old_size - offset == max;
        return n;
}

/* The longest match in the old for the new at @at. */
static Match find_match(const Diff *d, size_t at) {
        unsigned pair = at + 1 < d->new_size ? d->new[at] * 256u + d->new[at + 1] : PAIRS;
        saidx_t low = pair < PAIRS ? d->pairs[pair] : 0, high = pair < PAIRS ? d->pairs[pair + 1] : 0;
        size_t low_length = 0, high_length = 0;
        Match best = {0};

        /* Between them, all share the shorter of what the two ends share with the new: that need not be compared again. */
        while (low < high) {
                saidx_t middle = low + (high - low) / 2;
                bool before;
                size_t n = compare(d, middle, at, MIN_OF(low_length, high_length), &before);

                if (n > best.length)
                        best = (Match){.offset = d->suffixes[middle], .length = n, .rank = middle};
                if (before) {
                        low = middle + 1;
                        low_length = n;
                } else {
                        high = middle;
                        high_length = n;
                }
        }
        return best;
}

static size_t distance(size_t a, size_t b) {
        return a < b ? b - a : a - b;
}

/* Of the places where the old holds the match of the new at @at: that next to @expected. What was moved together then is
 * copied from one place, and the same change in several files makes the same steps. */
static Match find_nearest(const Diff *d, size_t at, Match match, size_t expected) {
        Match best = match;

        for (int step = -1; step <= 1; step += 2)
                for (int64_t i = match.rank + step, k = 0;
                                k < NEIGHBOURS && i >= 0 && i < (int64_t) d->old_size; i += step, k++) {
                        size_t offset = d->suffixes[i];

                        if (d->old_size - offset < match.length ||
                                        memcmp(d->old + offset, d->new + at, match.length) != 0)
                                break;
                        if (distance(offset, expected) < distance(best.offset, expected))
                                best.offset = offset;
                }
        return best;
}

/* Counts the suffixes before each pair. A suffix of one byte sorts before the pairs that begin with it. */
static int index_pairs(Diff *d) {
        saidx_t sum = 0;

        d->pairs = calloc(PAIRS + 1, sizeof(saidx_t));
        if (!d->pairs)
                return -ENOMEM;
        for (size_t i = 0; i + 1 < d->old_size; i++)
                d->pairs[d->old[i] * 256u + d->old[i + 1]]++;
        for (unsigned pair = 0; pair <= PAIRS; pair++) {
                saidx_t n = d->pairs[pair];

                if (d->old_size > 0 && pair == d->old[d->old_size - 1] * 256u)
                        sum++;
                d->pairs[pair] = sum;
                sum += n;
        }
        return 0;
}

/* How far a copy from the old at @old grows forwards over the new at @at, up to @max bytes: to where the most bytes more
 * agree than do not. */
static size_t grow_forwards(const Diff *d, size_t old, size_t at, size_t max) {
        size_t best = 0, same = 0, best_score = 0;

        max = MIN_OF(max, d->old_size - old);
        for (size_t i = 0; i < max; i++) {
                same += d->old[old + i] == d->new[at + i];
                if (2 * same > i + 1 && 2 * same - (i + 1) > best_score) {
                        best_score = 2 * same - (i + 1);
                        best = i + 1;
                }
        }
        return best;
}

static size_t grow_backwards(const Diff *d, size_t old, size_t at, size_t max) {
        size_t best = 0, same = 0, best_score = 0;

        max = MIN_OF(max, old);
        for (size_t i = 1; i <= max; i++) {
                same += d->old[old - i] == d->new[at - i];
                if (2 * same > i && 2 * same - i > best_score) {
                        best_score = 2 * same - i;
                        best = i;
                }
        }
        return best;
}

/* Where two copies overlap by @n bytes (the one before ends at @end of the new, the one behind goes back from there):
 * how many of them are better in the one before. */
static size_t split_overlap(const Diff *d, size_t old_before, size_t old_behind, size_t at, size_t n) {
        int64_t score = 0, best_score = 0;
        size_t best = 0;

        for (size_t i = 0; i < n; i++) {
                score += d->new[at + i] == d->old[old_before + i];
                score -= d->new[at + i] == d->old[old_behind + i];
                if (score > best_score) {
                        best_score = score;
                        best = i + 1;
                }
        }
        return best;
}

/* The place in the new up to which pieces were made, and the old's place beside it, before growing. */
typedef struct Cursor {
        size_t new_offset, old_offset;
} Cursor;

/* Whether the old at the alignment of @c has the byte of the new at @at. */
static bool agrees(const Diff *d, const Cursor *c, size_t at) {
        size_t old = c->old_offset + (at - c->new_offset);

        return old < d->old_size && d->old[old] == d->new[at];
}

/* The next match from @from on that is worth leaving the alignment of @c for: at least 8 bytes better than staying.
 * Returns where, new_size at the end. */
static size_t next_match(const Diff *d, const Cursor *c, size_t from, Match *ret) {
        size_t score = 0, counted = from; /* bytes of [at, counted) that agree with the alignment */

        for (size_t at = from; at < d->new_size; at++) {
                Match match = find_match(d, at);

                for (; counted < at + match.length; counted++)
                        score += agrees(d, c, counted);
                if (match.length > score + 8) {
                        *ret = find_nearest(d, at, match, c->old_offset + (at - c->new_offset));
                        return at;
                }
                if (match.length == score &&
                                match.length > 0) { /* it is the alignment itself: on behind it */
                        at += match.length - 1;
                        score = 0;
                        counted = at + 1;
                        continue;
                }
                if (counted > at)
                        score -= agrees(d, c, at);
                else
                        counted = at + 1;
        }
        *ret = (Match){0};
        return d->new_size;
}

/* The piece under way: what comes behind may still become part of its text. */
typedef struct Output {
        DiffPiece pending;
        DiffHandler handler;
        void *userdata;
} Output;

static int flush_piece(Output *o) {
        return o->pending.copy + o->pending.extra > 0 ? o->handler(&o->pending, o->userdata) : 0;
}

static int add_piece(Output *o, const DiffPiece *piece) {
        int r;

        if (piece->copy < COPY_MIN) {
                o->pending.extra += piece->copy + piece->extra;
                return 0;
        }
        r = flush_piece(o);
        o->pending = *piece;
        return r;
}

static int diff_all(const Diff *d, Output *output) {
        Cursor c = {0};
        Match match = {0};
        size_t at = 0;

        while (c.new_offset < d->new_size) {
                size_t forwards, backwards = 0, overlap;
                int r;

                at = next_match(d, &c, at + match.length, &match);
                forwards = grow_forwards(d, c.old_offset, c.new_offset, at - c.new_offset);
                if (at < d->new_size)
                        backwards = grow_backwards(d, match.offset, at, at - c.new_offset);
                overlap = forwards + backwards > at - c.new_offset
                                          ? forwards + backwards - (at - c.new_offset)
                                          : 0;
                if (overlap > 0) {
                        size_t keep = split_overlap(d, c.old_offset + forwards - overlap,
                                        match.offset - backwards, at - backwards, overlap);

                        forwards -= overlap - keep;
                        backwards -= keep;
                }
                r = add_piece(output, &(DiffPiece){.old_offset = c.old_offset,
                                                      .new_offset = c.new_offset,
                                                      .copy = forwards,
                                                      .extra = at - backwards - c.new_offset - forwards});
                if (r < 0)
                        return r;
                c = (Cursor){.new_offset = at - backwards, .old_offset = match.offset - backwards};
        }
        return flush_piece(output);
}

int diff_run(const uint8_t *old, size_t old_size, const uint8_t *new, size_t new_size, DiffHandler handler,
                void *userdata) {
        Diff d = {.old = old, .new = new, .old_size = old_size, .new_size = new_size};
        Output output = {.handler = handler, .userdata = userdata};
        int r = 0;

        if (old_size > DIFF_SIZE_MAX)
                return -EFBIG;
        d.suffixes = malloc(MAX_OF(old_size, (size_t) 1) * sizeof(saidx_t));
        if (!d.suffixes)
                return -ENOMEM;
        if (old_size > 0 && divsufsort(old, d.suffixes, (saidx_t) old_size) != 0)
                r = -ENOMEM;
        if (r == 0)
                r = index_pairs(&d);
        if (r == 0)
                r = diff_all(&d, &output);
        free(d.pairs);
        free(d.suffixes);
        return r;
}
