/* src/app/replay_pending.c: stands in for platform/function/replay until that is there. */
#include "platform/function/functions.h"

#define PENDING __attribute__((weak))

PENDING const char *nx_replay_verdict_name(enum nx_replay_verdict verdict) {
    static const char *const names[] = { "identical",    "different",  "failed",
                                         "unreplayable", "event-gone", "module-gone" };
    return names[verdict];
}
PENDING void nx_replay_report_init(struct nx_replay_report *report) {
    *report = (struct nx_replay_report){ 0 };
}
PENDING void nx_replay_report_fini(struct nx_replay_report *report) {
    (void)report;
}
PENDING bool nx_replay_report_is_proof(const struct nx_replay_report *report) {
    return report->total > 0 && report->counts[NX_REPLAY_IDENTICAL] == report->total;
}
PENDING enum nx_status nx_functions_replay_new(const struct nx_replay_question *question,
                                               struct nx_functions_replay **replay_out,
                                               struct nx_error *err) {
    (void)question;
    (void)replay_out;
    return nx_fail(err, NX_UNIMPLEMENTED, "this build cannot replay yet");
}
PENDING enum nx_status nx_replay_run(const struct nx_replay_options *options,
                                     const struct nx_replay_question *question,
                                     struct nx_replay_report *report, struct nx_error *err) {
    (void)options;
    (void)question;
    (void)report;
    return nx_fail(err, NX_UNIMPLEMENTED, "this build cannot replay yet");
}
