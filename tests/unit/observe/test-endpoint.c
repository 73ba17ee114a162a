#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "observe/endpoint.h"

static void test_good(void **state _unused_) {
        struct sockaddr_in6 in6;
        struct sockaddr_in in;
        Endpoint e;

        assert_int_equal(endpoint_from_string("127.0.0.1:8080", &e), 0);
        memcpy(&in, &e.address, sizeof(in));
        assert_int_equal(e.size, sizeof(in));
        assert_int_equal(ntohs(in.sin_port), 8080);
        assert_int_equal(ntohl(in.sin_addr.s_addr), INADDR_LOOPBACK);
        assert_int_equal(endpoint_from_string("localhost:1", &e), 0);
        assert_int_equal(endpoint_from_string("[::1]:65535", &e), 0);
        memcpy(&in6, &e.address, sizeof(in6));
        assert_int_equal(ntohs(in6.sin6_port), 65535);
        assert_memory_equal(&in6.sin6_addr, &in6addr_loopback, sizeof(in6addr_loopback));

        assert_int_equal(endpoint_from_string("unix:/run/a", &e), 0);
        assert_string_equal(e.address.un.sun_path, "/run/a");
        assert_int_equal(e.size, offsetof(struct sockaddr_un, sun_path) + 7);
        assert_int_equal(endpoint_from_string("unix:@a", &e), 0);
        assert_memory_equal(e.address.un.sun_path, "\0a", 2);
        assert_int_equal(e.size, offsetof(struct sockaddr_un, sun_path) + 2);
}

static void test_bad(void **state _unused_) {
        static const char *const cases[] = {"", "80", ":80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0",
                        "127.0.0.1:65536", "127.0.0.1:-1", "::1:80", "[::1]80", "[::1", "[]:80",
                        "example.org:80", "unix:", "unix:/", "unix:relative"};
        char longest[200];
        Endpoint e;

        for (size_t i = 0; i < ELEMENTS_OF(cases); i++)
                assert_int_equal(endpoint_from_string(cases[i], &e), -EINVAL);
        memset(longest, 'x', sizeof(longest));
        memcpy(longest, "unix:/", 6);
        longest[6 + 107] = '\0'; /* sun_path holds 108 bytes, one of them NUL */
        assert_int_equal(endpoint_from_string(longest, &e), -EINVAL);
        longest[5 + 107] = '\0';
        assert_int_equal(endpoint_from_string(longest, &e), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_good),
                        cmocka_unit_test(test_bad),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
