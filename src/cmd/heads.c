/*
 * heads.c -- does a repository go as far as it did?  What commands that read
 * one do with its head (head.h).
 */
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "pitr/err.h"
#include "pitr/log.h"

static int
check_expected(struct repo *r, const struct catalog *c, const char *expect)
{
    struct head h;

    if (expect == NULL)
        return 0;
    if (head_parse(expect, &h) < 0)
        return err_wrap("--expect");
    return head_check(r, c, &h) < 0 ? err_wrap("--expect") : 0;
}

/*
 * What is remembered may be of somebody who looked after the catalogue was
 * read: a verify reads for hours meanwhile.  So what counts is what is there
 * now.
 */
static int
look_again(struct repo *r, const struct head *was, struct head *now)
{
    struct catalog *c = catalog_load(r);
    int rc = -1;

    if (c != NULL && head_check(r, c, was) == 0)
        rc = head_of(r, c, now);
    catalog_free(c);
    return rc;
}

static void
tell_of_another(const struct repo *r, const char *path)
{
    char *other = head_state_other(r, path);

    if (other != NULL)
        log_warn(
            "%s was another repository of server \"%s\" when it was read "
            "before. If nobody has made it anew, another one was put in its "
            "place: look at another copy first. Once that is clear, remove "
            "%s",
            store_where(r->store), r->server, other);
    free(other);
}

/* Remembering is a help, and being unable to is no failure. */
static int
check_remembered(
    struct repo *r, const struct catalog *c, const char *path, struct head *now)
{
    char was_text[HEAD_TEXT], text[HEAD_TEXT];
    struct head was;
    int rc;

    tell_of_another(r, path);
    if ((rc = head_state_load(path, &was)) < 0) {
        log_warn("what was seen of the repository before is not known: %s",
            err_text());
        err_clear();
        return 0;
    }
    if (rc > 0 && head_check(r, c, &was) < 0 && look_again(r, &was, now) < 0)
        return err_wrap("as remembered in %s", path);
    if (rc > 0 && strcmp(head_text(&was, was_text), head_text(now, text)) == 0)
        return 0;
    if (head_state_save(path, r, now) < 0) {
        log_info("what was seen of the repository is not remembered: %s",
            err_text());
        err_clear();
    }
    return 0;
}

int
cmd_head(struct repo *r, const struct catalog *c, const char *expect,
    const char *state, struct head *out)
{
    struct head now;
    char *path;
    int rc = 0;

    if (check_expected(r, c, expect) < 0 || head_of(r, c, &now) < 0)
        return -1;
    if (out != NULL)
        *out = now;
    if (state != NULL && strcmp(state, "none") == 0)
        return 0;
    if ((path = head_state_path(r, state)) != NULL)
        rc = check_remembered(r, c, path, &now);
    free(path);
    return rc;
}
