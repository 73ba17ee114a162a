#pragma once

/* What came of the last deployment, for Prometheus: a file for the textfile collector of node_exporter. */

#include "base/json.h"
#include "base/text.h"

/* The metrics of @report (a line of the history) of @app, in Prometheus's text format, appended to @t: seconds and
 * Unix times, as its naming conventions ask. 0, -ENOMEM, or -EINVAL where the report lacks what every report has. No
 * I/O. */
int metrics_format(const char *app, const json_t *report, Text *t);

/* Replaces @path, durably. */
int metrics_write(const char *path, const char *app, const json_t *report, Error *e);
