/* guest/javascript/runtime/runtime.c: QuickJS-ng as a Nexus function.
 *
 * At build time (nexus javascript) the host calls nexus_boot(), puts the user's script where nexus_buffer()
 * says and calls nexus_load(), which evaluates it as a module and keeps its default export. The memory after
 * that is the function: it becomes the data of a new module, whose handle_event() calls the export with the
 * event. So starting an instance costs no parsing, and code at the top level of a script runs once, at build
 * time, when there is no host to ask: hence `in_call`. prelude.js makes the web's globals; nexus.js is the
 * module "nexus". */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wasi/api.h>

#include "nexus.h"
#include "quickjs.h"
#include "runtime.h"

extern void __wasm_call_ctors(void);

#define EXPORT(name) __attribute__((export_name(name)))
enum { INPUT_SIZE_STEP = 64 * 1024, HEAP_SLACK = 512 * 1024, TEXT_STACK_SIZE = 1024 };

static JSRuntime *runtime;
static JSContext *context;
static JSValue handler = JS_UNDEFINED;   /* the script's default export */
static JSValue call = JS_UNDEFINED;      /* prelude.js: (handler, text) -> promise of bytes or undefined */
static JSValue run_timer = JS_UNDEFINED; /* prelude.js: () -> whether there was one to run */
static int in_call;
static char *script;
static char *failure; /* what went wrong at build time */

/* ---- the host, as prelude.js and nexus.js see it ---- */

static JSValue refuse(JSContext *ctx, int32_t errno_) {
    if (errno_ == NEXUS_INVALID) {
        return JS_ThrowTypeError(ctx, "nexus: an argument is not allowed");
    }
    return JS_ThrowInternalError(ctx, "nexus: the host answered with errno %d", (int)errno_);
}

static int check_in_call(JSContext *ctx) {
    if (!in_call) {
        (void)JS_ThrowTypeError(
            ctx, "the host can be asked only inside of the handler, not while the script is loaded");
        return -1;
    }
    return 0;
}

static JSValue host_log(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
    size_t text_len, fields_len;
    int32_t level;
    (void)self, (void)argc;
    if (check_in_call(ctx) || JS_ToInt32(ctx, &level, argv[0])) {
        return JS_EXCEPTION;
    }
    const char *text = JS_ToCStringLen(ctx, &text_len, argv[1]);
    const char *fields = JS_ToCStringLen(ctx, &fields_len, argv[2]);
    if (text == NULL || fields == NULL) {
        JS_FreeCString(ctx, text);
        JS_FreeCString(ctx, fields);
        return JS_EXCEPTION;
    }
    const int32_t errno_ = nexus_log_raw(level, text, text_len, fields, fields_len);
    JS_FreeCString(ctx, text);
    JS_FreeCString(ctx, fields);
    return errno_ == NEXUS_OK ? JS_UNDEFINED : refuse(ctx, errno_);
}

static JSValue host_publish(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
    size_t type_len = 0, content_type_len = 0, size;
    (void)self, (void)argc;
    const uint8_t *data = check_in_call(ctx) ? NULL : JS_GetUint8Array(ctx, &size, argv[2]);
    if (data == NULL) {
        return JS_EXCEPTION;
    }
    const char *type = JS_ToCStringLen(ctx, &type_len, argv[0]);
    const char *content_type = JS_ToCStringLen(ctx, &content_type_len, argv[1]);
    const int32_t errno_ =
        type == NULL || content_type == NULL
            ? NEXUS_INVALID
            : nexus_publish_raw(type, type_len, content_type, content_type_len, data, size);
    JS_FreeCString(ctx, type);
    JS_FreeCString(ctx, content_type);
    return errno_ == NEXUS_OK ? JS_UNDEFINED : refuse(ctx, errno_);
}

static JSValue host_respond(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
    size_t headers_len = 0;
    int32_t status;
    (void)self, (void)argc;
    if (check_in_call(ctx) || JS_ToInt32(ctx, &status, argv[0])) {
        return JS_EXCEPTION;
    }
    const char *headers = JS_ToCStringLen(ctx, &headers_len, argv[1]);
    if (headers == NULL) {
        return JS_EXCEPTION;
    }
    const int32_t errno_ = nexus_respond_raw(status, headers, headers_len);
    JS_FreeCString(ctx, headers);
    return errno_ == NEXUS_OK ? JS_UNDEFINED : refuse(ctx, errno_);
}

