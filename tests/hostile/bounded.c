/*
 * bounded.c -- bounded SECONDS MEGABYTES COMMAND...: runs it; its exit code, or
 * 200 where it took longer (it is killed), 201 where it needed more memory, 202
 * where a signal ended it.
 */
#include "hostile.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

int
main(int argc, char **argv)
{
    double left = argc > 3 ? strtod(argv[1], NULL) : 0;
    long most = argc > 3 ? strtol(argv[2], NULL, 10) * 1024 : 0;
    struct timespec pause = {.tv_nsec = 10000000}, from, now;
    struct rusage used;
    int status;
    pid_t pid;

    if (argc < 4)
        return 2;
    if ((pid = fork()) == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execvp(argv[3], argv + 3);
        _exit(127);
    }
    clock_gettime(CLOCK_MONOTONIC, &from);
    while (wait4(pid, &status, WNOHANG, &used) != pid) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        if ((double)(now.tv_sec - from.tv_sec) > left) {
            fprintf(stderr, "bounded: not done after %.0f s\n", left);
            kill(pid, SIGABRT);
            nanosleep(&pause, NULL);
            kill(pid, SIGKILL);
            wait4(pid, &status, 0, &used);
            return 200;
        }
        nanosleep(&pause, NULL);
    }
    if (WIFSIGNALED(status)) {
        fprintf(stderr, "bounded: ended by signal %d\n", WTERMSIG(status));
        return 202;
    }
    if (used.ru_maxrss > most) {
        fprintf(stderr, "bounded: %ld MiB of memory\n", used.ru_maxrss / 1024);
        return 201;
    }
    return WEXITSTATUS(status);
}
