"""A process whose clock is wrong: a few lines of C before the C library, compiled where a cc is.

libfaketime does more than this, and Python's sleep fails under it: what runs on the monotonic clock
must not be touched.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

_SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static time_t ahead(void) {
    static int known;
    static time_t seconds;
    if (!known) {
        const char *said = getenv("CHAOS_CLOCK_AHEAD");
        seconds = said ? atoi(said) : 0;
        known = 1;
    }
    return seconds;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(clock, now);
    if (!failed && clock == CLOCK_REALTIME) now->tv_sec += ahead();
    return failed;
}

int gettimeofday(struct timeval *now, void *zone) {
    struct timespec exact;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &exact)) return -1;
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *where) {
    struct timespec exact;
    if (clock_gettime(CLOCK_REALTIME, &exact)) return (time_t)-1;
    if (where) *where = exact.tv_sec;
    return exact.tv_sec;
}
"""


def library(folder: Path) -> Path | None:
    """The library to be loaded first (LD_PRELOAD); None where nothing compiles C."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    source, made = folder / "skew.c", folder / "skew.so"
    source.write_text(_SOURCE)
    done = subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", made, source, "-ldl"],
        check=False,
        capture_output=True,
    )
    return made if done.returncode == 0 else None


def environment(made: Path, seconds: float) -> dict[str, str]:
    """What a process needs in its environment to be so many whole seconds ahead."""
    return {"LD_PRELOAD": str(made), "CHAOS_CLOCK_AHEAD": str(round(seconds))}
