#pragma once

/* The inside of a source, for source.c, refresh.c and upload.c alone. */

#include "fetch/s3.h"
#include "fetch/source.h"

/* NULL where the source is not on S3. Borrowed. */
S3 *source_s3(Source *s);

/* Borrowed. */
Http *source_http(Source *s);

/* Sets what the operator said about reaching the source. */
void source_fill(const Source *s, HttpRequest *request);

/* Makes the error of a 403 with the text @body (may be NULL) clearer. Returns @r or what it turned out to be. */
int source_explain_s3(int r, const char *body, Error *e);
