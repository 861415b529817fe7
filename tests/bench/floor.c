/*
 * floor.c -- the least that a dump can cost: rows of sysbench's tables
 * read over the binary protocol and compressed, with nothing else done.
 *
 *   floor SOCKET LEVEL THREADS TABLES
 *
 * The rows' packets go to zstd as the client library brings them.
 */
#include <mysql.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

static const char *sock;
static int level, tables, next_table;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void
die(const char *what)
{
    fprintf(stderr, "floor: %s\n", what);
    exit(1);
}

static int
take(void)
{
    int n;

    pthread_mutex_lock(&mutex);
    n = ++next_table;
    pthread_mutex_unlock(&mutex);
    return n;
}

static void
compress_rows(MYSQL *db, ZSTD_CCtx *ctx, char *out, size_t room)
{
    size_t left;

    for (;;) {
        ulong n = mysql_net_read_packet(db);
        ZSTD_inBuffer in = {db->net.read_pos, n, 0};

        if (n == packet_error)
            die("a row");
        if (n < 9 && db->net.read_pos[0] == 0xfe)
            break;
        while (in.pos < in.size) {
            ZSTD_outBuffer o = {out, room, 0};

            if (ZSTD_isError(
                    ZSTD_compressStream2(ctx, &o, &in, ZSTD_e_continue)))
                die("zstd");
        }
    }
    do {
        ZSTD_inBuffer in = {NULL, 0, 0};
        ZSTD_outBuffer o = {out, room, 0};

        left = ZSTD_compressStream2(ctx, &o, &in, ZSTD_e_end);
    } while (left > 0 && !ZSTD_isError(left));
}

static void
table(MYSQL *db, ZSTD_CCtx *ctx, char *out, size_t room, int number)
{
    char q[100];
    MYSQL_STMT *st = mysql_stmt_init(db);

    snprintf(q, sizeof(q), "SELECT * FROM b.sbtest%d", number);
    if (mysql_stmt_prepare(st, q, strlen(q)) != 0 ||
        mysql_stmt_execute(st) != 0)
        die(mysql_stmt_error(st));
    compress_rows(db, ctx, out, room);
    /* The result was read behind the library's back: nothing more is asked of
     * this statement, and the next table has a connection of its own. */
}

static void *
worker(void *arg)
{
    size_t room = ZSTD_CStreamOutSize();
    char *out = malloc(room);
    ZSTD_CCtx *ctx = ZSTD_createCCtx();
    int n;

    if (out == NULL || ctx == NULL)
        die("memory");
    ZSTD_CCtx_setParameter(ctx, ZSTD_c_compressionLevel, level);
    while ((n = take()) <= tables) {
        MYSQL *db = mysql_init(NULL);

        if (mysql_real_connect(db, NULL, "root", NULL, NULL, 0, sock, 0) ==
            NULL)
            die(mysql_error(db));
        table(db, ctx, out, room, n);
    }
    ZSTD_freeCCtx(ctx);
    free(out);
    return arg;
}

int
main(int argc, char **argv)
{
    pthread_t t[64];
    int threads;

    if (argc != 5)
        die("usage: floor SOCKET LEVEL THREADS TABLES");
    sock = argv[1];
    level = atoi(argv[2]);
    threads = atoi(argv[3]);
    tables = atoi(argv[4]);
    if (threads < 1 || threads > 64 || mysql_library_init(0, NULL, NULL) != 0)
        die("threads");
    for (int i = 0; i < threads; i++)
        if (pthread_create(&t[i], NULL, worker, NULL) != 0)
            die("a thread");
    for (int i = 0; i < threads; i++)
        pthread_join(t[i], NULL);
    return 0;
}
