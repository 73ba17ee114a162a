#include <errno.h>
#include <inttypes.h>

#include "base/clock.h"
#include "fetch/sigv4.h"
#include "fetch/source-internal.h"
#include "fetch/upload.h"

/* Files above the first go up in parts of the second, of which S3 takes 10,000. */
#define WHOLE_MAX (16 * MIB)
#define PART_SIZE (8 * MIB)
#define PARTS_MAX 10000

typedef struct Upload {
        Source *source;
        const UploadFile *file;
        UploadProgress progress;
        void *userdata;
        char *headers[4]; /* of the object; owned */
        char digest[DIGEST_TEXT_MAX];
} Upload;

static void upload_clear(Upload *u) {
        for (size_t i = 0; i < ELEMENTS_OF(u->headers); i++)
                free(u->headers[i]);
}

/* One signed question. A status that is not 2xx is in @ret->status; only no answer at all is an error. */
static int upload_ask_once(Upload *u, const S3Request *request, HttpResponse *ret, Error *e) {
        _cleanup_(s3_signed_clear) S3Signed signature = {0};
        HttpRequest http = {
                        .method = request->method, .body = request->body, .body_size = request->body_size};
        int r;

        r = s3_sign(source_s3(u->source), request, &signature, e);
        if (r < 0)
                return r;
        source_fill(u->source, &http);
        http.redirects = false;
        http.url = signature.url;
        http.secret_headers = signature.headers;
        return http_get(source_http(u->source), &http, ret, e);
}

static int upload_check_answer(Upload *u, const S3Request *request, const HttpResponse *response, Error *e) {
        _cleanup_free_ char *url = text_format("%s/%s", source_name(u->source), request->key), *code = NULL;
        int r;

        if (!url)
                return -ENOMEM;
        r = http_check_status(url, response->status, e);
        if (r == -EACCES)
                return source_explain_s3(r, response->body.data, e);
        if (s3_error_code(response->body.data, &code) < 0)
                return -ENOMEM;
        if (r == -EBADE && streq_ptr(code, "RequestTimeout")) /* what we sent came too slowly */
                return -EBUSY;
        /* A multipart upload may fail after its status was sent. */
        if (r == 0 && strstr(response->body.data, "<Error>"))
                return error_set(e, ERROR_FAILED, -EBUSY, "%s could not be put together: %s", url,
                                code ?: "no reason given");
        return r;
}

/* Asks until there is an answer that is one. */
static int upload_ask(Upload *u, const S3Request *request, HttpResponse *ret, Error *e) {
        unsigned lessons = 0;
        uint64_t retry_usec;
        int r, q;

        for (unsigned tries = 1;;) {
                http_response_clear(ret);
                retry_usec = 0;
                r = upload_ask_once(u, request, ret, e);
                if (r >= 0) {
                        if (lessons++ < S3_LESSONS_MAX && s3_learn(source_s3(u->source), ret->status,
                                                                          ret->headers, ret->body.data) > 0)
                                continue;
                        retry_usec = http_retry_after(ret->headers, clock_now());
                        r = upload_check_answer(u, request, ret, e);
                }
                if (!source_may_retry(r))
                        return r;
                q = source_back_off(u->source, tries++, false, retry_usec);
                if (q < 0)
                        return q == -ECANCELED ? q : r;
        }
}

/* Whether these very bytes are there. S3 says 403 of what is missing to who may not list: then they are sent. */
static int upload_is_there(Upload *u, Error *e) {
        _cleanup_(http_response_clear) HttpResponse response = HTTP_RESPONSE_INIT;
        const char *digest, *length;
        uint64_t size;
        int r;

        r = upload_ask(u, &(S3Request){.method = "HEAD", .key = u->file->path}, &response, e);
        if (r == -ENOENT || r == -EACCES)
                return 0;
        if (r < 0)
                return r;
        digest = http_header(response.headers, "X-Amz-Meta-Sha256");
        length = http_header(response.headers, "Content-Length");
        return digest && length && streq(digest, u->digest) && parse_u64(length, UINT64_MAX, &size) >= 0 &&
               size == u->file->size;
}

static void upload_tell(Upload *u, uint64_t done) {
        if (u->progress)
                u->progress(u->userdata, done, u->file->size);
}

static int upload_whole(Upload *u, Error *e) {
        _cleanup_(http_response_clear) HttpResponse response = HTTP_RESPONSE_INIT;
        int r;

        r = upload_ask(u,
                        &(S3Request){.method = "PUT",
                                        .key = u->file->path,
                                        .headers = u->headers,
                                        .body = u->file->data ?: "",
                                        .body_size = u->file->size},
                        &response, e);
        if (r >= 0)
                upload_tell(u, u->file->size);
        return r;
}

