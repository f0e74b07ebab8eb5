/**
 * Runs a fuzz target over files instead of under libFuzzer: each argument is a file, or a folder
 * whose files are read. The corpus so stays a test for every compiler.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_MAX_BYTES 1048576

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
    FILE *f = fopen(path, "re");
    char *buf = malloc(INPUT_MAX_BYTES);
    int failed = 1;

    if (f && buf) {
        size_t n = fread(buf, 1, INPUT_MAX_BYTES, f);
        /* A block of just this size, so that a sanitizer sees the first octet read behind it. */
        uint8_t *exact = ferror(f) ? NULL : malloc(n ? n : 1);

        if (exact) {
            memcpy(exact, buf, n);
            (void)LLVMFuzzerTestOneInput(exact, n);
            free(exact);
            failed = 0;
        }
    }
    if (failed) {
        (void)fprintf(stderr, "%s: cannot be read\n", path);
    }
    free(buf);
    if (f) {
        (void)fclose(f);
    }
    return failed;
}

static int run_folder(const char *path, unsigned *count)
{
    DIR *dir = opendir(path);
    struct dirent *e;
    int failed = dir == NULL;

    while (dir && (e = readdir(dir)) != NULL) {
        char name[4096];

        if (e->d_name[0] == '.') {
            continue;
        }
        if (snprintf(name, sizeof(name), "%s/%s", path, e->d_name) >= (int)sizeof(name)) {
            failed = 1;
            continue;
        }
        failed |= run_file(name);
        ++*count;
    }
    if (dir) {
        (void)closedir(dir);
    }
    return failed;
}

int main(int argc, char **argv)
{
    unsigned count = 0;
    int failed = 0;

    for (int i = 1; i < argc; i++) {
        struct stat st;

        if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode)) {
            failed |= run_folder(argv[i], &count);
        } else {
            failed |= run_file(argv[i]);
            count++;
        }
    }
    (void)printf("%u inputs\n", count);
    return failed || count == 0;
}