static JSValue host_kv_get(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
    size_t key_len, len = 0, size = 1024;
    JSValue result;
    (void)self, (void)argc;
    const char *key = check_in_call(ctx) ? NULL : JS_ToCStringLen(ctx, &key_len, argv[0]);
    if (key == NULL) {
        return JS_EXCEPTION;
    }
    for (;;) {
        uint8_t *value = malloc(size);
        if (value == NULL) {
            result = JS_ThrowOutOfMemory(ctx);
            break;
        }
        const int32_t errno_ = nexus_kv_get_raw(key, key_len, value, size, &len);
        if (errno_ == NEXUS_TOO_SMALL) {
            free(value);
            size = len;
            continue;
        }
        result = errno_ == NEXUS_OK          ? JS_NewUint8ArrayCopy(ctx, value, len)
                 : errno_ == NEXUS_NOT_FOUND ? JS_UNDEFINED
                                             : refuse(ctx, errno_);
        free(value);
        break;
    }
    JS_FreeCString(ctx, key);
    return result;
}

static JSValue host_kv_set(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
    size_t key_len, size;
    (void)self, (void)argc;
    const uint8_t *value = check_in_call(ctx) ? NULL : JS_GetUint8Array(ctx, &size, argv[1]);
    const char *key = value == NULL ? NULL : JS_ToCStringLen(ctx, &key_len, argv[0]);
    if (key == NULL) {
        return JS_EXCEPTION;
    }
    const int32_t errno_ = nexus_kv_set_raw(key, key_len, value, size);
    JS_FreeCString(ctx, key);
    return errno_ == NEXUS_OK ? JS_UNDEFINED : refuse(ctx, errno_);
}

static JSValue host_kv_delete(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
    size_t key_len;
    (void)self, (void)argc;
    const char *key = check_in_call(ctx) ? NULL : JS_ToCStringLen(ctx, &key_len, argv[0]);
    if (key == NULL) {
        return JS_EXCEPTION;
    }
    const int32_t errno_ = nexus_kv_delete_raw(key, key_len);
    JS_FreeCString(ctx, key);
    return errno_ == NEXUS_OK ? JS_UNDEFINED : refuse(ctx, errno_);
}

static JSValue host_now(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
    (void)self, (void)argc, (void)argv;
    return check_in_call(ctx) ? JS_EXCEPTION : JS_NewBigInt64(ctx, nexus_now());
}

static JSValue host_random(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
    uint32_t count;
    (void)self, (void)argc;
    if (check_in_call(ctx) || JS_ToUint32(ctx, &count, argv[0])) {
        return JS_EXCEPTION;
    }
    if (count > 1024 * 1024) {
        return JS_ThrowRangeError(ctx, "at most 1 MiB of random bytes at once");
    }
    uint8_t *bytes = malloc(count + 1);
    if (bytes == NULL) {
        return JS_ThrowOutOfMemory(ctx);
    }
    const int32_t errno_ = nexus_random(bytes, count);
    const JSValue result = errno_ == NEXUS_OK ? JS_NewUint8ArrayCopy(ctx, bytes, count) : refuse(ctx, errno_);
    free(bytes);
    return result;
}

static JSValue host_env(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
    (void)self, (void)argc;
    const char *name = check_in_call(ctx) ? NULL : JS_ToCString(ctx, argv[0]);
    if (name == NULL) {
        return JS_EXCEPTION;
    }
    const char *value = getenv(name);
    JS_FreeCString(ctx, name);
    return value == NULL ? JS_UNDEFINED : JS_NewString(ctx, value);
}

/* ---- what JavaScript itself would do too slowly ---- */

static JSValue host_encode(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
    size_t len;
    (void)self, (void)argc;
    const char *text = JS_ToCStringLen(ctx, &len, argv[0]);
    if (text == NULL) {
        return JS_EXCEPTION;
    }
    const JSValue result = JS_NewUint8ArrayCopy(ctx, (const uint8_t *)text, len);
    JS_FreeCString(ctx, text);
    return result;
}

static JSValue host_decode(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
    size_t size;
    (void)self, (void)argc;
    const uint8_t *bytes = JS_GetUint8Array(ctx, &size, argv[0]);
    return bytes == NULL ? JS_EXCEPTION : JS_NewStringLen(ctx, (const char *)bytes, size);
}

static JSValue host_digest(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
    uint8_t digest[64];
    size_t size;
    int32_t bits;
    (void)self, (void)argc;
    const uint8_t *bytes = JS_ToInt32(ctx, &bits, argv[0]) ? NULL : JS_GetUint8Array(ctx, &size, argv[1]);
    if (bytes == NULL) {
        return JS_EXCEPTION;
    }
    return JS_NewUint8ArrayCopy(ctx, digest, runtime_digest(bits, bytes, size, digest));
}

