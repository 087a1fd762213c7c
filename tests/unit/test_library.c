// SPDX-License-Identifier: Apache-2.0
// The C library where no server is: what is refused, and that nothing is left of it. Its calls on
// real servers: tests/integration/test_library.py.
#include "include/cress/cress.h"

#include "tests/unit/unit.h"

/* Nothing listens on port 1. */
static const struct cress_client_options nowhere = {.broker_url = "amqp://user:secret@127.0.0.1:1/",
                                                    .store_url = "redis://127.0.0.1:1/0",
                                                    .timeout_ms = 50};

static void another_abi_is_refused(void **state)
{
    (void)state;
    struct cress_client *client = NULL;
    struct cress_error err;
    assert_int_equal(cress_client_connect_abi(CRESS_ABI + 1, &nowhere, &client, &err), CRESS_USAGE);
    assert_string_equal(err.code, "abi");
    assert_null(client);
}

static void absent_servers_are_given_up(void **state)
{
    (void)state;
    struct cress_client *client = NULL;
    struct cress_error err;
    assert_int_equal(cress_client_connect(&nowhere, &client, &err), CRESS_UNAVAILABLE);
    assert_int_equal(err.status, CRESS_UNAVAILABLE);
    assert_non_null(strstr(err.message, "127.0.0.1:1"));
    assert_null(strstr(err.message, "secret"));
    assert_true(cress_status_is_temporary(err.status));
    assert_null(client);
}

static void the_error_may_be_null(void **state)
{
    (void)state;
    struct cress_client *client = NULL;
    assert_int_equal(cress_client_connect(&nowhere, &client, NULL), CRESS_UNAVAILABLE);
    assert_null(client);
}

static void wrong_options_are_refused(void **state)
{
    (void)state;
    struct cress_client *client = NULL;
    struct cress_error err;
    struct cress_client_options options = nowhere;
    options.store_url = "http://127.0.0.1/";
    assert_int_equal(cress_client_connect(&options, &client, &err), CRESS_USAGE);
    options = nowhere;
    options.config_file = "/no/such/cress.conf";
    assert_int_equal(cress_client_connect(&options, &client, &err), CRESS_CONFIG);
    assert_null(client);
}

static void freeing_nothing_is_harmless(void **state)
{
    (void)state;
    cress_client_close(NULL);
    cress_record_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_abi_is_refused),
        cmocka_unit_test(absent_servers_are_given_up),
        cmocka_unit_test(the_error_may_be_null),
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(freeing_nothing_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
