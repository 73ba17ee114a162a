#pragma once

/* A service, its unit, and what asks it: for the tests of observe/ inside a host. */

#include "base/clock.h"
#include "base/fs.h"
#include "base/text.h"
#include "fetch/http.h"
#include "observe/health.h"

#define SOON (clock_monotonic() + 60 * USEC_PER_SEC)

/* Answers every question with {"status": "healthy", "version": argv[2]} on port argv[1]; argv[3] is Python that is
 * run before each answer and may change `status` and `answer`, with `n` the number of the question. What it does may
 * depend on that, and not on the time: on a slow machine seconds pass between two questions. */
#define SERVICE                                                                                              \
        "import http.server, json, os, socket, sys, time\n"                                                  \
        "count = 0\n"                                                                                        \
        "class Handler(http.server.BaseHTTPRequestHandler):\n"                                               \
        "    def do_GET(self):\n"                                                                            \
        "        global count\n"                                                                             \
        "        count += 1\n"                                                                               \
        "        names = dict(globals(), n=count, status=200,\n"                                             \
        "                     answer={'status': 'healthy', 'version': sys.argv[2]})\n"                       \
        "        exec(sys.argv[3], names)\n"                                                                 \
        "        body = json.dumps(names['answer']).encode()\n"                                              \
        "        self.send_response(names['status'])\n"                                                      \
        "        self.send_header('Content-Length', str(len(body)))\n"                                       \
        "        self.end_headers()\n"                                                                       \
        "        self.wfile.write(body)\n"                                                                   \
        "    def log_message(self, *_):\n"                                                                   \
        "        pass\n"                                                                                     \
        "server = http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Handler)\n"               \
        "with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:\n"                                      \
        "    s.sendto(b'READY=1', os.environ['NOTIFY_SOCKET'])\n"                                            \
        "server.serve_forever()\n"

typedef struct World {
        Bus *bus;
        Http *http;
        UnitOutcome outcome;
        HealthReport report;
        Error e;
} World;

static inline void world_open(World *w) {
        *w = (World){0};
        assert_int_equal(bus_new(fiber_event(), &w->bus, &w->e), 0);
        assert_int_equal(http_new(fiber_event(), &w->http), 0);
        assert_int_equal(
                        fs_write_file_atomic(AT_FDCWD, "/run/service.py", SERVICE, strlen(SERVICE), 0644), 0);
}

static inline void world_clear(World *w) {
        (void) unit_stop(w->bus, "web.service", SOON, NULL, NULL);
        (void) unit_reset_failed(w->bus, "web.service", NULL);
        health_report_clear(&w->report);
        error_clear(&w->e);
        w->http = http_free(w->http);
        w->bus = bus_free(w->bus);
}

/* web.service with @settings, running the service with @behaviour. */
static inline void start_web(World *w, const char *settings, const char *behaviour) {
        _cleanup_free_ char *text =
                        text_format("[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=notify\n%s\n"
                                    "ExecStart=/usr/bin/python3 -B /run/service.py 8123 2.0 \"%s\"\n",
                                        settings, behaviour);

        assert_int_equal(fs_write_file_atomic(AT_FDCWD, "/run/systemd/system/web.service", text, strlen(text),
                                         0644),
                        0);
        assert_int_equal(manager_reload(w->bus, &w->e), 0);
        assert_int_equal(unit_restart(w->bus, "web.service", USEC_INFINITY, SOON, &w->outcome, &w->e), 0);
}
