/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/conf/doc.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct all {
    struct conf_place place;
    const char *text;
    bool flag;
    uint64_t number;
    uint64_t size;
    uint64_t time;
    int choice;
    const char *address;
    struct conf_list list;
    const char *path;
    const char *hash;
    const char *carrier;
};

#define AT(member) offsetof(struct all, member)

/* Every type that touches no file, and the checks with a grammar of their own. */
static const struct conf_row rows[] = {
    {"text", CONF_TEXT, AT(text), 0, 50, NULL, false, "public_url", CONF_RELOAD_LIVE, ""},
    {"flag", CONF_BOOL, AT(flag), 0, 0, NULL, false, NULL, CONF_RELOAD_LIVE, ""},
    {"number", CONF_UINT, AT(number), 2, 9, NULL, false, NULL, CONF_RELOAD_LIVE, ""},
    {"size", CONF_SIZE, AT(size), 1, 0, NULL, false, NULL, CONF_RELOAD_LIVE, ""},
    {"time", CONF_TIME, AT(time), 0, 9000, NULL, false, NULL, CONF_RELOAD_LIVE, ""},
    {"choice", CONF_CHOICE, AT(choice), 0, 0, NULL, false, "a|b c", CONF_RELOAD_LIVE, ""},
    {"address", CONF_ADDRESS, AT(address), 0, 0, NULL, false, NULL, CONF_RELOAD_LIVE, ""},
    {"list", CONF_LIST, AT(list), 0, 9, "x", false, "authority", CONF_RELOAD_LIVE, ""},
    {"path", CONF_TEXT, AT(path), 1, 0, NULL, false, "path", CONF_RELOAD_LIVE, ""},
    {"hash", CONF_TEXT, AT(hash), 1, 0, NULL, false, "hash", CONF_RELOAD_LIVE, ""},
    {"carrier", CONF_TEXT, AT(carrier), 1, 0, NULL, false, "carrier", CONF_RELOAD_LIVE, ""},
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct conf_kind kinds[] = {
        {"a", NULL, false, true, sizeof(struct all), rows, sizeof(rows) / sizeof(rows[0]), ""},
        {"b", "authority", true, false, sizeof(struct all), rows, sizeof(rows) / sizeof(rows[0]),
         ""}};
    struct conf_doc *d = NULL;
    frun_err err = conf_load_text(span_make(data, size), "fuzz.ini", kinds, 2, &d);
    size_t n = 0;
    /* a refusal always says why */
    if (err == FRUN_E_SYNTAX && (!conf_issues(d, &n) || n == 0)) {
        abort();
    }
    conf_free(d);
    return 0;
}