static JSValue host_sleep(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
    double ms;
    (void)self, (void)argc;
    if (check_in_call(ctx) || JS_ToFloat64(ctx, &ms, argv[0])) {
        return JS_EXCEPTION;
    }
    const struct timespec wait = { (time_t)(ms / 1000),
                                   (long)((ms - (double)(time_t)(ms / 1000) * 1000) * 1e6) };
    (void)nanosleep(&wait, NULL);
    return JS_UNDEFINED;
}

static const JSCFunctionListEntry host_functions[] = {
    JS_CFUNC_DEF("log", 3, host_log),         JS_CFUNC_DEF("publish", 3, host_publish),
    JS_CFUNC_DEF("respond", 2, host_respond), JS_CFUNC_DEF("kvGet", 1, host_kv_get),
    JS_CFUNC_DEF("kvSet", 2, host_kv_set),    JS_CFUNC_DEF("kvDelete", 1, host_kv_delete),
    JS_CFUNC_DEF("now", 0, host_now),         JS_CFUNC_DEF("random", 1, host_random),
    JS_CFUNC_DEF("env", 1, host_env),         JS_CFUNC_DEF("encode", 1, host_encode),
    JS_CFUNC_DEF("decode", 1, host_decode),   JS_CFUNC_DEF("digest", 2, host_digest),
    JS_CFUNC_DEF("sleep", 1, host_sleep),
};

/* ---- build time ---- */

static int fail_with_exception(void) {
    JSValue error = JS_GetException(context);
    JSValue stack = JS_GetPropertyStr(context, error, "stack");
    const char *text = JS_ToCString(context, error);
    const char *where = JS_IsString(stack) ? JS_ToCString(context, stack) : NULL;
    free(failure);
    failure = NULL;
    if (asprintf(&failure, "%s%s%s", text == NULL ? "?" : text, where == NULL ? "" : "\n",
                 where == NULL ? "" : where) < 0) {
        failure = NULL;
    }
    return 1;
}

static JSModuleDef *load_module(JSContext *ctx, const char *name, void *data) {
    const struct runtime_source *source = runtime_find_module(name);
    (void)data;
    if (source == NULL) {
        JS_ThrowReferenceError(
            ctx,
            "cannot import '%s': only \"nexus\" and \"buffer\" are here; bundle packages into the "
            "script (nexus javascript --bundle)",
            name);
        return NULL;
    }
    JSValue module =
        JS_Eval(ctx, source->text, source->size, name, JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY);
    if (JS_IsException(module)) {
        return NULL;
    }
    return JS_VALUE_GET_PTR(module);
}

static char *keep_name(JSContext *ctx, const char *base, const char *name, void *data) {
    (void)base, (void)data;
    return js_strdup(ctx, strncmp(name, "node:", 5) == 0 ? name + 5 : name);
}

static int run_jobs(void) {
    JSContext *ran;
    int status;
    while ((status = JS_ExecutePendingJob(runtime, &ran)) > 0) {
    }
    return status;
}

/* A script that is a function of the host: what it returns. */
static JSValue run_part(const char *name, JSValue host) {
    const struct runtime_source *part = runtime_find_module(name);
    JSValue start = JS_Eval(context, part->text, part->size, name, JS_EVAL_TYPE_GLOBAL);
    return JS_IsException(start) ? JS_EXCEPTION : JS_Call(context, start, JS_UNDEFINED, 1, &host);
}

static int boot_context(void) {
    runtime = JS_NewRuntime();
    context = runtime == NULL ? NULL : JS_NewContext(runtime);
    if (context == NULL) {
        return 1;
    }
    JS_SetModuleLoaderFunc(runtime, keep_name, load_module, NULL);
    JSValue host = JS_NewObject(context);
    JS_SetPropertyFunctionList(context, host, host_functions,
                               sizeof host_functions / sizeof host_functions[0]);
    JSValue parts = run_part("prelude", host);
    if (JS_IsException(parts) || JS_IsException(run_part("url", host))) {
        return fail_with_exception();
    }
    call = JS_GetPropertyStr(context, parts, "call");
    run_timer = JS_GetPropertyStr(context, parts, "runTimer");
    return 0;
}

/* 0, or 1 and nexus_failure() says why. */
EXPORT("nexus_boot") int nexus_boot(void) {
    __wasm_call_ctors();
    return boot_context();
}

EXPORT("nexus_buffer") char *nexus_buffer(size_t size) {
    script = calloc(1, size + 1);
    return script;
}

EXPORT("nexus_failure") const char *nexus_failure(void) {
    return failure == NULL ? "out of memory" : failure;
}

