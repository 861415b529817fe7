/*
 * check_vaults.c -- each vault: is it there, ours, may it only be added to, is
 * what it says durable, has it room; and does what the server logs get there?
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "pitr/repo.h"
#include "pitr/times.h"
#include "vaults.h"

static void
check_room(const char *url, const struct store_room *room, bool waits,
    struct findings *f)
{
    char left[TIME_TEXT];

    if (!room->syncs)
        check_doubt(f,
            "%s: its server has no fsync@openssh.com: what is there may not "
            "survive a power cut%s",
            url,
            waits ? ", and is never acknowledged (acknowledge = vault)" : "");
    if (!room->known)
        check_good(
            f, "%s: its server does not tell how much room there is", url);
    else if (room->read_only)
        check_doubt(f, "%s: its file system is read-only", url);
    else if (room->free < room->size / 20)
        check_doubt(
            f, "%s: only %s are left there", url, size_text(room->free, left));
    else
        check_good(f, "%s: %s are left there%s", url,
            size_text(room->free, left),
            room->syncs ? ", and what is written is synced" : "");
}

static void
check_append_only(const char *url, struct store *store, struct findings *f)
{
    int may = store_may_remove(store);

    if (may < 0)
        check_fault(f);
    else if (may > 0)
        check_doubt(f,
            "%s: this account may remove what it has shipped, and so may who "
            "takes over this host; doc/VAULT.md makes it append-only",
            url);
    else
        check_good(
            f, "%s: append-only, nothing there can be removed from here", url);
}

/*
 * An account that may only add could not take back what would be written to
 * try it.  So what shows that it can be written to is what is written there
 * anyway: the marker, by whoever ships.
 */
static void
check_arrival(const char *url, struct repo *here, struct repo *there,
    const struct check_marker *m, struct findings *f)
{
    char *name = ship_state_name(url), took[TIME_TEXT];
    uint64_t begun = time_mono_us();
    int runs = repo_is_locked(here, name), has;

    free(name);
    if (runs < 0) {
        check_fault(f);
    } else if (runs == 0) {
        check_doubt(f,
            "%s: nobody ships there now; whether it can be written to is told "
            "by \"pitr ship --once\"",
            url);
    } else if (m->arrived) {
        if ((has = check_arrives(there, m)) == 0) {
            err_set(ERR_FAILED,
                "%s: the marker has not arrived there within %s", url,
                time_span(m->wait_us, took));
            err_hint("\"pitr status\" and the log of \"pitr stream\" say "
                     "what went wrong with that vault last.");
        }
        if (has <= 0)
            check_fault(f);
        else
            check_good(f, "%s: the marker was there after %s more", url,
                time_span(time_mono_us() - begun, took));
    }
}

/* Takes the store. */
static void
check_whose(const char *url, const struct conf_server *s, struct store *store,
    const struct check_marker *m, struct findings *f)
{
    struct repo *here = NULL, *there = NULL;
    uint64_t size;
    int is = store_stat(store, "repository", &size);

    if (is < 0)
        check_fault(f);
    if (is == 0)
        check_doubt(f, "%s: nothing was shipped there yet", url);
    if (is <= 0) {
        store_close(store);
        return;
    }
    there = repo_open_store(store, s->name, NULL);
    here =
        s->repository == NULL ? NULL : repo_open(s->repository, s->name, NULL);
    if (there == NULL || here == NULL) {
        check_fault(f);
    } else if (memcmp(here->id, there->id, sizeof here->id) != 0) {
        err_set(ERR_NOREPO, "%s is the vault of another repository", url);
        err_hint("Each repository needs a folder of its own on the vault.");
        check_fault(f);
    } else {
        check_good(f, "%s: reached, and it is this repository's", url);
        check_arrival(url, here, there, m, f);
    }
    repo_close(here);
    repo_close(there);
}

static void
check_one(const char *url, const struct conf_server *s,
    const struct check_marker *m, struct findings *f)
{
    struct store_sftp_conf ssh = vaults_ssh(s);
    bool waits = s->acknowledge != NULL && strcmp(s->acknowledge, "vault") == 0;
    struct store_room room;
    struct store *store;

    ssh.retry_us = 1; /* now */
    if ((store = store_open_sftp(url, &ssh)) == NULL) {
        check_fault(f);
        return;
    }
    if (store_room(store, &room) < 0)
        check_fault(f);
    else
        check_room(url, &room, waits, f);
    check_append_only(url, store, f);
    check_whose(url, s, store, m, f);
}

void
check_vaults(const struct conf_server *s, const struct check_marker *m,
    struct findings *f)
{
    size_t n;
    char **url = vaults_list(s, &n);

    for (size_t i = 0; i < n; i++) {
        check_one(url[i], s, m, f);
        free(url[i]);
    }
    free(url);
}
