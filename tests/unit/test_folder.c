// SPDX-License-Identifier: Apache-2.0
// Tests of worker/process/folder.h.
#include "worker/process/folder.h"

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

static struct cress_folder make(void)
{
    struct cress_folder folder = {.lock = -1};
    struct cress_error err = {0};
    assert_int_equal(cress_folder_make(&folder, &err), CRESS_OK);
    return folder;
}

static void expect_gone(struct cress_folder folder)
{
    struct cress_error err = {0};
    char *path = cress_strdup(folder.path);
    if (cress_folder_remove(&folder, &err) != CRESS_OK) {
        fail_msg("%s", err.message);
    }
    assert_null(folder.path);
    assert_int_not_equal(access(path, F_OK), 0);
    free(path);
}

static void test_private_and_empty(void **state)
{
    (void)state;
    struct stat info;
    struct cress_folder folder = make();
    assert_int_equal(stat(folder.path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    expect_gone(folder);
}

static void test_links_are_not_followed(void **state)
{
    (void)state;
    const struct cress_folder outside = make();
    char *kept = cress_format("%s/kept", outside.path);
    const struct cress_folder folder = make();
    char *link_path = cress_format("%s/link", folder.path);
    char *deep = cress_format("%s/deep", folder.path);
    char *deep_link = cress_format("%s/deep/link", folder.path);
    touch(kept);
    assert_int_equal(chmod(outside.path, 0750), 0);
    assert_int_equal(symlink(outside.path, link_path), 0);
    assert_int_equal(mkdir(deep, 0700), 0);
    assert_int_equal(symlink(outside.path, deep_link), 0);
    expect_gone(folder);
    struct stat info;
    assert_int_equal(access(kept, F_OK), 0);
    assert_int_equal(stat(outside.path, &info), 0);
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
    const struct cress_folder folder = make();
    assert_int_equal(chdir(folder.path), 0);
    for (int i = 0; i < DEPTH; i++) {
        touch("0"); /* a name that moving up would take */
        touch("file");
        assert_int_equal(mkdir("1-and-some-more-to-make-it-long", i % 2 ? 0700 : 0755), 0);
        assert_int_equal(chdir("1-and-some-more-to-make-it-long"), 0);
    }
    assert_int_equal(chdir(home), 0);
    expect_gone(folder);
    free(home);
}

static void test_what_cannot_be_removed_is_said(void **state)
{
    (void)state;
    struct cress_error err = {0};
    struct cress_folder folder = {.path = cress_strdup("/tmp/cress-no-such-folder"), .lock = -1};
    assert_int_equal(cress_folder_remove(&folder, &err), CRESS_IO);
    assert_non_null(strstr(err.message, "/tmp/cress-no-such-folder"));
}

static void test_only_an_empty_one_goes_at_once(void **state)
{
    (void)state;
    struct cress_folder full = make();
    struct cress_folder empty = make();
    char *file = cress_format("%s/file", full.path);
    touch(file);
    assert_true(cress_folder_remove_empty(&empty));
    assert_null(empty.path);
    assert_false(cress_folder_remove_empty(&full));
    expect_gone(full);
    free(file);
}

/* What a killed owner leaves: the folder, without a lock. */
static char *make_orphan(void)
{
    struct cress_folder folder = make();
    char *file = cress_format("%s/file", folder.path);
    touch(file);
    free(file);
    close(folder.lock);
    return folder.path;
}

static void test_sweep_takes_what_is_nobodys(void **state)
{
    (void)state;
    char top[] = "/tmp/cress-test-sweep-XXXXXX";
    assert_non_null(mkdtemp(top));
    setenv("TMPDIR", top, 1);
    char *orphan = make_orphan();
    const struct cress_folder used = make();
    char *similar = cress_format("%s/cress-run-of-mine", top);
    char *link_path = cress_format("%s/cress-run-aaaaaa", top);
    assert_int_equal(mkdir(similar, 0700), 0);
    assert_int_equal(symlink(similar, link_path), 0);
    assert_int_equal(cress_folder_sweep(), 1);
    assert_int_not_equal(access(orphan, F_OK), 0);
    assert_int_equal(access(used.path, F_OK), 0);
    assert_int_equal(access(similar, F_OK), 0);
    expect_gone(used);
    assert_int_equal(cress_folder_sweep(), 0);
    assert_int_equal(unlink(link_path), 0);
    assert_int_equal(rmdir(similar), 0);
    assert_int_equal(rmdir(top), 0);
    unsetenv("TMPDIR");
    free(orphan);
    free(similar);
    free(link_path);
}

/* Another process that has the descriptor holds the lock, as a warden does. */
static void test_a_copy_of_the_lock_keeps_it(void **state)
{
    (void)state;
    struct cress_folder folder = make();
    const int copy = dup(folder.lock);
    close(folder.lock);
    cress_folder_sweep();
    assert_int_equal(access(folder.path, F_OK), 0);
    close(copy);
    cress_folder_sweep();
    assert_int_not_equal(access(folder.path, F_OK), 0);
    free(folder.path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_private_and_empty),
        cmocka_unit_test(test_links_are_not_followed),
        cmocka_unit_test(test_a_path_longer_than_any),
        cmocka_unit_test(test_what_cannot_be_removed_is_said),
        cmocka_unit_test(test_only_an_empty_one_goes_at_once),
        cmocka_unit_test(test_sweep_takes_what_is_nobodys),
        cmocka_unit_test(test_a_copy_of_the_lock_keeps_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
