// SPDX-License-Identifier: Apache-2.0
// Tests of common/object/sigv4.h: the examples that Amazon publishes ("Signature Calculations for
// the Authorization Header" and "Authenticating Requests: Using Query Parameters"), and odd keys.
#include "common/object/object.h"
#include "common/object/sigv4.h"
#include "tests/unit/unit.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define HOST         "examplebucket.s3.amazonaws.com"

static const char date[] = "20130524T000000Z";

static const struct cress_sigv4_identity example = {
    .access_key_id = "AKIAIOSFODNN7EXAMPLE",
    .secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    .region = "us-east-1",
    .service = "s3",
};

static void assert_authorization(struct cress_sigv4_request request,
                                 const struct cress_http_header *headers, size_t count,
                                 const char *expected)
{
    struct cress_http_header own[8];
    assert_true(count <= COUNT(own));
    memcpy(own, headers, count * sizeof own[0]);
    request.headers = own;
    request.header_count = count;
    struct cress_buf out = cress_buf_make(4096);
    cress_sigv4_authorize(&example, &request, date, &out);
    assert_string_equal(cress_buf_text(&out), expected);
    cress_buf_free(&out);
}

#define CREDENTIAL \
    "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "

static void test_get_object(void **state)
{
    (void)state;
    const struct cress_http_header headers[] = {{"range", "bytes=0-9"},
                                                {"x-amz-date", date},
                                                {"host", HOST},
                                                {"x-amz-content-sha256", EMPTY_SHA256}};
    assert_authorization(
        (struct cress_sigv4_request){
            .method = "GET", .path = "/test.txt", .query = "", .payload_sha256 = EMPTY_SHA256},
        headers, COUNT(headers),
        CREDENTIAL "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
                   "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd"
                   "91039c6036bdb41");
}

static void test_put_object(void **state)
{
    (void)state;
    static const char body[] = "Welcome to Amazon S3.";
    char sha256[CRESS_SHA256_TEXT_SIZE];
    cress_sha256(body, strlen(body), sha256);
    assert_string_equal(sha256, "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072");
    struct cress_buf path = cress_buf_make(256);
    cress_sigv4_encode("/test$file.text", true, &path);
    const struct cress_http_header headers[] = {{"x-amz-storage-class", "REDUCED_REDUNDANCY"},
                                                {"date", "  Fri, 24  May 2013 00:00:00 GMT "},
                                                {"x-amz-date", date},
                                                {"host", HOST},
                                                {"x-amz-content-sha256", sha256}};
    assert_authorization(
        (struct cress_sigv4_request){
            .method = "PUT", .path = cress_buf_text(&path), .query = "", .payload_sha256 = sha256},
        headers, COUNT(headers),
        CREDENTIAL "SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class, "
                   "Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
    cress_buf_free(&path);
}

static void test_queries(void **state)
{
    (void)state;
    static const struct {
        struct cress_http_header parameters[2];
        size_t count;
        const char *query, *signature;
    } cases[] = {
        {{{"lifecycle", ""}},
         1,
         "lifecycle=",
         "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
        {{{"prefix", "J"}, {"max-keys", "2"}},
         2,
         "max-keys=2&prefix=J",
         "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cress_buf query = cress_buf_make(256);
        cress_sigv4_query(cases[i].parameters, cases[i].count, &query);
        assert_string_equal(cress_buf_text(&query), cases[i].query);
        const struct cress_http_header headers[] = {
            {"x-amz-content-sha256", EMPTY_SHA256}, {"x-amz-date", date}, {"host", HOST}};
        char expected[512];
        snprintf(expected, sizeof expected, "%sSignedHeaders=%s, Signature=%s", CREDENTIAL,
                 "host;x-amz-content-sha256;x-amz-date", cases[i].signature);
        assert_authorization((struct cress_sigv4_request){.method = "GET",
                                                          .path = "/",
                                                          .query = cress_buf_text(&query),
                                                          .payload_sha256 = EMPTY_SHA256},
                             headers, COUNT(headers), expected);
        cress_buf_free(&query);
    }
}

static void test_presigned_get(void **state)
{
    (void)state;
    struct cress_buf query = cress_buf_make(4096);
    cress_sigv4_presign(&example, HOST, "/test.txt", date, 86400, &query);
    assert_string_equal(
        cress_buf_text(&query),
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2F"
        "us-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&"
        "X-Amz-SignedHeaders=host&X-Amz-Signature="
        "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
    cress_buf_clear(&query);
    struct cress_sigv4_identity with_token = example;
    with_token.session_token = "a/b+c=";
    cress_sigv4_presign(&with_token, HOST, "/test.txt", date, 86400, &query);
    assert_non_null(strstr(cress_buf_text(&query), "&X-Amz-Security-Token=a%2Fb%2Bc%3D&"));
    cress_buf_free(&query);
}

static void test_encoding(void **state)
{
    (void)state;
    static const struct {
        const char *key, *path, *value;
    } cases[] = {
        {"a/b.html", "a/b.html", "a%2Fb.html"},
        {"a b", "a%20b", "a%20b"},
        {"a+b", "a%2Bb", "a%2Bb"},
        {"100%", "100%25", "100%25"},
        {"%41", "%2541", "%2541"},
        {"~-_.", "~-_.", "~-_."},
        {"a?b=c&d#e", "a%3Fb%3Dc%26d%23e", "a%3Fb%3Dc%26d%23e"},
        {"a//b/", "a//b/", "a%2F%2Fb%2F"},
        {"../x", "../x", "..%2Fx"},
        {"\"q\" 'q'", "%22q%22%20%27q%27", "%22q%22%20%27q%27"},
        {"stra\xc3\x9f\x65", "stra%C3%9Fe", "stra%C3%9Fe"},
        {"\xf0\x9f\x8c\xb1", "%F0%9F%8C%B1", "%F0%9F%8C%B1"},
        {"@:,;$()!*[]{}|\\^`<>", "%40%3A%2C%3B%24%28%29%21%2A%5B%5D%7B%7D%7C%5C%5E%60%3C%3E",
         "%40%3A%2C%3B%24%28%29%21%2A%5B%5D%7B%7D%7C%5C%5E%60%3C%3E"},
        {"", "", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cress_buf out = cress_buf_make(1024);
        cress_sigv4_encode(cases[i].key, true, &out);
        assert_string_equal(cress_buf_text(&out), cases[i].path);
        cress_buf_clear(&out);
        cress_sigv4_encode(cases[i].key, false, &out);
        assert_string_equal(cress_buf_text(&out), cases[i].value);
        cress_buf_free(&out);
    }
}

static void test_date(void **state)
{
    (void)state;
    char text[CRESS_SIGV4_DATE_SIZE];
    assert_string_equal(cress_sigv4_date(1369353600000, text), date);
    assert_string_equal(cress_sigv4_date(1790169301999, text), "20260923T131501Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get_object), cmocka_unit_test(test_put_object),
        cmocka_unit_test(test_queries),    cmocka_unit_test(test_presigned_get),
        cmocka_unit_test(test_encoding),   cmocka_unit_test(test_date),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
