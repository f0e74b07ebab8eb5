/* SPDX-License-Identifier: Apache-2.0 */
#include "frun/loop/heap.h"

#include "frun/base/list.h"
#include "frun/base/span.h"

#include <fcntl.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#if __GLIBC_PREREQ(2, 33)
#define HEAP_CAN_TELL 1
#endif
#endif

#ifdef HEAP_CAN_TELL

/* Resident pages that are the process's own: the second field of statm less the third. */
static bool resident_bytes(size_t *out)
{
    char text[128];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
    if (fd >= 0) {
        close(fd);
    }
    uint64_t pages[3] = {0};
    struct span rest = span_make(text, n > 0 ? (size_t)n : 0);
    for (size_t i = 0; i < 3; i++) {
        struct span field;
        if (!span_split(&rest, ' ', &field) || span_to_u64(field, &pages[i])) {
            return false;
        }
    }
    *out = pages[1] > pages[2] ? (size_t)(pages[1] - pages[2]) * (size_t)sysconf(_SC_PAGESIZE) : 0;
    return true;
}

static uint64_t cpu_ms(void)
{
    struct timespec t = {0, 0};
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

bool heap_read(struct heap_state *out)
{
    struct mallinfo2 m = mallinfo2();
    size_t used = m.uordblks + m.hblkhd;
    size_t resident;
    /* Another allocator than glibc's (a sanitizer's) has nothing in use here. */
    if (used == 0 || !resident_bytes(&resident)) {
        return false;
    }
    *out = (struct heap_state){.resident = resident, .used = used, .cpu_ms = cpu_ms()};
    return true;
}

void heap_give_back(void)
{
    (void)malloc_trim(0);
}

#else

bool heap_read(struct heap_state *out)
{
    (void)out;
    return false;
}

void heap_give_back(void)
{
}

#endif

static size_t idle_of(struct heap_state now)
{
    return now.resident > now.used ? now.resident - now.used : 0;
}

void heap_watch_begin(struct heap_watch *w, struct heap_state now)
{
    w->least_resident = now.resident;
    w->cpu_ms = now.cpu_ms;
    heap_watch_gave(w, now);
}

bool heap_watch_judge(struct heap_watch *w, struct heap_state now)
{
    size_t idle = idle_of(now);
    bool was_over = w->is_over;
    bool is_quiet = now.cpu_ms - w->cpu_ms <= HEAP_QUIET_CPU_MS;
    size_t spare = is_quiet ? HEAP_QUIET_SPARE_BYTES : HEAP_SPARE_BYTES;
    w->least_resident = now.resident < w->least_resident ? now.resident : w->least_resident;
    w->calm_idle = idle < w->calm_idle ? idle : w->calm_idle;
    w->is_over = now.resident > w->least_resident + spare && idle > w->calm_idle + spare;
    w->cpu_ms = now.cpu_ms;
    return was_over && w->is_over;
}

void heap_watch_gave(struct heap_watch *w, struct heap_state now)
{
    w->calm_idle = idle_of(now);
    w->is_over = false;
}

static void on_again(struct deadline *d)
{
    struct heap_watch *w = list_entry(d, struct heap_watch, again);
    struct heap_state now;
    if (heap_read(&now) && heap_watch_judge(w, now)) {
        heap_give_back();
        if (heap_read(&now)) {
            heap_watch_gave(w, now);
        }
    }
    deadline_set(w->loop, &w->again, HEAP_LOOK_MS);
}

void heap_watch_start(struct heap_watch *w, struct loop *l)
{
    struct heap_state now;
    if (!heap_read(&now)) {
        return;
    }
    heap_watch_begin(w, now);
    w->loop = l;
    deadline_init(&w->again, on_again);
    deadline_set(l, &w->again, HEAP_LOOK_MS);
}

void heap_watch_stop(struct heap_watch *w)
{
    if (w->loop) {
        deadline_clear(&w->again);
        w->loop = NULL;
    }
}
