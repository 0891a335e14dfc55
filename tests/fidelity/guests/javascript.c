/* tests/fidelity/guests/javascript.c: the smallest driver for QuickJS: evaluates one script with the event in
 * `input` and prints the script's last value. No snapshot: every call starts the engine anew. */
#include <stdio.h>
#include <string.h>

#include "quickjs.h"
#include "script.h" /* unsigned char script[]; unsigned int script_len; made from the .js file */

static JSValue console_error(JSContext *context, JSValueConst self, int count, JSValueConst *values) {
    (void)self;
    for (int i = 0; i < count; i++) {
        const char *text = JS_ToCString(context, values[i]);
        fprintf(stderr, "%s%s", i > 0 ? " " : "", text == NULL ? "?" : text);
        JS_FreeCString(context, text);
    }
    fputc('\n', stderr);
    return JS_UNDEFINED;
}

int main(void) {
    static char input[65536];
    const size_t len = fread(input, 1, sizeof input, stdin);
    JSRuntime *runtime = JS_NewRuntime();
    JSContext *context = JS_NewContext(runtime);
    if (context == NULL) {
        return 1;
    }
    JSValue global = JS_GetGlobalObject(context);
    JSValue console = JS_NewObject(context);
    JS_SetPropertyStr(context, console, "error", JS_NewCFunction(context, console_error, "error", 1));
    JS_SetPropertyStr(context, global, "console", console);
    JS_SetPropertyStr(context, global, "input", JS_NewStringLen(context, input, len));
    char source[65536];
    if (script_len >= sizeof source) {
        return 1;
    }
    memcpy(source, script, script_len);
    source[script_len] = '\0';
    JSValue result = JS_Eval(context, source, script_len, "script.js", JS_EVAL_TYPE_GLOBAL);
    const int failed = JS_IsException(result);
    const char *text = JS_ToCString(context, failed ? JS_GetException(context) : result);
    puts(text == NULL ? "?" : text);
    return failed ? 2 : 0;
}