static int upload_part(Upload *u, const char *id, unsigned number, uint64_t at, uint64_t size, Text *list,
                Error *e) {
        _cleanup_(http_response_clear) HttpResponse response = HTTP_RESPONSE_INIT;
        _cleanup_free_ char *query = text_format("partNumber=%u&uploadId=%s", number, id);
        const char *etag;
        int r;

        if (!query)
                return -ENOMEM;
        r = upload_ask(u,
                        &(S3Request){.method = "PUT",
                                        .key = u->file->path,
                                        .query = query,
                                        .body = (const char *) u->file->data + at,
                                        .body_size = size},
                        &response, e);
        if (r < 0)
                return r;
        etag = http_header(response.headers, "ETag");
        if (!etag || strpbrk(etag, "<>&"))
                return error_set(e, ERROR_FAILED, -EPROTO, "%s took a part of %s without saying which",
                                source_name(u->source), u->file->path);
        return text_addf(list, "<Part><PartNumber>%u</PartNumber><ETag>%s</ETag></Part>", number, etag);
}

static int upload_parts(Upload *u, const char *id, Error *e) {
        _cleanup_(http_response_clear) HttpResponse response = HTTP_RESPONSE_INIT;
        uint64_t part = MAX_OF(PART_SIZE, u->file->size / (PARTS_MAX - 1));
        _cleanup_free_ char *query = text_format("uploadId=%s", id);
        _cleanup_text_ Text list = TEXT_INIT;
        unsigned number = 1;
        int r;

        r = query ? text_adds(&list, "<CompleteMultipartUpload>") : -ENOMEM;
        for (uint64_t at = 0; at < u->file->size && r >= 0; at += part) {
                uint64_t size = MIN_OF(part, u->file->size - at);

                r = upload_part(u, id, number++, at, size, &list, e);
                if (r >= 0)
                        upload_tell(u, at + size);
        }
        if (r >= 0)
                r = text_adds(&list, "</CompleteMultipartUpload>");
        if (r < 0)
                return r;
        return upload_ask(u,
                        &(S3Request){.method = "POST",
                                        .key = u->file->path,
                                        .query = query,
                                        .body = list.data,
                                        .body_size = list.size},
                        &response, e);
}

static int upload_in_parts(Upload *u, Error *e) {
        _cleanup_(http_response_clear) HttpResponse response = HTTP_RESPONSE_INIT;
        _cleanup_free_ char *id = NULL, *quoted = NULL, *query = NULL;
        int r;

        r = upload_ask(u,
                        &(S3Request){.method = "POST",
                                        .key = u->file->path,
                                        .query = "uploads",
                                        .headers = u->headers},
                        &response, e);
        if (r >= 0)
                r = s3_answer_get(response.body.data, "UploadId", &id);
        if (r < 0)
                return r;
        if (!id)
                return error_set(e, ERROR_FAILED, -EPROTO, "%s began an upload without naming it",
                                source_name(u->source));
        quoted = uri_quote(id, "");
        query = quoted ? text_format("uploadId=%s", quoted) : NULL;
        if (!query)
                return -ENOMEM;
        r = upload_parts(u, quoted, e);
        if (r == -ENOENT && upload_is_there(u, NULL) > 0)
                r = 0; /* the last question was asked again, because its answer was lost */
        if (r < 0) {
                /* Parts that belong to nothing cost money; whoever cancelled us waits for this one answer. */
                http_response_clear(&response);
                (void) upload_ask_once(u,
                                &(S3Request){.method = "DELETE", .key = u->file->path, .query = query},
                                &response, NULL);
        }
        return r;
}

static int upload_prepare(Upload *u) {
        Digest digest;
        int r;

        r = digest_of(u->file->data ?: "", u->file->size, &digest);
        if (r < 0)
                return r;
        u->headers[0] = text_format("X-Amz-Meta-Sha256: %s", digest_to_text(&digest, u->digest));
        u->headers[1] = text_format("Content-Type: %s", u->file->content_type);
        u->headers[2] = text_format("Cache-Control: %s", u->file->cache_control);
        return u->headers[0] && u->headers[1] && u->headers[2] ? 0 : -ENOMEM;
}

int upload_file(Source *s, const UploadFile *file, UploadProgress progress, void *userdata, Error *e) {
        _cleanup_(upload_clear)
                        Upload u = {.source = s, .file = file, .progress = progress, .userdata = userdata};
        int r;

        if (!source_s3(s)) {
                r = error_set(e, ERROR_USAGE, -EOPNOTSUPP, "%s is no bucket", source_name(s));
                return error_hint(e, r,
                                "Only s3://BUCKET/PREFIX can be written to; copy files elsewhere with rsync");
        }
        r = upload_prepare(&u);
        if (r >= 0)
                r = upload_is_there(&u, e);
        if (r != 0)
                return r < 0 ? r : 0;
        r = file->size > WHOLE_MAX ? upload_in_parts(&u, e) : upload_whole(&u, e);
        return r < 0 ? r : 1;
}