static int keep_default_export(JSValue module) {
    JSValue space = JS_GetModuleNamespace(context, JS_VALUE_GET_PTR(module));
    handler = JS_GetPropertyStr(context, space, "default");
    if (!JS_IsFunction(context, handler)) {
        (void)JS_ThrowTypeError(context, "the script has no handler: export default function (event) { … }");
        return fail_with_exception();
    }
    return 0;
}

/* Evaluate the script in the buffer. As nexus_boot(). */
EXPORT("nexus_load") int nexus_load(size_t size, size_t name_size) {
    /* The name stands behind the script: "<script>\0<name>". */
    const char *name = script + size - name_size;
    JSValue module =
        JS_Eval(context, script, size - name_size - 1, name, JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY);
    if (JS_IsException(module)) {
        return fail_with_exception();
    }
    JSValue promise = JS_EvalFunction(context, JS_DupValue(context, module));
    if (JS_IsException(promise) || run_jobs() < 0) {
        return fail_with_exception();
    }
    if (JS_PromiseState(context, promise) == JS_PROMISE_REJECTED) {
        JS_Throw(context, JS_PromiseResult(context, promise));
        return fail_with_exception();
    }
    if (JS_PromiseState(context, promise) == JS_PROMISE_PENDING) {
        (void)JS_ThrowTypeError(
            context, "the script's top level waits for something: await only inside of the handler");
        return fail_with_exception();
    }
    if (keep_default_export(module) != 0) {
        return 1;
    }
    JS_RunGC(runtime);
    free(script);
    free(malloc(HEAP_SLACK)); /* a call that needs little need not ask for memory */
    in_call = 1;
    return 0;
}

/* ---- a call ---- */

static char *read_input(size_t *len_out) {
    size_t size = INPUT_SIZE_STEP, len = 0;
    char *text = malloc(size);
    for (;;) {
        size_t count;
        const __wasi_iovec_t part = { (uint8_t *)text + len, size - len - 1 };
        if (text == NULL || __wasi_fd_read(0, &part, 1, &count) != 0) {
            return NULL;
        }
        len += count;
        if (count == 0) {
            text[len] = '\0';
            *len_out = len;
            return text;
        }
        if (size - len < INPUT_SIZE_STEP / 2) {
            text = realloc(text, size *= 2);
        }
    }
}

static int say_exception(JSValue error) {
    JSValue stack = JS_GetPropertyStr(context, error, "stack");
    JSValue fields = JS_NewObject(context);
    const char *text = JS_ToCString(context, error);
    if (JS_IsString(stack)) {
        JS_SetPropertyStr(context, fields, "stack", stack);
    }
    JSValue json = JS_JSONStringify(context, fields, JS_UNDEFINED, JS_UNDEFINED);
    const char *stack_text = JS_ToCString(context, json);
    (void)nexus_log_fields(NEXUS_ERROR, text == NULL ? "an error that cannot be shown" : text,
                           stack_text == NULL ? "{}" : stack_text);
    return 1;
}

static int write_output(JSValue result) {
    size_t size;
    if (JS_IsUndefined(result)) {
        return 0;
    }
    const uint8_t *bytes = JS_GetUint8Array(context, &size, result);
    while (bytes != NULL && size > 0) {
        size_t count;
        const __wasi_ciovec_t part = { bytes, size };
        if (__wasi_fd_write(1, &part, 1, &count) != 0) {
            return 1;
        }
        bytes += count;
        size -= count;
    }
    return bytes == NULL ? say_exception(JS_GetException(context)) : 0;
}

EXPORT("handle_event") int handle_event(void) {
    size_t len = 0;
    char *text = read_input(&len);
    if (text == NULL) {
        return 1;
    }
    JSValue arguments[2] = { handler, JS_NewStringLen(context, text, len) };
    JSValue promise = JS_Call(context, call, JS_UNDEFINED, 2, arguments);
    if (JS_IsException(promise)) {
        return say_exception(JS_GetException(context));
    }
    for (;;) {
        if (run_jobs() < 0) {
            return say_exception(JS_GetException(context));
        }
        const JSPromiseStateEnum state = JS_PromiseState(context, promise);
        if (state == JS_PROMISE_FULFILLED) {
            return write_output(JS_PromiseResult(context, promise));
        }
        if (state == JS_PROMISE_REJECTED) {
            return say_exception(JS_PromiseResult(context, promise));
        }
        JSValue ran = JS_Call(context, run_timer, JS_UNDEFINED, 0, NULL);
        if (JS_IsException(ran)) {
            return say_exception(JS_GetException(context));
        }
        if (!JS_ToBool(context, ran)) {
            (void)nexus_log(NEXUS_ERROR, "the handler's promise is never settled: nothing is left to run");
            return 1;
        }
    }
}
