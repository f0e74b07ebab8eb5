/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/base/text.h"
#include "frun/oauth/foreign.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const audience[] = {"push"};
static const char *const scope[] = {"push"};
static const char *const scope_claim[] = {"scope", "scp"};

static const struct foreign_rules rules = {audience, 1, scope, 1, scope_claim, 2, ~0U, 60, 0};

/* The generator of P-256 as a public key: nothing in a corpus is signed with 1. */
static struct jwks *keys(void)
{
    static struct jwks *k;
    static const char json[] = "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"k\","
                               "\"x\":\"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY\","
                               "\"y\":\"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU\"}]}";
    struct jwks_skipped skipped;
    if (!k && jwks_parse(span_of(json), &k, &skipped)) {
        abort();
    }
    return k;
}

static void try(struct span token)
{
    struct foreign *f = NULL;
    struct foreign_no no = {FOREIGN_GOOD, NULL, ""};
    frun_err err = foreign_open(token, &f, &no);
    if (!err) {
        err = foreign_verify(f, keys(), &rules, 1800000000, &no);
        (void)foreign_client(f);
        (void)foreign_subject(f);
        (void)foreign_until_s(f, &rules);
        (void)foreign_has(f, SPAN_LIT("ext_attr.zdn"), SPAN_LIT("x"));
    }
    if (!err || !no.why || strlen(no.seen) >= sizeof(no.seen)) {
        abort();
    }
    foreign_free(f);
}

/* No token is ever accepted: as it is, and as the claims of one whose header is in order. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[FOREIGN_MAX_BYTES + 8];
    static const char header[] = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsifQ.";
    try(span_make(data, size));
    if (size > FOREIGN_MAX_BYTES / 2) {
        return 0;
    }
    size_t n = sizeof(header) - 1;
    memcpy(text, header, n);
    n += text_base64url(span_make(data, size), text + n);
    memcpy(text + n, ".AAAA", 5);
    try(span_make(text, n + 5));
    return 0;
}
