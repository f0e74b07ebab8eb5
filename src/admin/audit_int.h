/**
 * What the files of the audit log share: an event as text, and the count of those that come again.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_ADMIN_AUDIT_INT_H
#define FRUN_ADMIN_AUDIT_INT_H

#include "frun/admin/audit.h"

/** Different frequent events of one minute that are told apart. */
#define AUDIT_SLOTS 128

/** How long the same event is only counted, milliseconds. */
#define AUDIT_WINDOW_MS 60000

/** Octets of one value in a record, as written; a longer one is cut. */
#define AUDIT_VALUE_BYTES 600

/** Octets of a frequent event's texts with their final NULs; longer ones are cut. */
#define AUDIT_SLOT_BYTES 640

/** A frequent event that is being counted. */
struct audit_slot {
    const char *name;            /**< NULL: free */
    const char *outcome;         /**< as told */
    uint64_t since_ms;           /**< when it was told */
    uint64_t repeats;            /**< times it came since */
    size_t len[4];               /**< octets of each text; SIZE_MAX: absent */
    bool is_rest;                /**< stands for all of its name that find no slot */
    char text[AUDIT_SLOT_BYTES]; /**< who, from, object, detail, one behind the other */
};

/** Frequent events of the last minute. */
struct audit_repeats {
    struct audit_slot slots[AUDIT_SLOTS]; /**< some free */
    size_t n;                             /**< in use */
};

/** Does a frequent event have to be written? If not it has been counted. @param r counters @param e
 * event @param now_ms monotonic @return true if so. */
bool audit_repeats_is_new(struct audit_repeats *r, const struct audit_event *e, uint64_t now_ms);

/** An event whose minute is over and that came again meanwhile; its slot is free then. @param r
 * counters @param now_ms monotonic; UINT64_MAX: all @param e out: event, its texts live in @p copy
 * @param copy room @param repeats out: how often it came again @return false: there is none. */
bool audit_repeats_take(struct audit_repeats *r, uint64_t now_ms, struct audit_event *e,
                        struct audit_slot *copy, uint64_t *repeats);

/** The members of an event's record. @param e event @param repeats times it came again; 0: this is
 * the first @param out CHAIN_RECORD_BYTES octets @return octets. */
size_t audit_write(const struct audit_event *e, uint64_t repeats, char *out);

#endif
