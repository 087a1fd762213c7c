// SPDX-License-Identifier: Apache-2.0
// Tests of worker/render/sitemap.h.
#include "worker/render/sitemap.h"

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <zlib.h>

struct seen {
    struct cress_buf text; /* the URLs, one a line; sitemaps of an index with a + in front */
    size_t count;
};

static void on_url(const char *url, bool is_sitemap, void *arg)
{
    struct seen *seen = arg;
    seen->count++;
    cress_buf_printf(&seen->text, "%s%s\n", is_sitemap ? "+" : "", url);
}

/* Reads `input` in pieces of `piece` bytes. */
static enum cress_status read_all(const char *input, size_t size, size_t piece, struct seen *seen,
                                  struct cress_error *err)
{
    *seen = (struct seen){.text = cress_buf_make(1 << 20)};
    struct cress_sitemap *sitemap = cress_sitemap_new(on_url, seen);
    enum cress_status status = CRESS_OK;
    for (size_t at = 0; !status && at < size; at += piece) {
        cress_sitemap_push(sitemap, input + at, size - at < piece ? size - at : piece);
        bool drained = false;
        while (!status && !drained) {
            status = cress_sitemap_read(sitemap, 10, &drained, err);
        }
    }
    if (!status) {
        status = cress_sitemap_end(sitemap, err);
    }
    cress_sitemap_free(sitemap);
    return status;
}

#define NS " xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\""

static const struct {
    const char *input;
    const char *urls; /* NULL: refused */
} cases[] = {
    {"<?xml version=\"1.0\"?><urlset" NS "><url><loc> http://h/a </loc><lastmod>x</lastmod></url>"
     "<url><loc>http://h/b?x=1&amp;y=2</loc></url></urlset>",
     "http://h/a\nhttp://h/b?x=1&y=2\n"},
    {"\xEF\xBB\xBF\n <urlset><url><loc><![CDATA[http://h/c]]></loc></url></urlset>",
     "http://h/c\n"},
    {"<urlset "
     "xmlns:i=\"http://www.google.com/schemas/sitemap-image/1.1\"><url><loc>http://h/a</loc>"
     "<i:image><i:loc>http://h/a.png</i:loc></i:image></url></urlset>",
     "http://h/a\n"},
    {"<sitemapindex" NS "><sitemap><loc>http://h/s1.xml.gz</loc></sitemap></sitemapindex>",
     "+http://h/s1.xml.gz\n"},
    {"<urlset></urlset>", ""},
    {"http://h/a\n\n# comment\r\n  http://h/b  \r\nhttp://h/c",
     "http://h/a\nhttp://h/b\nhttp://h/c\n"},
    {"", ""},
    {"<html><body>no</body></html>", NULL},
    {"<!DOCTYPE html><html></html>", NULL},
    {"<!DOCTYPE x [<!ENTITY a \"b\">]><urlset><url><loc>&a;</loc></url></urlset>", NULL},
    {"<urlset><url><loc>&unknown;</loc></url></urlset>", NULL},
    {"<urlset><url><loc>http://h/a</loc></url>", NULL},
    {"<urlset><url></urlset>", NULL},
};

static void test_table_in_pieces_of_any_size(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const size_t size = strlen(cases[i].input);
        for (size_t piece = 1; piece <= size + 1; piece += piece < 8 ? 1 : 50) {
            struct seen seen;
            struct cress_error err;
            const enum cress_status status = read_all(cases[i].input, size, piece, &seen, &err);
            if (cases[i].urls) {
                assert_int_equal(status, CRESS_OK);
                assert_string_equal(cress_buf_text(&seen.text), cases[i].urls);
            } else {
                assert_int_equal(status, CRESS_INVALID);
                assert_string_equal(err.code, "not_a_sitemap");
            }
            cress_buf_free(&seen.text);
        }
    }
}

static size_t gzip(const char *input, size_t size, char *out, size_t room)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (unsigned char *)(uintptr_t)input;
    z.avail_in = (unsigned)size;
    z.next_out = (unsigned char *)out;
    z.avail_out = (unsigned)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return room - z.avail_out;
}

