/**
 * Doubly linked list whose nodes live inside the listed things; a state is a list.
 *
 * A node is in at most one list. An unlinked node points at itself. No memory, no locking.
 */
/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FRUN_BASE_LIST_H
#define FRUN_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

/** A node, or the head of a list. */
struct list {
    struct list *next; /**< first, or following */
    struct list *prev; /**< last, or preceding */
};

/** The thing that contains node @p ptr as @p member. */
#define list_entry(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/** Walk nodes; the current one must stay. */
#define list_foreach(it, head) for ((it) = (head)->next; (it) != (head); (it) = (it)->next)

/** Walk nodes; the current one may be removed. */
#define list_foreach_safe(it, tmp, head)                                                           \
    for ((it) = (head)->next, (tmp) = (it)->next; (it) != (head); (it) = (tmp), (tmp) = (it)->next)

/** Make an empty list or an unlinked node. @param l it. Thread: owner. */
static inline void list_init(struct list *l)
{
    l->next = l->prev = l;
}

/** Nothing in it, or not linked? @param l list or node @return true if so. Thread: owner. */
static inline bool list_is_empty(const struct list *l)
{
    return l->next == l;
}

/** Put @p node last. @param head list @param node unlinked node. Thread: owner. */
static inline void list_append(struct list *head, struct list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

/** Put @p node first. @param head list @param node unlinked node. Thread: owner. */
static inline void list_prepend(struct list *head, struct list *node)
{
    list_append(head->next, node);
}

/** Take @p node out; harmless if it is not linked. @param node node. Thread: owner. */
static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/** First node. @param head list @return it, or NULL if the list is empty. Thread: owner. */
static inline struct list *list_first(const struct list *head)
{
    /* In loops that free what they took out, the analyzer misses that list_remove() unlinked it. */
    return head->next == head ? NULL : head->next; /* NOLINT(clang-analyzer-unix.Malloc) */
}

#endif
