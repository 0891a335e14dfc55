#include "codec/time_format.h"

#include "base/assert.h"

static const int64_t ns_per_s = 1000000000;
enum { SECONDS_PER_DAY = 86400 };

/* Days since 1970-01-01 of a date of the Gregorian calendar, and back: Howard Hinnant's algorithms, with the
 * year starting in March so that the leap day is its last. */
static int64_t days_from_date(int64_t year, unsigned month, unsigned day) {
    year -= month <= 2 ? 1 : 0;
    const int64_t era = (year >= 0 ? year : year - 399) / 400;
    const int64_t year_of_era = year - era * 400;
    const int64_t day_of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + (int64_t)day - 1;
    const int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void date_from_days(int64_t days, unsigned *year_out, unsigned *month_out, unsigned *day_out) {
    days += 719468;
    const int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    const int64_t day_of_era = days - era * 146097;
    const int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int64_t month_index = (5 * day_of_year + 2) / 153;
    *day_out = (unsigned)(day_of_year - (153 * month_index + 2) / 5 + 1);
    *month_out = (unsigned)(month_index + (month_index < 10 ? 3 : -9));
    *year_out = (unsigned)(year_of_era + era * 400 + (*month_out <= 2 ? 1 : 0));
}

static char *put_digits(char *to, unsigned value, int width) {
    for (int i = width; i-- > 0; value /= 10) {
        to[i] = (char)('0' + value % 10);
    }
    return to + width;
}

static int fraction_width(enum nx_time_precision precision, unsigned ns) {
    switch (precision) {
    case NX_TIME_SECONDS:
        return 0;
    case NX_TIME_MILLISECONDS:
        return 3;
    case NX_TIME_NANOSECONDS:
        return 9;
    case NX_TIME_SHORTEST:
        break;
    }
    return ns == 0 ? 0 : ns % 1000000 == 0 ? 3 : ns % 1000 == 0 ? 6 : 9;
}

struct nx_str nx_time_format(int64_t wall_ns, enum nx_time_precision precision,
                             char text_out[NX_TIME_TEXT_SIZE + 1]) {
    int64_t seconds = wall_ns / ns_per_s;
    int64_t ns = wall_ns % ns_per_s;
    if (ns < 0) {
        ns += ns_per_s;
        seconds--;
    }
    int64_t days = seconds / SECONDS_PER_DAY;
    int64_t second_of_day = seconds % SECONDS_PER_DAY;
    if (second_of_day < 0) {
        second_of_day += SECONDS_PER_DAY;
        days--;
    }
    unsigned year, month, day;
    date_from_days(days, &year, &month, &day);
    const unsigned clock = (unsigned)second_of_day;
    char *to = put_digits(text_out, year, 4);
    *to++ = '-';
    to = put_digits(to, month, 2);
    *to++ = '-';
    to = put_digits(to, day, 2);
    *to++ = 'T';
    to = put_digits(to, clock / 3600, 2);
    *to++ = ':';
    to = put_digits(to, clock / 60 % 60, 2);
    *to++ = ':';
    to = put_digits(to, clock % 60, 2);
    const int width = fraction_width(precision, (unsigned)ns);
    if (width > 0) {
        *to++ = '.';
        to = put_digits(to, (unsigned)(width == 3 ? ns / 1000000 : width == 6 ? ns / 1000 : ns), width);
    }
    *to++ = 'Z';
    *to = '\0';
    return nx_str_of(text_out, (size_t)(to - text_out));
}

/* Exactly `width` digits off the front of `*rest`. */
static bool take_number(struct nx_str *rest, size_t width, unsigned *value_out) {
    unsigned value = 0;
    if (rest->len < width) {
        return false;
    }
    for (size_t i = 0; i < width; i++) {
        if (rest->ptr[i] < '0' || rest->ptr[i] > '9') {
            return false;
        }
        value = value * 10 + (unsigned)(rest->ptr[i] - '0');
    }
    *value_out = value;
    *rest = nx_str_slice(*rest, width, rest->len);
    return true;
}

static bool take_byte(struct nx_str *rest, char byte, char or_byte) {
    if (rest->len == 0 || (rest->ptr[0] != byte && rest->ptr[0] != or_byte)) {
        return false;
    }
    *rest = nx_str_slice(*rest, 1, rest->len);
    return true;
}

static bool take_date(struct nx_str *rest, int64_t *days_out) {
    static const unsigned char month_days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    unsigned year, month, day;
    if (!take_number(rest, 4, &year) || !take_byte(rest, '-', '-') || !take_number(rest, 2, &month) ||
        !take_byte(rest, '-', '-') || !take_number(rest, 2, &day) || month < 1 || month > 12 || day < 1) {
        return false;
    }
    const bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (day > month_days[month - 1] + (month == 2 && is_leap ? 1u : 0u)) {
        return false;
    }
    *days_out = days_from_date(year, month, day);
    return true;
}

/* "10:23:45" and, behind a point, at least one digit. */
static bool take_clock(struct nx_str *rest, int64_t *second_out, int64_t *ns_out) {
    unsigned hour, minute, second, digit;
    if (!take_number(rest, 2, &hour) || !take_byte(rest, ':', ':') || !take_number(rest, 2, &minute) ||
        !take_byte(rest, ':', ':') || !take_number(rest, 2, &second) || hour > 23 || minute > 59 ||
        second > 60) {
        return false;
    }
    int64_t ns = 0;
    if (take_byte(rest, '.', '.')) {
        if (!take_number(rest, 1, &digit)) {
            return false;
        }
        int64_t weight = ns_per_s / 10;
        do {
            ns += (int64_t)digit * weight;
            weight /= 10;
        } while (take_number(rest, 1, &digit));
    }
    *second_out = (int64_t)hour * 3600 + (int64_t)minute * 60 + second;
    *ns_out = ns;
    return true;
}

/* "Z", "+01:00", "-23:59": seconds east of UTC. */
static bool take_offset(struct nx_str *rest, int64_t *offset_out) {
    unsigned hour, minute;
    if (take_byte(rest, 'Z', 'z')) {
        *offset_out = 0;
        return true;
    }
    const bool is_west = rest->len > 0 && rest->ptr[0] == '-';
    if (!take_byte(rest, '+', '-') || !take_number(rest, 2, &hour) || !take_byte(rest, ':', ':') ||
        !take_number(rest, 2, &minute) || hour > 23 || minute > 59) {
        return false;
    }
    *offset_out = ((int64_t)hour * 3600 + (int64_t)minute * 60) * (is_west ? -1 : 1);
    return true;
}

static bool take_time(struct nx_str text, int64_t *seconds_out, int64_t *ns_out) {
    int64_t days, second, offset;
    if (!take_date(&text, &days) || !take_byte(&text, 'T', 't') || !take_clock(&text, &second, ns_out) ||
        !take_offset(&text, &offset) || text.len != 0) {
        return false;
    }
    *seconds_out = days * SECONDS_PER_DAY + second - offset;
    return true;
}

bool nx_time_is_valid(struct nx_str text) {
    int64_t seconds, ns;
    return take_time(text, &seconds, &ns);
}

bool nx_time_parse(struct nx_str text, int64_t *wall_ns_out) {
    int64_t seconds, ns, wall_ns;
    if (!take_time(text, &seconds, &ns)) {
        return false;
    }
    if (__builtin_mul_overflow(seconds, ns_per_s, &wall_ns) ||
        __builtin_add_overflow(wall_ns, ns, &wall_ns)) {
        return false;
    }
    *wall_ns_out = wall_ns;
    return true;
}

struct unit {
    const char *name;
    uint64_t factor;
};

/* Largest first: nx_duration_format() and the order of parts rely on it. */
static const struct unit duration_units[] = {
    { "w", 604800000000000 }, { "d", 86400000000000 }, { "h", 3600000000000 }, { "m", 60000000000 },
    { "s", 1000000000 },      { "ms", 1000000 },       { "us", 1000 },         { "ns", 1 },
};
enum { DURATION_UNIT_COUNT = sizeof duration_units / sizeof duration_units[0] };

static const struct unit size_units[] = {
    { "", 1 },
    { "B", 1 },
    { "kB", 1000 },
    { "KB", 1000 },
    { "MB", 1000000 },
    { "GB", 1000000000 },
    { "TB", 1000000000000 },
    { "Ki", 1ull << 10 },
    { "KiB", 1ull << 10 },
    { "Mi", 1ull << 20 },
    { "MiB", 1ull << 20 },
    { "Gi", 1ull << 30 },
    { "GiB", 1ull << 30 },
    { "Ti", 1ull << 40 },
    { "TiB", 1ull << 40 },
};
enum { SIZE_UNIT_COUNT = sizeof size_units / sizeof size_units[0], FRACTION_DIGITS_MAX = 9 };

/* A decimal number without sign, value = whole + fraction / scale. */
struct decimal {
    uint64_t whole;
    uint64_t fraction;
    uint64_t scale;
};

static size_t digit_count(struct nx_str text) {
    size_t count = 0;
    while (count < text.len && text.ptr[count] >= '0' && text.ptr[count] <= '9') {
        count++;
    }
    return count;
}

/* "12" or "1.5" off the front. */
static bool take_decimal(struct nx_str *rest, struct decimal *decimal_out) {
    struct decimal decimal = { .scale = 1 };
    size_t count = digit_count(*rest);
    if (!nx_str_to_u64(nx_str_slice(*rest, 0, count), &decimal.whole)) {
        return false;
    }
    *rest = nx_str_slice(*rest, count, rest->len);
    if (take_byte(rest, '.', '.')) {
        count = digit_count(*rest);
        if (count == 0 || count > FRACTION_DIGITS_MAX) {
            return false;
        }
        for (size_t i = 0; i < count; i++) {
            decimal.fraction = decimal.fraction * 10 + (uint64_t)(rest->ptr[i] - '0');
            decimal.scale *= 10;
        }
        *rest = nx_str_slice(*rest, count, rest->len);
    }
    *decimal_out = decimal;
    return true;
}

/* value * factor; false unless it is whole and fits. */
static bool scale_decimal(const struct decimal *decimal, uint64_t factor, uint64_t *value_out) {
    const unsigned __int128 part = (unsigned __int128)decimal->fraction * factor;
    uint64_t value;
    if (part % decimal->scale != 0 || __builtin_mul_overflow(decimal->whole, factor, &value) ||
        __builtin_add_overflow(value, (uint64_t)(part / decimal->scale), &value)) {
        return false;
    }
    *value_out = value;
    return true;
}

/* The letters off the front. */
static struct nx_str take_letters(struct nx_str *rest) {
    size_t count = 0;
    while (count < rest->len && ((rest->ptr[count] >= 'a' && rest->ptr[count] <= 'z') ||
                                 (rest->ptr[count] >= 'A' && rest->ptr[count] <= 'Z'))) {
        count++;
    }
    const struct nx_str letters = nx_str_slice(*rest, 0, count);
    *rest = nx_str_slice(*rest, count, rest->len);
    return letters;
}

static size_t find_unit(const struct unit *units, size_t count, struct nx_str name) {
    for (size_t i = 0; i < count; i++) {
        if (nx_str_is(name, units[i].name)) {
            return i;
        }
    }
    return count;
}

static enum nx_status fail_duration(struct nx_str text, struct nx_error *err) {
    return nx_fail(err, NX_INVALID_ARGUMENT, "expected a duration such as 250ms, 1m30s or 7d, found '%.*s'",
                   NX_STR_ARG(nx_str_slice(text, 0, 64)));
}

enum nx_status nx_duration_parse(struct nx_str text, int64_t *ns_out, struct nx_error *err) {
    struct nx_str rest = text;
    uint64_t total = 0;
    size_t units_from = 0; /* the units that may still come */
    if (nx_str_is(text, "0")) {
        *ns_out = 0;
        return NX_OK;
    }
    do {
        struct decimal decimal;
        uint64_t part;
        if (!take_decimal(&rest, &decimal)) {
            return fail_duration(text, err);
        }
        const size_t unit = find_unit(duration_units, DURATION_UNIT_COUNT, take_letters(&rest));
        if (unit == DURATION_UNIT_COUNT || unit < units_from) {
            return fail_duration(text, err);
        }
        if (!scale_decimal(&decimal, duration_units[unit].factor, &part) ||
            __builtin_add_overflow(total, part, &total) || total > INT64_MAX) {
            return fail_duration(text, err);
        }
        units_from = unit + 1;
    } while (rest.len > 0);
    *ns_out = (int64_t)total;
    return NX_OK;
}

void nx_duration_format(struct nx_buf *out, int64_t ns) {
    nx_assert(ns >= 0);
    uint64_t left = (uint64_t)ns;
    if (left == 0) {
        nx_buf_append_c(out, "0s");
    }
    for (size_t i = 1; i < DURATION_UNIT_COUNT && left > 0; i++) { /* no weeks: "7d" is what people wrote */
        const uint64_t count = left / duration_units[i].factor;
        if (count > 0) {
            nx_buf_append_decimal(out, count);
            nx_buf_append_c(out, duration_units[i].name);
            left %= duration_units[i].factor;
        }
    }
}

enum nx_status nx_size_parse(struct nx_str text, uint64_t *bytes_out, struct nx_error *err) {
    struct nx_str rest = text;
    struct decimal decimal;
    if (take_decimal(&rest, &decimal)) {
        const size_t unit = find_unit(size_units, SIZE_UNIT_COUNT, rest);
        if (unit < SIZE_UNIT_COUNT && scale_decimal(&decimal, size_units[unit].factor, bytes_out)) {
            return NX_OK;
        }
    }
    return nx_fail(err, NX_INVALID_ARGUMENT, "expected a size such as 128Mi, 10GiB or 64MB, found '%.*s'",
                   NX_STR_ARG(nx_str_slice(text, 0, 64)));
}

void nx_size_format(struct nx_buf *out, uint64_t bytes) {
    static const char *const names[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    size_t unit = 0;
    while (unit + 1 < sizeof names / sizeof names[0] && bytes != 0 && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    nx_buf_append_decimal(out, bytes);
    nx_buf_append_c(out, names[unit]);
}