static void test_gzip_whole_cut_damaged_and_in_two_members(void **state)
{
    (void)state;
    const char *text = "http://h/a\nhttp://h/b\n";
    char packed[400];
    size_t size = gzip(text, strlen(text), packed, sizeof packed);
    struct seen seen;
    struct cress_error err;
    assert_int_equal(read_all(packed, size, 3, &seen, &err), CRESS_OK);
    assert_string_equal(seen.text.data, text);
    cress_buf_free(&seen.text);
    assert_int_equal(read_all(packed, size - 1, 100, &seen, &err), CRESS_INVALID);
    assert_string_equal(err.code, "bad_gzip");
    cress_buf_free(&seen.text);
    packed[12] ^= 0x55;
    assert_int_equal(read_all(packed, size, 100, &seen, &err), CRESS_INVALID);
    cress_buf_free(&seen.text);
    size = gzip("http://h/a\n", 11, packed, sizeof packed);
    size += gzip("http://h/b\n", 11, packed + size, sizeof packed - size);
    assert_int_equal(read_all(packed, size, 7, &seen, &err), CRESS_OK);
    assert_string_equal(seen.text.data, text);
    cress_buf_free(&seen.text);
}

static void test_a_budget_holds_the_reader(void **state)
{
    (void)state;
    struct cress_buf plain = cress_buf_make(4 << 20);
    for (int i = 0; i < 20000; i++) {
        cress_buf_printf(&plain, "http://h/%d\n", i);
    }
    static char packed[1 << 20];
    const size_t size = gzip(plain.data, plain.size, packed, sizeof packed);
    struct seen seen = {.text = cress_buf_make(1 << 20)};
    struct cress_sitemap *sitemap = cress_sitemap_new(on_url, &seen);
    cress_sitemap_push(sitemap, packed, size);
    bool drained = false;
    for (size_t before = 0; !drained; before = seen.count) {
        assert_int_equal(cress_sitemap_read(sitemap, 100, &drained, NULL), CRESS_OK);
        assert_true(seen.count - before < 100 + 600);
    }
    assert_int_equal(seen.count, 20000);
    assert_int_equal(cress_sitemap_end(sitemap, NULL), CRESS_OK);
    cress_sitemap_free(sitemap);
    cress_buf_free(&seen.text);
    cress_buf_free(&plain);
}

static void test_an_endless_url_is_refused(void **state)
{
    (void)state;
    static char input[20000];
    memset(input, 'x', sizeof input);
    struct seen seen;
    struct cress_error err;
    input[sizeof input - 1] = '\n';
    assert_int_equal(read_all(input, sizeof input, 1000, &seen, &err), CRESS_INVALID);
    cress_buf_free(&seen.text);
}

static void test_text_without_a_url_has_an_end(void **state)
{
    (void)state;
    const size_t size = 2 << 20;
    char *blanks = cress_alloc(size);
    memset(blanks, ' ', size);
    static const char root[] = {'<', 'u', 'r', 'l', 's', 'e', 't', '>'};
    memcpy(blanks, root, sizeof root);
    struct seen seen;
    struct cress_error err;
    assert_int_equal(read_all(blanks, size, 65536, &seen, &err), CRESS_INVALID);
    assert_string_equal(err.code, "not_a_sitemap");
    cress_buf_free(&seen.text);
    char packed[1 << 14];
    const size_t packed_size = gzip(blanks, size, packed, sizeof packed);
    assert_int_equal(read_all(packed, packed_size, packed_size, &seen, &err), CRESS_INVALID);
    assert_string_equal(err.code, "not_a_sitemap");
    cress_buf_free(&seen.text);
    free(blanks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_in_pieces_of_any_size),
        cmocka_unit_test(test_gzip_whole_cut_damaged_and_in_two_members),
        cmocka_unit_test(test_a_budget_holds_the_reader),
        cmocka_unit_test(test_an_endless_url_is_refused),
        cmocka_unit_test(test_text_without_a_url_has_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
