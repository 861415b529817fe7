/*
 * sftp_folder.h -- a vault's folder, as it was read.  Of one thread at a time.
 */
#ifndef PITR_SFTP_FOLDER_H
#define PITR_SFTP_FOLDER_H

#include "sftp.h"

#define VAULT_FOLDERS 32      /* read at once, at most */
#define VAULT_NAMES_AHEAD 128 /* requests for names on their way, for each */
#define VAULT_ENTRIES_MAX ((size_t)4 << 20)

struct vault_entry {
    char *name; /* of the file or folder, within its folder */
    bool is_folder;
    uint64_t size;
};

struct vault_folder {
    struct vault_folder *next; /* sftp_list.c: remembered, the newest first */
    char *name;                /* "FOLDER/" or "" */
    bool missing;
    struct vault_entry *v;
    size_t n, cap;
    size_t seen;       /* names in all, also those that are not ours */
    uint64_t until_us; /* it may be remembered for so long, time_mono_us() */

    /* While it is read. */
    struct vault_handle handle;
    bool open, ended;
    struct vault_req *ask[VAULT_NAMES_AHEAD]; /* a ring */
    size_t head, asked, ahead;
};

/* name: "FOLDER/", or "" for the vault's own. */
struct vault_folder *vault_folder_new(const char *name);
void vault_folder_free(struct vault_folder *f); /* or NULL */

/* Read what is in these n, VAULT_FOLDERS at most, sorted by name; one that is
 * not there is missing, which is no error.  0 or -1. */
int vault_folders_read(struct vault_conn *c, struct vault_folder **f, size_t n);

#endif
