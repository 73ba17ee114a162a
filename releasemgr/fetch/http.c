#include <errno.h>
#include <sys/epoll.h>

#include "fetch/transfer.h"

/* libcurl on the loop: curl says which sockets it waits for and until when, the loop says what happened, and curl calls
 * back into the transfers (transfer.c), which wake their fibers. Invariant: curl is never entered from within one of its
 * callbacks. */

struct Http {
        sd_event *event;
        Curl curl; /* loaded where @multi is there: by the first request */
        CURLM *multi;
        sd_event_source *timer;
        sd_event_source *soon; /* what curl wants done at once, which is most of it, and takes no timer */
        unsigned n_transfers;
};

static void http_collect(Http *h) {
        CURLMsg *message;
        int left;

        while ((message = h->curl.multi_info_read(h->multi, &left))) {
                HttpTransfer *t = NULL;

                if (message->msg != CURLMSG_DONE)
                        continue;
                (void) h->curl.easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &t);
                t->result = message->data.result;
                t->done = true;
                wakeup_set(&t->wakeup);
        }
}

static void http_act(Http *h, curl_socket_t socket, int what) {
        int running;

        (void) h->curl.multi_socket_action(h->multi, socket, what, &running);
        http_collect(h);
}

static int on_socket(sd_event_source *s _unused_, int fd, uint32_t revents, void *userdata) {
        int what = 0;

        if (revents & (EPOLLIN | EPOLLHUP))
                what |= CURL_CSELECT_IN;
        if (revents & EPOLLOUT)
                what |= CURL_CSELECT_OUT;
        if (revents & EPOLLERR)
                what |= CURL_CSELECT_ERR;
        http_act(userdata, fd, what);
        return 0;
}

static int on_soon(sd_event_source *s _unused_, void *userdata) {
        http_act(userdata, CURL_SOCKET_TIMEOUT, 0);
        return 0;
}

static int on_timer(sd_event_source *s, uint64_t usec _unused_, void *userdata) {
        return on_soon(s, userdata);
}

/* curl forgets a socket before it closes it, so that the loop never watches a number that means something else. */
static int want_socket(CURL *easy _unused_, curl_socket_t fd, int what, void *userdata, void *assigned) {
        sd_event_source *source = assigned;
        Http *h = userdata;
        uint32_t events = 0;

        if (what == CURL_POLL_REMOVE) {
                sd_event_source_disable_unref(source);
                return 0;
        }
        if (what & CURL_POLL_IN)
                events |= EPOLLIN;
        if (what & CURL_POLL_OUT)
                events |= EPOLLOUT;
        if (source)
                return sd_event_source_set_io_events(source, events) < 0 ? -1 : 0;
        if (sd_event_add_io(h->event, &source, fd, events, on_socket, h) < 0)
                return -1;
        (void) sd_event_source_set_description(source, "http-socket");
        return h->curl.multi_assign(h->multi, fd, source) == CURLM_OK ? 0 : -1;
}

static int want_timer(CURLM *multi _unused_, long timeout_ms, void *userdata) {
        Http *h = userdata;

        if (sd_event_source_set_enabled(h->soon, timeout_ms == 0 ? SD_EVENT_ONESHOT : SD_EVENT_OFF) < 0)
                return -1;
        if (timeout_ms <= 0)
                return sd_event_source_set_enabled(h->timer, SD_EVENT_OFF) < 0 ? -1 : 0;
        if (sd_event_source_set_time_relative(h->timer, (uint64_t) timeout_ms * USEC_PER_MSEC) < 0)
                return -1;
        return sd_event_source_set_enabled(h->timer, SD_EVENT_ONESHOT) < 0 ? -1 : 0;
}

/* HTTP/2, but each transfer on a connection of its own: where streams share one, a transfer that is held back by its
 * reader holds back the others as well. */
static bool multi_set_up(Http *h) {
        return h->multi && h->curl.multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, want_socket) == CURLM_OK &&
               h->curl.multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h) == CURLM_OK &&
               h->curl.multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, want_timer) == CURLM_OK &&
               h->curl.multi_setopt(h->multi, CURLMOPT_TIMERDATA, h) == CURLM_OK &&
               h->curl.multi_setopt(h->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING) == CURLM_OK;
}

static void curl_stop(Http *h) {
        if (h->multi)
                (void) h->curl.multi_cleanup(h->multi);
        h->multi = NULL;
        h->curl.global_cleanup();
}

static int curl_start(Http *h, Error *e) {
        int r = curl_load(&h->curl, e);

        if (r < 0)
                return r;
        if (h->curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
                return -ENOMEM;
        h->multi = h->curl.multi_init();
        if (multi_set_up(h))
                return 0;
        curl_stop(h);
        return -ENOMEM;
}

int http_start(Http *h, const Curl **ret, Error *e) {
        int r = h->multi ? 0 : curl_start(h, e);

        if (r >= 0)
                *ret = &h->curl;
        return r;
}

void http_prepare(Http *h) {
        const Curl *curl;

        (void) http_start(h, &curl, NULL);
}

int http_new(sd_event *event, Http **ret) {
        _cleanup_(http_free_p) Http *h = calloc(1, sizeof(*h));
        int r;

        if (!h)
                return -ENOMEM;
        h->event = sd_event_ref(event);
        r = sd_event_add_time(h->event, &h->timer, CLOCK_MONOTONIC, 0, 1, on_timer, h);
        if (r >= 0)
                r = sd_event_source_set_enabled(h->timer, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_defer(event, &h->soon, on_soon, h);
        if (r >= 0)
                r = sd_event_source_set_enabled(h->soon, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE(h);
        return 0;
}

Http *http_free(Http *h) {
        if (!h)
                return NULL;
        if (h->n_transfers > 0)
                abort(); /* somebody would read from what is freed here */
        if (h->multi)
                curl_stop(h);
        sd_event_source_disable_unref(h->timer);
        sd_event_source_disable_unref(h->soon);
        sd_event_unref(h->event);
        free(h);
        return NULL;
}

int http_add(Http *h, HttpTransfer *t, Error *e) {
        CURLMcode c = h->curl.multi_add_handle(h->multi, t->easy);

        if (c != CURLM_OK)
                return error_set(e, ERROR_FAILED, -EIO, "Cannot ask for %s: %s", t->shown,
                                h->curl.multi_strerror(c));
        t->added = true;
        h->n_transfers++;
        return 0;
}

void http_remove(Http *h, HttpTransfer *t) {
        if (!t->added)
                return;
        (void) h->curl.multi_remove_handle(h->multi, t->easy);
        t->added = false;
        h->n_transfers--;
}
