// SPDX-License-Identifier: Apache-2.0
// Tests of worker/handler/folder.h.
#include "worker/handler/folder.h"

#include "common/base/mem.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH = 2000 };

static void touch(const char *path)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
}

static char *make(void)
{
    char *path = NULL;
    struct cress_error err = {0};
    assert_int_equal(cress_folder_make(&path, &err), CRESS_OK);
    return path;
}

static void expect_gone(char *path)
{
    struct cress_error err = {0};
    if (cress_folder_remove(path, &err) != CRESS_OK) {
        fail_msg("%s", err.message);
    }
    assert_int_not_equal(access(path, F_OK), 0);
    free(path);
}

static void test_private_and_empty(void **state)
{
    (void)state;
    struct stat info;
    char *path = make();
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    expect_gone(path);
}

static void test_links_are_not_followed(void **state)
{
    (void)state;
    char *outside = make();
    char *kept = cress_format("%s/kept", outside);
    char *path = make();
    char *link_path = cress_format("%s/link", path);
    char *deep = cress_format("%s/deep", path);
    char *deep_link = cress_format("%s/deep/link", path);
    touch(kept);
    assert_int_equal(chmod(outside, 0750), 0);
    assert_int_equal(symlink(outside, link_path), 0);
    assert_int_equal(mkdir(deep, 0700), 0);
    assert_int_equal(symlink(outside, deep_link), 0);
    expect_gone(path);
    struct stat info;
    assert_int_equal(access(kept, F_OK), 0);
    assert_int_equal(stat(outside, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0750);
    expect_gone(outside);
    free(kept);
    free(link_path);
    free(deep);
    free(deep_link);
}

static void test_a_path_longer_than_any(void **state)
{
    (void)state;
    char *home = getcwd(NULL, 0);
    char *path = make();
    assert_int_equal(chdir(path), 0);
    for (int i = 0; i < DEPTH; i++) {
        touch("0"); /* a name that moving up would take */
        touch("file");
        assert_int_equal(mkdir("1-and-some-more-to-make-it-long", i % 2 ? 0700 : 0755), 0);
        assert_int_equal(chdir("1-and-some-more-to-make-it-long"), 0);
    }
    assert_int_equal(chdir(home), 0);
    expect_gone(path);
    free(home);
}

static void test_what_cannot_be_removed_is_said(void **state)
{
    (void)state;
    struct cress_error err = {0};
    assert_int_equal(cress_folder_remove("/tmp/cress-no-such-folder", &err), CRESS_IO);
    assert_non_null(strstr(err.message, "/tmp/cress-no-such-folder"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_private_and_empty),
        cmocka_unit_test(test_links_are_not_followed),
        cmocka_unit_test(test_a_path_longer_than_any),
        cmocka_unit_test(test_what_cannot_be_removed_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
