/*
 * report.c -- what commands print for people.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cmd.h"
#include "pitr/err.h"
#include "pitr/log.h"
#include "pitr/mem.h"
#include "pitr/times.h"
#include "pitr/utf8.h"

char *
report_group(const struct event_gtid *g)
{
    char gtid[GTID_TEXT], when[TIME_BOTH];

    return xasprintf("GTID %s of %s", gtid_text(&g->gtid, gtid),
        time_both(g->time_us, when));
}

void
report_recipients(const struct repo *r, struct buf *out)
{
    uint8_t id[KEY_ID_SIZE];

    for (size_t i = 0; i < r->n_recipients; i++) {
        char *text;

        public_key_id(&r->recipients[i], id);
        text = base32_text(id, sizeof id);
        buf_fmt(out, "recipient: %s\n", text);
        free(text);
    }
}

int
report_news(const struct buf *text)
{
    return log_quiet() ? 0 : report_out(text);
}

int
report_out(const struct buf *text)
{
    utf8_harmless(text->data, text->len);
    if (fwrite(text->data, 1, text->len, stdout) != text->len ||
        fflush(stdout) != 0)
        return err_sys(ERR_FAILED, "cannot write to standard output");
    return 0;
}
