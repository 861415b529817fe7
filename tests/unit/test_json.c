/* json.h: commas, nesting, and strings that are not what they should be. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "pitr/json.h"
#include "pitr/mem.h"

#define FFFD "\xEF\xBF\xBD"

static void
test_nesting(void **state)
{
    struct buf b = {0};
    struct json j;

    (void)state;
    json_begin(&j, &b);
    json_object(&j, NULL);
    json_str(&j, "a", "x");
    json_str(&j, "none", NULL);
    json_array(&j, "list");
    json_u64(&j, NULL, 0);
    json_u64(&j, NULL, UINT64_MAX);
    json_object(&j, NULL);
    json_end_object(&j);
    json_array(&j, NULL);
    json_end_array(&j);
    json_end_array(&j);
    json_object(&j, "o");
    json_bool(&j, "t", true);
    json_bool(&j, "f", false);
    json_end_object(&j);
    json_time(&j, "at", UINT64_C(1651500180000001));
    json_end_object(&j);
    assert_string_equal(buf_cstr(&b),
        "{\"a\":\"x\",\"none\":null,\"list\":[0,18446744073709551615,{},[]],"
        "\"o\":{\"t\":true,\"f\":false},"
        "\"at\":\"2022-05-02T14:03:00.000001Z\"}");
    buf_free(&b);
}

static void
test_strings(void **state)
{
    static const struct {
        const char *in, *want;
    } rows[] = {
        {"", ""},
        {"a\"b\\c/", "a\\\"b\\\\c/"},
        {"\n\r\t\b\x1B\x7F", "\\n\\r\\t\\u0008\\u001b\\u007f"},
        {"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80",
            "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"},
        {"caf\xE9", "caf" FFFD}, /* latin1 */
        {"\xC3", FFFD},          /* cut short */
        {"\xE2\x82", FFFD FFFD},
        {"\xE2\x82x", FFFD FFFD "x"},
        {"\x80", FFFD},
        {"\xC0\xAF", FFFD FFFD}, /* overlong */
        {"\xE0\x9F\xBF", FFFD FFFD FFFD},
        {"\xF0\x8F\xBF\xBF", FFFD FFFD FFFD FFFD},
        {"\xED\xA0\x80", FFFD FFFD FFFD}, /* a surrogate */
        {"\xED\x9F\xBF", "\xED\x9F\xBF"},
        {"\xF4\x8F\xBF\xBF", "\xF4\x8F\xBF\xBF"},
        {"\xF4\x90\x80\x80", FFFD FFFD FFFD FFFD}, /* above U+10FFFF */
        {"\xF5\xFF", FFFD FFFD},
    };

    (void)state;
    for (size_t i = 0; i < NELEM(rows); i++) {
        char *want = xasprintf("{\"%s\":\"%s\"}", rows[i].want, rows[i].want);
        struct buf b = {0};
        struct json j;

        json_begin(&j, &b);
        json_object(&j, NULL);
        json_str(&j, rows[i].in, rows[i].in);
        json_end_object(&j);
        assert_string_equal(buf_cstr(&b), want);
        buf_free(&b);
        free(want);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_strings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
