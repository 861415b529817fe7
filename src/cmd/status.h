/*
 * status.h -- a server's health in several forms.
 */
#ifndef PITR_CMD_STATUS_H
#define PITR_CMD_STATUS_H

#include "pitr/health.h"

/* For people (status_text.c), for scripts (status_json.c). */
void status_text(const struct health *h, uint64_t now_us, struct buf *out);
void status_json(
    const struct health *h, size_t n, uint64_t now_us, struct buf *out);
/* Prometheus' text exposition; lines for zabbix_sender (status_metrics.c). */
void status_prometheus(
    const struct health *h, size_t n, uint64_t now_us, struct buf *out);
void status_zabbix(
    const struct health *h, size_t n, uint64_t now_us, struct buf *out);

#endif
