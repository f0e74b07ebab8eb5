/**
 * frunctl oauth: signing keys by hand, where the daemon may not write to their folder.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/oauth/keydir.h"

#include "ctl.h"

#include <stdio.h>
#include <stdlib.h>

int ctl_oauth_new_key(int argc, char **argv)
{
    char id[KEYS_ID_BYTES];
    struct diag d = {.text = ""};
    if (argc != 2 || argv[1][0] == '-') {
        return ctl_misuse("one folder is wanted: key_directory of [oauth]");
    }
    if (keydir_add(argv[1], id, &d)) {
        return ctl_fail("%s", d.text);
    }
    (void)printf("%s.pem\n", id);
    return EXIT_SUCCESS;
}
