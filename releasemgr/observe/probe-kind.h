#pragma once

/* The kinds of probes, each in a file of its own: for probe.c alone. All suspend, fill ret->verdict, asked, answered,
 * sentence and latency, and return negative only where the probe could not be asked at all. */

#include <errno.h>

#include "observe/probe.h"

/* What answer.h judges. */
int probe_http(const ProbeContext *c, const ProbeSpec *s, ProbeResult *ret, Error *e);

/* A connection that is taken. */
int probe_tcp(const ProbeContext *c, const ProbeSpec *s, ProbeResult *ret, Error *e);

/* A program that ends well; it finds the version in $RELEASEMGR_VERSION. */
int probe_command(const ProbeContext *c, const ProbeSpec *s, ProbeResult *ret, Error *e);

/* Another unit that is active and stays so. */
int probe_unit(const ProbeContext *c, const ProbeSpec *s, ProbeResult *ret, Error *e);

/* Sets verdict and sentence (which becomes the result's; NULL: -ENOMEM). */
static inline int probe_verdict(ProbeResult *ret, ProbeVerdict verdict, char *sentence) {
        ret->verdict = verdict;
        ret->sentence = sentence;
        return sentence ? 0 : -ENOMEM;
}
