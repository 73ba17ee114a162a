#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fetch/answer.h"
#include "fetch/transfer.h"

/* What curl has to tell: the answer's status and headers, or why there was none. */

static int transfer_read_headers(HttpTransfer *t) {
        struct curl_header *header = NULL;

        while ((header = t->curl->easy_nextheader(t->easy, CURLH_HEADER, -1, header))) {
                _cleanup_free_ char *line = text_format("%s: %s", header->name, header->value);

                if (!line || strv_add(&t->headers, line) < 0)
                        return -ENOMEM;
        }
        return 0;
}

/* Where the body belongs. A server that sends another part than was asked for must not get its bytes into ours. */
static int transfer_read_place(HttpTransfer *t, const HttpRequest *request, Error *e) {
        const char *value = http_header(t->headers, "Content-Range");
        ContentRange range;
        curl_off_t length = -1;

        t->offset = 0;
        t->total = UINT64_MAX;
        if (value && (t->status == 206 || t->status == 416)) {
                if (content_range_parse(value, &range) < 0)
                        return error_set(e, ERROR_FAILED, -EPROTO,
                                        "%s came with the unreadable Content-Range '%s'", t->shown, value);
                t->offset = range.first;
                t->total = range.total;
        }
        if (t->status == 206 && (!value || !range.satisfied || range.first != request->offset))
                return error_set(e, ERROR_FAILED, -EPROTO,
                                "Bytes from %" PRIu64 " of %s were asked for, others came", request->offset,
                                t->shown);
        if (t->status == 200) {
                (void) t->curl->easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
                if (length >= 0)
                        t->total = length;
        }
        return 0;
}

int transfer_read_answer(HttpTransfer *t, const HttpRequest *request, Error *e) {
        long status = 0;
        int r;

        (void) t->curl->easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
        t->status = status;
        r = transfer_read_headers(t);
        if (r < 0)
                return r;
        return transfer_read_place(t, request, e);
}

/* curl's own words, which name no secret of the request. */
static const char *transfer_words(const HttpTransfer *t) {
        return t->curl_error[0] ? t->curl_error : t->curl->easy_strerror(t->result);
}

/* libcurl does not tell why it has no socket: whether that is our own trouble. */
static int check_socket(Error *e) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0)
                return error_errno(e, -errno, "Cannot make a socket");
        (void) close(fd);
        return 0;
}

static int explain_connect(const HttpTransfer *t, Error *e) {
        long error = 0;
        int r;

        r = check_socket(e);
        if (r < 0)
                return r;
        (void) t->curl->easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &error);
        if (error == ECONNREFUSED)
                r = error_set(e, ERROR_FAILED, -ECONNREFUSED, "Nothing listens at %s", t->shown);
        else if (error > 0)
                r = error_errno(e, -(int) error, "Cannot connect to %s", t->shown);
        else
                r = error_set(e, ERROR_FAILED, -EHOSTUNREACH, "Cannot connect to %s: %s", t->shown,
                                transfer_words(t));
        return error_hint(e, r, "Check the address, and whether its server runs and lets this host in");
}

static int explain_trust(const HttpTransfer *t, Error *e) {
        int r = error_set(e, ERROR_FAILED, -EKEYREJECTED, "The certificate of %s is not trusted: %s",
                        t->shown, transfer_words(t));

        return error_hint(e, r,
                        "If a private CA issued it, configure that CA's certificate; check the clock too");
}

int transfer_explain(const HttpTransfer *t, Error *e) {
        int r;

        switch (t->result) {
        case CURLE_OUT_OF_MEMORY:
                return -ENOMEM;
        case CURLE_URL_MALFORMAT:
        case CURLE_UNSUPPORTED_PROTOCOL:
                r = error_set(e, ERROR_USAGE, -EINVAL, "%s cannot be asked: %s", t->shown, transfer_words(t));
                return error_hint(e, r, "An address begins with https://, http:// or file://");
        case CURLE_SSL_CERTPROBLEM:
        case CURLE_SSL_CACERT_BADFILE:
                return error_set(e, ERROR_USAGE, -EINVAL, "Cannot ask %s: %s", t->shown, transfer_words(t));
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_COULDNT_RESOLVE_PROXY:
                r = error_set(e, ERROR_FAILED, -EHOSTUNREACH, "Cannot reach %s: %s", t->shown,
                                transfer_words(t));
                return error_hint(e, r, "Check the address, and that this host can resolve names");
        case CURLE_COULDNT_CONNECT:
                return explain_connect(t, e);
        case CURLE_PEER_FAILED_VERIFICATION:
                return explain_trust(t, e);
        case CURLE_OPERATION_TIMEDOUT:
                return error_set(e, ERROR_FAILED, -ETIMEDOUT, "Cannot connect to %s in time", t->shown);
        case CURLE_PARTIAL_FILE:
        case CURLE_GOT_NOTHING:
        case CURLE_SEND_ERROR:
        case CURLE_RECV_ERROR:
        case CURLE_HTTP2:
        case CURLE_HTTP2_STREAM:
                return error_set(e, ERROR_FAILED, -ECONNRESET, "The connection to %s was lost: %s", t->shown,
                                transfer_words(t));
        default:
                return error_set(e, ERROR_FAILED, -EPROTO, "Cannot talk to %s: %s", t->shown,
                                transfer_words(t));
        }
}
