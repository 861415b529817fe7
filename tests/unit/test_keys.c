/*
 * test_keys.c -- keys as text, in files and on paper, and signatures.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "../../src/codec/keys_impl.h"
#include "pitr/digest.h"
#include "pitr/file.h"
#include "pitr/keys.h"
#include "pitr/mem.h"

#define VECTOR_PUBLIC                                                          \
    "pitr16le7nrzcr4c6o5h7mlmmqw3dvb5g43ujbdpfyipmlwe6ct5d5boqgkbzmbabyame"    \
    "qfdlptezyyky5eafz4orbys7jhm3okmrne5vpryzo2tdu"
#define VECTOR_SIGNER                                                          \
    "ed25519:fgwlvykbxtfpbmrodkkngtily43b4utnbp7bfsexss6jgiuwnxlq"

static char dir[] = "/tmp/pitr-keys-XXXXXX";

static char *
path_of(const char *name)
{
    return xasprintf("%s/%s", dir, name);
}

/* What was found wrong is said, by its kind and by this text. */
static void
assert_error(enum err_kind kind, const char *text)
{
    assert_int_equal(err_kind(), kind);
    if (strstr(err_text(), text) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", text, err_text());
    err_clear();
}

static bool
same_key(const struct secret_key *a, const struct secret_key *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

static struct secret *
ask_for(void *arg)
{
    if (arg == NULL) {
        err_set(ERR_KEY, "nobody answers");
        return NULL;
    }
    return secret_new(arg, strlen(arg));
}

static void
test_base32(void **state)
{
    /* RFC 4648, section 10, in lower case and without padding. */
    static const char *const rfc[][2] = {{"", ""}, {"f", "my"}, {"fo", "mzxq"},
        {"foo", "mzxw6"}, {"foob", "mzxw6yq"}, {"fooba", "mzxw6ytb"},
        {"foobar", "mzxw6ytboi"}};
    uint8_t bytes[64], back[64];

    (void)state;
    for (size_t i = 0; i < NELEM(rfc); i++) {
        size_t n = strlen(rfc[i][0]);
        char *text = base32_text(rfc[i][0], n);

        assert_string_equal(text, rfc[i][1]);
        assert_int_equal(base32_parse(text, back, n), 0);
        assert_memory_equal(back, rfc[i][0], n);
        assert_int_equal(base32_parse(text, back, n + 1), -1);
        free(text);
    }
    assert_int_equal(base32_parse("MZXW6ytb", back, 5), 0);
    assert_memory_equal(back, "fooba", 5);
    assert_int_equal(base32_parse("mzxw6yt1", back, 5), -1);
    assert_int_equal(base32_parse("mzxw6yt=", back, 5), -1);
    assert_int_equal(base32_parse("mz", back, 1), -1); /* bits left over */
    for (size_t n = 0; n < sizeof(bytes); n++) {
        char *text;

        random_bytes(bytes, n);
        text = base32_text(bytes, n);
        assert_int_equal(base32_parse(text, back, n), 0);
        assert_memory_equal(back, bytes, n);
        free(text);
    }
}

static void
test_public_text(void **state)
{
    struct secret_key *k = secret_key_new();
    const struct public_key *pub = secret_key_public(k);
    struct public_key back;
    char *text = public_key_text(pub);

    (void)state;
    assert_int_equal(public_key_parse(text, &back), 0);
    assert_memory_equal(&back, pub, sizeof(back));
    for (size_t i = 0; text[i] != '\0'; i++) {
        char was = text[i];

        text[i] = was == 'a' ? 'b' : 'a';
        assert_int_equal(public_key_parse(text, &back), -1);
        assert_int_equal(err_kind(), ERR_KEY);
        text[i] = '\0';
        assert_int_equal(public_key_parse(text, &back), -1);
        text[i] = was;
    }
    free(text);
    secret_key_free(k);
}

static void
test_signer_text(void **state)
{
    struct signing_key *k = signing_key_new();
    char *text = signer_text(signing_key_public(k));
    uint8_t back[32];

    (void)state;
    assert_int_equal(signer_parse(text, back), 0);
    assert_memory_equal(back, signing_key_public(k), 32);
    text[strlen(text) - 1] = '\0';
    assert_int_equal(signer_parse(text, back), -1);
    assert_int_equal(signer_parse("ed25519:", back), -1);
    assert_int_equal(signer_parse("", back), -1);
    assert_error(ERR_KEY, "not a signer");
    free(text);
    signing_key_free(k);
}

static void
test_signatures(void **state)
{
    struct signing_key *k = signing_key_new();
    struct secret_key *person = secret_key_new();
    uint8_t sig[64], data[] = "some data";

    (void)state;
    sign_make(k, "use one", data, sizeof(data), sig);
    assert_int_equal(
        sign_check(signing_key_public(k), "use one", data, sizeof(data), sig),
        0);
    /* Another use, another key, other data, another signature. */
    assert_int_equal(
        sign_check(signing_key_public(k), "use two", data, sizeof(data), sig),
        -1);
    assert_error(ERR_VERIFY, "signature");
    assert_int_equal(sign_check(secret_key_public(person)->identity, "use one",
                         data, sizeof(data), sig),
        -1);
    assert_int_equal(sign_check(signing_key_public(k), "use one", data,
                         sizeof(data) - 1, sig),
        -1);
    for (size_t i = 0; i < sizeof(sig) * 8; i++) {
        sig[i / 8] ^= (uint8_t)(1u << (i % 8));
        assert_int_equal(sign_check(signing_key_public(k), "use one", data,
                             sizeof(data), sig),
            -1);
        sig[i / 8] ^= (uint8_t)(1u << (i % 8));
    }
    /* Context and data do not run into each other. */
    sign_make(k, "a", "b", 1, sig);
    assert_int_equal(sign_check(signing_key_public(k), "ab", "", 0, sig), -1);
    sign_make_identity(person, "use one", data, sizeof(data), sig);
    assert_int_equal(sign_check(secret_key_public(person)->identity, "use one",
                         data, sizeof(data), sig),
        0);
    signing_key_free(k);
    secret_key_free(person);
}

static void
test_unprotected_file(void **state)
{
    struct secret_key *k = secret_key_new(), *back;
    char *path = path_of("plain.key");
    struct stat st;

    (void)state;
    assert_int_equal(secret_key_save(k, path, NULL), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0400);
    assert_int_equal(secret_key_save(k, path, NULL), -1); /* never over it */
    back = secret_key_load(path, NULL, NULL);
    assert_non_null(back);
    assert_true(same_key(k, back));
    secret_key_free(back);
    secret_key_free(k);
    free(path);
    path = path_of("absent.key");
    assert_null(secret_key_load(path, NULL, NULL));
    assert_error(ERR_KEY, "there is no key file");
    free(path);
}

static void
test_passphrase(void **state)
{
    struct secret_key *k = secret_key_new(), *back;
    struct secret *pass = secret_new("correct horse", 13);
    char *path = path_of("passphrase.key");
    struct buf b = {0};
    char *seed = base32_text(k->seed, 32);

    (void)state;
    assert_int_equal(secret_key_save(k, path, pass), 0);
    back = secret_key_load(path, ask_for, "correct horse");
    assert_non_null(back);
    assert_true(same_key(k, back));
    secret_key_free(back);
    assert_null(secret_key_load(path, ask_for, "correct horsf"));
    assert_error(ERR_KEY, "wrong passphrase");
    assert_null(secret_key_load(path, ask_for, NULL));
    assert_error(ERR_KEY, "nobody answers");
    assert_null(secret_key_load(path, NULL, NULL));
    assert_error(ERR_KEY, "no way to ask");
    assert_int_equal(file_read(path, 8192, &b), 0);
    assert_null(strstr(buf_cstr(&b), seed));
    assert_null(strstr(buf_cstr(&b), "correct"));
    buf_free(&b);
    free(seed);
    free(path);
    secret_free(pass);
    secret_key_free(k);
}

static void
text_load(const char *text, const char *error)
{
    struct keyfile kf = {0};
    struct secret_key *k;
    bool protected;

    buf_str(&kf.text, text);
    k = recovery_parse(&kf, ask_for, "correct horse", &protected);
    if (error == NULL) {
        assert_non_null(k);
        assert_int_equal(k->seed[31], 0x1f);
    } else {
        assert_null(k);
        assert_error(ERR_KEY, error);
    }
    secret_key_free(k);
    keyfile_free(&kf);
}

#define HEAD "pitr-recovery-key 1\n"
#define PUBLIC "public: " VECTOR_PUBLIC "\n"
#define SEED "seed: aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq\n"
#define ARGON "protection: argon2id "
#define SALT "makvd4ifumnbznbkdjzg4ne6fy"
#define SEALED_SEED                                                            \
    "seed: vdj33upjnc5ubj6u6anftt2ds2n7akiiauyswddwpsned5iffehvpbdx3cjrxcsf"   \
    "r6ys3kzbuskzvmhamfnbslmo5u67wkuqbhq3n6xb7ilrwago66ja\n"

static void
test_file_texts(void **state)
{
    (void)state;
    text_load(HEAD PUBLIC "protection: none\n" SEED, NULL);
    text_load("# a note\r\n\r\npitr-recovery-key 1\r\npublic:\t" VECTOR_PUBLIC
              "  \r\n#\r\nprotection: none\r\nseed:  "
              "AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQTCQKRMFYYDENBWHA5DYPQ",
        NULL);
    text_load(HEAD PUBLIC ARGON "1 65536 " SALT "\n" SEALED_SEED, NULL);
    text_load("", "empty");
    text_load("# nothing\n", "empty");
    text_load("\n# x\npitr-recovery-key 2\n", "line 3: version \"2\"");
    text_load("pitr-signing-key 1\n", "line 1 is not");
    text_load(HEAD, "ends after line 1, without \"public:\"");
    text_load(HEAD PUBLIC, "without \"protection:\"");
    text_load(HEAD PUBLIC "protection: none\n", "without \"seed:\"");
    text_load(HEAD "public: \n", "line 2: \"public:\" has no value");
    text_load(HEAD "\npublic: pitr1aaaa\nprotection: none\n" SEED, "line 3");
    text_load(HEAD PUBLIC SEED, "line 3: \"protection:\" is expected");
    text_load(HEAD PUBLIC "protection: rot13\n" SEED, "line 3: the protection");
    text_load(
        HEAD PUBLIC "protection: none\n" SEED "more: x\n", "line 5 is not");
    text_load(HEAD PUBLIC "protection: none\nseed: aaaa\n", "line 4");
    text_load(HEAD PUBLIC "protection: none\nseed: \x01\n", "line 4 holds a");
    text_load(HEAD PUBLIC
        "protection: none\nseed: "
        "baaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq",
        "line 4: the seed does not belong to the public key of line 2");
    /* What a file may ask for is bounded. */
    text_load(HEAD PUBLIC ARGON "21 65536 " SALT "\n" SEALED_SEED, "line 3");
    text_load(HEAD PUBLIC ARGON "0 65536 " SALT "\n" SEALED_SEED, "line 3");
    text_load(
        HEAD PUBLIC ARGON "1 1073741825 " SALT "\n" SEALED_SEED, "line 3");
    text_load(HEAD PUBLIC ARGON "1 8191 " SALT "\n" SEALED_SEED, "line 3");
    text_load(HEAD PUBLIC ARGON "1 99999999999999999999 " SALT "\n" SEALED_SEED,
        "line 3");
    text_load(HEAD PUBLIC ARGON "-1 65536 " SALT "\n" SEALED_SEED, "line 3");
    text_load(HEAD PUBLIC ARGON "1 65536 \n" SEALED_SEED, "line 3");
    text_load(HEAD PUBLIC ARGON "1 65536 " SALT "a\n" SEALED_SEED, "line 3");
    text_load(HEAD PUBLIC ARGON "1 65536 " SALT "\n" SEED, "line 4");
    /* The lines before the seed are bound to it. */
    text_load(HEAD PUBLIC ARGON "2 65536 " SALT "\n" SEALED_SEED, "wrong pass");
    text_load(HEAD PUBLIC ARGON "1 65536  " SALT "\n" SEALED_SEED, "line 3");
    text_load(HEAD PUBLIC ARGON "1 65536 M"
                                "akvd4ifumnbznbkdjzg4ne6fy\n" SEALED_SEED,
        "wrong passphrase");
}

static void
test_every_character(void **state)
{
    /* No change of a character of a protected file goes unseen. */
    static const char text[] =
        HEAD PUBLIC ARGON "1 8192 " SALT "\n" SEALED_SEED;
    struct secret_key *k = secret_key_new();
    struct secret *pass = secret_new("correct horse", 13);
    struct buf b = {0};

    (void)state;
    assert_int_equal(recovery_text(k, pass, 1, 8192, &b), 0);
    assert_int_equal(b.len, sizeof(text) - 1);
    for (size_t i = 0; i < b.len - 1; i++) {
        struct keyfile kf = {0};
        struct secret_key *back;
        bool protected;

        buf_add(&kf.text, b.data, b.len);
        kf.text.data[i] ^= 1;
        back = recovery_parse(&kf, ask_for, "correct horse", &protected);
        /* A blank that became another one, and nothing else. */
        if (back != NULL)
            assert_true(b.data[i] == ' ' || b.data[i] == '\n');
        secret_key_free(back);
        keyfile_free(&kf);
    }
    buf_free(&b);
    secret_free(pass);
    secret_key_free(k);
}

static void
test_signing_file(void **state)
{
    struct signing_key *k = signing_key_new(), *back;
    char *path = path_of("signing.key");
    struct stat st;

    (void)state;
    assert_int_equal(signing_key_save(k, path), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0400);
    back = signing_key_load(path);
    assert_non_null(back);
    assert_memory_equal(back, k, sizeof(*k));
    signing_key_free(back);
    assert_int_equal(chmod(path, 0440), 0);
    assert_null(signing_key_load(path));
    assert_error(ERR_KEY, "can be read by others");
    assert_null(secret_key_load(path, NULL, NULL));
    assert_error(ERR_KEY, "line 1 is not \"pitr-recovery-key 1\"");
    free(path);
    path = path_of("absent");
    assert_null(signing_key_load(path));
    assert_error(ERR_KEY, "there is no key file");
    free(path);
    signing_key_free(k);
}

/* A signing key's file with this text is refused with these words. */
static void
signing_refused(const char *text, const char *words)
{
    char *path = path_of("bad-signing.key");

    unlink(path);
    assert_int_equal(file_create(path, 0400, text, strlen(text)), 0);
    assert_null(signing_key_load(path));
    assert_error(ERR_KEY, words);
    free(path);
}

static void
test_signing_texts(void **state)
{
    struct signing_key *one = signing_key_new(), *other = signing_key_new();
    char *path = path_of("good-signing.key");
    char *public = signer_text(signing_key_public(other));
    struct buf good = {0}, bad = {0};
    const char *seed, *line;

    (void)state;
    assert_int_equal(signing_key_save(one, path), 0);
    assert_int_equal(file_read(path, 4096, &good), 0);
    seed = strstr(buf_cstr(&good), "seed:");
    line = strstr(buf_cstr(&good), "public:");
    assert_non_null(seed);
    assert_non_null(line);
    signing_refused("pitr-signing-key 1\n", "without \"public:\"");
    signing_refused(
        "pitr-signing-key 1\npublic: pitrs1aaaa\nseed: aaaa\n", "line 2");
    buf_add(&bad, good.data, (size_t)(seed - buf_cstr(&good)));
    buf_str(&bad, "seed: aaaa\n");
    signing_refused(buf_cstr(&bad), "the seed is not 52 characters");
    /* The line that people compare was exchanged. */
    buf_reset(&bad);
    buf_add(&bad, good.data, (size_t)(line - buf_cstr(&good)));
    buf_fmt(&bad, "public: %s\n%s", public, seed);
    signing_refused(
        buf_cstr(&bad), "the seed does not belong to the public key");
    buf_free(&good);
    buf_free(&bad);
    free(public);
    free(path);
    signing_key_free(one);
    signing_key_free(other);
}

/* Fails with these words. */
static void
paper_refused(const char *text, const char *words)
{
    assert_null(secret_key_from_paper(text));
    assert_error(ERR_KEY, words);
}

static void
test_paper(void **state)
{
    struct secret_key *k = secret_key_new(), *other = secret_key_new(), *back;
    struct secret *paper = secret_key_paper(k),
                  *paper2 = secret_key_paper(other);
    char *text = xstrdup(paper->p), words[80];
    size_t at = 0;

    (void)state;
    back = secret_key_from_paper(text);
    assert_non_null(back);
    assert_true(same_key(k, back));
    secret_key_free(back);

    /* A slip in any place is named by its line. */
    for (size_t i = 0; text[i] != '\0'; i++) {
        char was = text[i];

        if (was == ' ' || was == '\n')
            continue;
        text[i] = was == 'q' ? 'x' : 'q';
        snprintf(words, sizeof(words), "line %zu of the paper form has a slip",
            at / 16 + 1);
        paper_refused(text, words);
        text[i] = '1';
        snprintf(words, sizeof(words),
            "line %zu of the paper form has a character", at / 16 + 1);
        paper_refused(text, words);
        text[i] = was;
        at++;
    }
    assert_int_equal(at, 80);

    /* Blanks, case, line breaks, o and b as digits do not matter. */
    at = 0;
    for (size_t i = 0; text[i] != '\0'; i++) {
        char c = text[i];

        if (c == '\n' || c == ' ')
            continue;
        if (c == 'o' || c == 'b')
            c = c == 'o' ? '0' : '8';
        else if (at % 3 == 0 && c >= 'a')
            c = (char)(c - 'a' + 'A');
        text[at] = c;
        at++;
    }
    text[at] = '\0';
    back = secret_key_from_paper(text);
    assert_non_null(back);
    assert_true(same_key(k, back));
    secret_key_free(back);

    /* Too short, too long, another paper's last line. */
    text[79] = '\0';
    paper_refused(text, "line 5 of the paper form is not complete");
    text[40] = '\0';
    paper_refused(text, "line 3 of the paper form is not complete");
    paper_refused("", "line 1 of the paper form is not complete");
    free(text);
    text = xasprintf("%saaaa", paper->p);
    paper_refused(text, "more than 5 lines");
    free(text);
    text = xasprintf("%.80s%s", paper->p, paper2->p + 80);
    paper_refused(text, "do not belong together");
    free(text);
    /* Two lines exchanged. */
    text = xasprintf("%.20s%.20s%s", paper->p + 20, paper->p, paper->p + 40);
    paper_refused(text, "line 1 of the paper form has a slip");
    free(text);
    secret_free(paper);
    secret_free(paper2);
    secret_key_free(k);
    secret_key_free(other);
}

/* doc/FORMAT.md, "Test vectors". */
static void
test_vectors(void **state)
{
    static const char paper[] = "aaaq eaye auda px6t\n"
                                "baeq ucym buha 6kzq\n"
                                "cair eeyu culb o5ov\n"
                                "damr ugy4 dupb 667g\n"
                                "uiku qgvr zsrq wamb\n";
    struct secret_key *k = secret_key_from_paper(paper), *back;
    struct keyfile kf = {0};
    struct signing_key *signer;
    struct secret *made;
    uint8_t id[KEY_ID_SIZE];
    char *text;

    (void)state;
    assert_non_null(k);
    for (uint8_t i = 0; i < 32; i++)
        assert_int_equal(k->seed[i], i);
    made = secret_key_paper(k);
    assert_string_equal(made->p, paper);
    secret_free(made);
    text = public_key_text(secret_key_public(k));
    assert_string_equal(text, VECTOR_PUBLIC);
    free(text);
    public_key_id(secret_key_public(k), id);
    text = base32_text(id, sizeof(id));
    assert_string_equal(text, "uikuqgvrzsrqw45wzgdsx23taq");
    free(text);
    back = secret_key_load(VECTORS "/passphrase.key", ask_for, "correct horse");
    assert_non_null(back);
    assert_true(same_key(k, back));
    secret_key_free(back);
    secret_key_free(k);

    assert_int_equal(keyfile_read(&kf, VECTORS "/signing.key"), 0);
    signer = signing_parse(&kf);
    assert_non_null(signer);
    text = signer_text(signing_key_public(signer));
    assert_string_equal(text, VECTOR_SIGNER);
    free(text);
    signing_key_free(signer);
    keyfile_free(&kf);
}

static int
dir_setup(void **state)
{
    (void)state;
    return mkdtemp(dir) != NULL ? 0 : -1;
}

static int
dir_teardown(void **state)
{
    (void)state;
    return dir_remove(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base32),
        cmocka_unit_test(test_public_text),
        cmocka_unit_test(test_signer_text),
        cmocka_unit_test(test_signatures),
        cmocka_unit_test(test_unprotected_file),
        cmocka_unit_test(test_passphrase),
        cmocka_unit_test(test_file_texts),
        cmocka_unit_test(test_every_character),
        cmocka_unit_test(test_signing_file),
        cmocka_unit_test(test_signing_texts),
        cmocka_unit_test(test_paper),
        cmocka_unit_test(test_vectors),
    };

    if (keys_setup() < 0)
        return 1;
    return cmocka_run_group_tests(tests, dir_setup, dir_teardown);
}
