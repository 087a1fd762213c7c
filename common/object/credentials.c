// SPDX-License-Identifier: Apache-2.0
// Finds the keys of the object store. The file's format: [profile] sections of "name = value"
// lines, # and ; begin a comment line. Source: "Configuration and credential file settings", AWS
// CLI User Guide.

#include "common/object/credentials.h"

#include "common/base/clock.h"
#include "common/base/mem.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *trim(char *text)
{
    text += strspn(text, " \t\r\n");
    size_t length = strlen(text);
    while (length > 0 && strchr(" \t\r\n", text[length - 1])) {
        length--;
    }
    text[length] = '\0';
    return text;
}

static void replace(char **slot, const char *value)
{
    free(*slot);
    *slot = cress_strdup(value);
}

static void take_setting(char *line, struct cress_credentials *found)
{
    char *equals = strchr(line, '=');
    if (!equals) {
        return;
    }
    *equals = '\0';
    const char *name = trim(line);
    const char *value = trim(equals + 1);
    if (strcmp(name, "aws_access_key_id") == 0) {
        replace(&found->access_key_id, value);
    } else if (strcmp(name, "aws_secret_access_key") == 0) {
        replace(&found->secret, value);
    } else if (strcmp(name, "aws_session_token") == 0 && value[0]) {
        replace(&found->session_token, value);
    }
}

/* Settings of other profiles, and names that are not ours, are skipped. */
static void read_profile(FILE *file, const char *profile, struct cress_credentials *found)
{
    char *line = NULL;
    size_t capacity = 0;
    bool in_profile = false;
    while (getline(&line, &capacity, file) >= 0) {
        char *text = trim(line);
        char *end = strchr(text, ']');
        if (text[0] == '[' && end) {
            *end = '\0';
            in_profile = strcmp(trim(text + 1), profile) == 0;
        } else if (in_profile && text[0] != '#' && text[0] != ';') {
            take_setting(text, found);
        }
    }
    if (line) {
        OPENSSL_cleanse(line, capacity);
    }
    free(line);
}

static char *file_name(void)
{
    const char *named = getenv("AWS_SHARED_CREDENTIALS_FILE");
    if (named && named[0]) {
        return cress_strdup(named);
    }
    const char *home = getenv("HOME");
    return cress_format("%s/.aws/credentials", home ? home : "");
}

/* What the file said last. Every page opens a store, and the loop must not wait for a disk, or for a
 * home directory on the network, each time; keys that rotate are seen soon enough. */
static struct {
    char *name, *profile;
    struct cress_credentials keys;
    int64_t until_ms;
} kept;

enum { KEEP_MS = 10 * 1000 };

static struct cress_credentials copy_of(const struct cress_credentials *keys)
{
    return (struct cress_credentials){
        .access_key_id = cress_strdup(keys->access_key_id),
        .secret = cress_strdup(keys->secret),
        .session_token = cress_strdup(keys->session_token),
    };
}

static bool is_kept(const char *name, const char *profile)
{
    return cress_clock_mono_ms() < kept.until_ms && strcmp(kept.name, name) == 0 &&
           strcmp(kept.profile, profile) == 0;
}

static void keep(const char *name, const char *profile, const struct cress_credentials *keys)
{
    cress_credentials_free(&kept.keys);
    kept.keys = copy_of(keys);
    replace(&kept.name, name);
    replace(&kept.profile, profile);
    kept.until_ms = cress_clock_mono_ms() + KEEP_MS;
}

static enum cress_status find_in_file(const char *profile, struct cress_credentials *out,
                                      struct cress_error *err)
{
    struct cress_credentials found = {0};
    FILE *file = NULL;
    enum cress_status status = CRESS_OK;
    char *name = file_name();
    if (is_kept(name, profile)) {
        *out = copy_of(&kept.keys);
        goto out;
    }
    file = fopen(name, "re");
    if (!file) {
        status = cress_error_set(err, CRESS_CONFIG, "no_credentials",
                                 "no credentials for the object store: set AWS_ACCESS_KEY_ID and "
                                 "AWS_SECRET_ACCESS_KEY, or write them to %s (%s)",
                                 name, strerror(errno));
        goto out;
    }
    read_profile(file, profile, &found);
    (void)fclose(file);
    if (!found.access_key_id || !found.secret) {
        status = cress_error_set(
            err, CRESS_CONFIG, "no_credentials", "%s: profile [%s] lacks %s", name, profile,
            found.access_key_id ? "aws_secret_access_key" : "aws_access_key_id");
        goto out;
    }
    keep(name, profile, &found);
    *out = found;
    found = (struct cress_credentials){0};
out:
    cress_credentials_free(&found);
    free(name);
    return status;
}

enum cress_status cress_credentials_find(const struct cress_config *config,
                                         struct cress_credentials *out, struct cress_error *err)
{
    const bool has_id = config->s3_access_key_id[0];
    const bool has_secret = config->s3_secret_access_key[0];
    if (has_id != has_secret) {
        return cress_error_set(err, CRESS_CONFIG, "no_credentials", "%s is set, but not %s",
                               has_id ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY",
                               has_id ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
    }
    if (!has_id) {
        return find_in_file(config->s3_profile, out, err);
    }
    const bool has_token = config->s3_session_token[0];
    *out = (struct cress_credentials){
        .access_key_id = cress_strdup(config->s3_access_key_id),
        .secret = cress_strdup(config->s3_secret_access_key),
        .session_token = has_token ? cress_strdup(config->s3_session_token) : NULL,
    };
    return CRESS_OK;
}

void cress_credentials_free(struct cress_credentials *credentials)
{
    if (credentials->secret) {
        OPENSSL_cleanse(credentials->secret, strlen(credentials->secret));
    }
    free(credentials->access_key_id);
    free(credentials->secret);
    free(credentials->session_token);
    *credentials = (struct cress_credentials){0};
}
