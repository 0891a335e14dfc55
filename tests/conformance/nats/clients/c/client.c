/* tests/conformance/nats/clients/c/client.c: the official C client of NATS uses each feature of core NATS
 * that is claimed, against the server at URL, and says "ok <feature>" for each. It asks for the server's
 * restart by the line "restart". Two more servers ask for a token, and for a certificate that names the user.
 * The first thing that is not as it should be ends it with status 1.
 *
 *     client-c URL CA-FILE PASSWORD-OF-USERS NKEY-SEED NKEY TOKEN-URL TOKEN
 *              CERTIFICATE-URL CERTIFICATE-FILE KEY-FILE
 *
 * Handlers run on the library's threads; what they tell is kept in atomics, and the main thread looks at it.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nats/nats.h>

enum {
    LIMIT_MS = 20000,
    LOOK_AGAIN_MS = 1,
    QUEUE_MESSAGES = 1000,
    QUEUE_MEMBERS = 3,
    DRAINED_MESSAGES = 100
};

static const char *url, *ca_file, *password, *seed, *nkey;
static const char *token_url, *token, *certificate_url, *certificate_file, *key_file;
static const char *feature = "start";

static void want(bool holds, const char *what) {
    if (!holds) {
        (void)printf("failed %s: %s: %s\n", feature, what, nats_GetLastError(NULL));
        exit(1);
    }
}

static void must(natsStatus status, const char *what) {
    if (status != NATS_OK) {
        (void)printf("%s\n", natsStatus_GetText(status));
    }
    want(status == NATS_OK, what);
}

static void wait_for(atomic_int *count, int least, const char *what) {
    for (int waited = 0; atomic_load(count) < least; waited += LOOK_AGAIN_MS) {
        want(waited < LIMIT_MS, what);
        nats_Sleep(LOOK_AGAIN_MS);
    }
}

/* Connections */

static natsOptions *options_at(const char *where) {
    natsOptions *options = NULL;
    must(natsOptions_Create(&options), "options");
    must(natsOptions_SetURL(options, where), "URL");
    must(natsOptions_SetSecure(options, true), "TLS");
    must(natsOptions_LoadCATrustedCertificates(options, ca_file), "authorities");
    must(natsOptions_SetTimeout(options, LIMIT_MS), "time-out");
    return options;
}

static natsOptions *options_of(const char *user) {
    natsOptions *options = options_at(url);
    if (user != NULL) {
        must(natsOptions_SetUserInfo(options, user, password), "user");
    }
    return options;
}

static natsStatus try_connect(natsOptions *options, natsConnection **client_out) {
    const natsStatus status = natsConnection_Connect(client_out, options);
    natsOptions_Destroy(options);
    return status;
}

static natsConnection *connect_with(natsOptions *options) {
    natsConnection *client = NULL;
    must(try_connect(options, &client), "connect");
    return client;
}

static natsConnection *connect_as(const char *user) {
    return connect_with(options_of(user));
}

/* Messages */

static natsSubscription *subscribe(natsConnection *client, const char *subject) {
    natsSubscription *subscription = NULL;
    must(natsConnection_SubscribeSync(&subscription, client, subject), "subscribe");
    return subscription;
}

static void publish(natsConnection *client, const char *subject, const char *data) {
    must(natsConnection_PublishString(client, subject, data), "publish");
}

static void flush(natsConnection *client) {
    must(natsConnection_FlushTimeout(client, LIMIT_MS), "flush");
}

static bool has_data(natsMsg *message, const char *data) {
    return (size_t)natsMsg_GetDataLength(message) == strlen(data) &&
           memcmp(natsMsg_GetData(message), data, strlen(data)) == 0;
}

static void expect(natsSubscription *subscription, const char *data) {
    natsMsg *message = NULL;
    must(natsSubscription_NextMsg(&message, subscription, LIMIT_MS), "wait for a message");
    want(has_data(message, data), data);
    natsMsg_Destroy(message);
}

/* Call it when the client has published whatever could come: what comes comes before the answer to its ping.
 */
static void expect_nothing(natsConnection *client, natsSubscription *subscription) {
    uint64_t count = 0;
    flush(client);
    must(natsSubscription_QueuedMsgs(subscription, &count), "count");
    want(count == 0, "a message too many");
}

/* Features */

static void publish_subscribe(natsConnection *client) {
    natsSubscription *all = subscribe(client, "orders.>");
    natsSubscription *one = subscribe(client, "orders.*.paid");
    publish(client, "orders.7.paid", "a");
    publish(client, "orders.7", "");
    publish(client, "order.7.paid", "elsewhere");
    expect(all, "a");
    expect(all, "");
    expect(one, "a");
    expect_nothing(client, all);
    expect_nothing(client, one);
    natsSubscription_Destroy(all);
    natsSubscription_Destroy(one);
}

static void unsubscribe(natsConnection *client) {
    natsMsg *third = NULL;
    natsSubscription *two = subscribe(client, "two");
    must(natsSubscription_AutoUnsubscribe(two, 2), "unsubscribe");
    publish(client, "two", "1");
    publish(client, "two", "2");
    publish(client, "two", "3");
    flush(client);
    expect(two, "1");
    expect(two, "2");
    want(natsSubscription_NextMsg(&third, two, LIMIT_MS) == NATS_MAX_DELIVERED_MSGS, "after the last one");
    natsSubscription_Destroy(two);
}

static void no_echo(natsConnection *client) {
    natsOptions *options = options_of("ann");
    must(natsOptions_SetNoEcho(options, true), "no echo");
    natsConnection *silent = connect_with(options);
    natsSubscription *own = subscribe(silent, "echo");
    publish(silent, "echo", "own");
    flush(silent);
    publish(client, "echo", "other");
    expect(own, "other");
    expect_nothing(silent, own);
    natsSubscription_Destroy(own);
    natsConnection_Destroy(silent);
}

static void count_message(natsConnection *client, natsSubscription *subscription, natsMsg *message,
                          void *count) {
    (void)client;
    (void)subscription;
    natsMsg_Destroy(message);
    atomic_fetch_add((atomic_int *)count, 1);
}

static void queue_group(natsConnection *client) {
    static atomic_int counts[QUEUE_MEMBERS];
    natsSubscription *members[QUEUE_MEMBERS];
    int total = 0;
    for (int i = 0; i < QUEUE_MEMBERS; i++) {
        must(natsConnection_QueueSubscribe(&members[i], client, "work", "workers", count_message, &counts[i]),
             "join");
    }
    for (int i = 0; i < QUEUE_MESSAGES; i++) {
        publish(client, "work", "");
    }
    for (int waited = 0; total < QUEUE_MESSAGES; waited += LOOK_AGAIN_MS) {
        want(waited < LIMIT_MS, "messages are missing");
        nats_Sleep(LOOK_AGAIN_MS);
        total = 0;
        for (int i = 0; i < QUEUE_MEMBERS; i++) {
            total += atomic_load(&counts[i]);
        }
    }
    for (int i = 0; i < QUEUE_MEMBERS; i++) {
        want(atomic_load(&counts[i]) > QUEUE_MESSAGES / 10, "a member has too few");
        expect_nothing(client, members[i]);
        natsSubscription_Destroy(members[i]);
    }
    want(total == QUEUE_MESSAGES, "a message came twice");
}

static void answer(natsConnection *client, natsSubscription *subscription, natsMsg *message, void *data) {
    (void)subscription;
    (void)data;
    (void)natsConnection_PublishString(client, natsMsg_GetReply(message), "re: x");
    natsMsg_Destroy(message);
}

static void request_reply(natsConnection *client) {
    natsSubscription *answerer = NULL;
    must(natsConnection_Subscribe(&answerer, client, "ask", answer, NULL), "subscribe");
    flush(client);
    for (int old = 0; old < 2; old++) {
        natsMsg *reply = NULL;
        natsOptions *options = options_of("ann");
        must(natsOptions_UseOldRequestStyle(options, old == 1), "style");
        natsConnection *asker = connect_with(options);
        must(natsConnection_RequestString(&reply, asker, "ask", "x", LIMIT_MS), "request");
        want(has_data(reply, "re: x"), "reply");
        natsMsg_Destroy(reply);
        natsConnection_Destroy(asker);
    }
    natsSubscription_Destroy(answerer);
}

static void no_responders(natsConnection *client) {
    natsMsg *reply = NULL;
    want(natsConnection_RequestString(&reply, client, "nobody", "", LIMIT_MS) == NATS_NO_RESPONDERS,
         "request");
}

static void headers(natsConnection *client) {
    natsSubscription *subscription = subscribe(client, "headers");
    natsMsg *message = NULL;
    natsMsg *got = NULL;
    const char **values = NULL;
    const char *value = NULL;
    int count = 0;
    must(natsMsg_Create(&message, "headers", NULL, "body", 4), "message");
    must(natsMsgHeader_Add(message, "Several", "1"), "header");
    must(natsMsgHeader_Add(message, "Several", "2"), "header");
    must(natsMsgHeader_Set(message, "lower-Case", "kept: as it is"), "header");
    must(natsConnection_PublishMsg(client, message), "publish");
    must(natsSubscription_NextMsg(&got, subscription, LIMIT_MS), "wait for it");
    want(has_data(got, "body"), "body");
    must(natsMsgHeader_Values(got, "Several", &values, &count), "several values");
    want(count == 2 && strcmp(values[0], "1") == 0 && strcmp(values[1], "2") == 0, "several values");
    must(natsMsgHeader_Get(got, "lower-Case", &value), "one value");
    want(strcmp(value, "kept: as it is") == 0, "one value");
    free(values);
    natsMsg_Destroy(message);
    natsMsg_Destroy(got);
    natsSubscription_Destroy(subscription);
}

static void max_payload(natsConnection *client) {
    const size_t size = (size_t)natsConnection_GetMaxPayload(client);
    natsSubscription *subscription = subscribe(client, "large");
    natsMsg *message = NULL;
    char *large = malloc(size + 1);
    want(large != NULL, "memory");
    memset(large, 'x', size + 1);
    must(natsConnection_Publish(client, "large", large, (int)size), "the largest");
    must(natsSubscription_NextMsg(&message, subscription, LIMIT_MS), "wait for it");
    want((size_t)natsMsg_GetDataLength(message) == size && memcmp(natsMsg_GetData(message), large, size) == 0,
         "the largest");
    want(natsConnection_Publish(client, "large", large, (int)size + 1) == NATS_MAX_PAYLOAD, "one byte more");
    free(large);
    natsMsg_Destroy(message);
    natsSubscription_Destroy(subscription);
}

static void count_slowly(natsConnection *client, natsSubscription *subscription, natsMsg *message,
                         void *count) {
    nats_Sleep(1);
    count_message(client, subscription, message, count);
}

static void count_connection(natsConnection *client, void *count) {
    (void)client;
    atomic_fetch_add((atomic_int *)count, 1);
}

/* What was subscribed is worked off before the connection ends. */
static void drain(natsConnection *client) {
    static atomic_int closed, done;
    natsSubscription *drained = NULL;
    natsOptions *options = options_of("ann");
    must(natsOptions_SetClosedCB(options, count_connection, &closed), "handler");
    natsConnection *leaving = connect_with(options);
    must(natsConnection_Subscribe(&drained, leaving, "drained", count_slowly, &done), "subscribe");
    flush(leaving);
    for (int i = 0; i < DRAINED_MESSAGES; i++) {
        publish(client, "drained", "");
    }
    flush(client);
    flush(leaving);
    must(natsConnection_DrainTimeout(leaving, LIMIT_MS), "drain");
    wait_for(&closed, 1, "not closed");
    want(atomic_load(&done) == DRAINED_MESSAGES, "messages are missing");
    natsSubscription_Destroy(drained);
    natsConnection_Destroy(leaving);
}

static void users(natsConnection *client) {
    natsConnection *wrong = NULL;
    natsOptions *options = options_of(NULL);
    (void)client;
    must(natsOptions_SetUserInfo(options, "ann", "wrong"), "user");
    want(try_connect(options, &wrong) == NATS_CONNECTION_AUTH_FAILED, "a wrong password");
    natsConnection_Destroy(connect_as("bob")); /* by the password's bcrypt hash */
}

static void count_violation(natsConnection *client, natsSubscription *subscription, natsStatus status,
                            void *count) {
    (void)client;
    (void)subscription;
    if (status == NATS_NOT_PERMITTED) {
        atomic_fetch_add((atomic_int *)count, 1);
    }
}

static void expect_violation(natsConnection *client, atomic_int *told, int count, const char *subject) {
    const char *text = NULL;
    wait_for(told, count, subject);
    (void)natsConnection_GetLastError(client, &text);
    want(text != NULL && strstr(text, subject) != NULL, subject);
}

static void permissions(natsConnection *client) {
    static atomic_int told;
    natsOptions *options = options_of("bob");
    must(natsOptions_SetErrorHandler(options, count_violation, &told), "handler");
    natsConnection *bob = connect_with(options);
    natsSubscription *heard = subscribe(client, "bob.*");
    natsSubscription *secret = subscribe(bob, "secret");
    flush(client);
    flush(bob);
    expect_violation(bob, &told, 1, "\"secret\"");
    publish(bob, "bob.denied", "");
    flush(bob);
    expect_violation(bob, &told, 2, "\"bob.denied\"");
    publish(bob, "bob.allowed", "a");
    expect(heard, "a");
    want(natsConnection_Status(bob) == NATS_CONN_STATUS_CONNECTED, "the connection ended");
    natsSubscription_Destroy(heard);
    natsSubscription_Destroy(secret);
    natsConnection_Destroy(bob);
}

/* What others publish on the same subject does not come. */
static void accounts(natsConnection *client) {
    natsConnection *eve = connect_as("eve");
    natsSubscription *private = subscribe(eve, "private");
    flush(eve);
    publish(client, "private", "ann's");
    flush(client);
    publish(eve, "private", "own");
    expect(private, "own");
    expect_nothing(eve, private);
    natsSubscription_Destroy(private);
    natsConnection_Destroy(eve);
}

/* Who may only answer does so, and can publish nothing else. */
static void answers(natsConnection *client) {
    static atomic_int told;
    natsOptions *options = options_of("sue");
    natsSubscription *limited = NULL;
    natsMsg *reply = NULL;
    must(natsOptions_SetErrorHandler(options, count_violation, &told), "handler");
    natsConnection *sue = connect_with(options);
    must(natsConnection_Subscribe(&limited, sue, "limited", answer, NULL), "subscribe");
    flush(sue);
    must(natsConnection_RequestString(&reply, client, "limited", "x", LIMIT_MS), "request");
    want(has_data(reply, "re: x"), "reply");
    publish(sue, "other", "");
    flush(sue);
    expect_violation(sue, &told, 1, "\"other\"");
    natsMsg_Destroy(reply);
    natsSubscription_Destroy(limited);
    natsConnection_Destroy(sue);
}

static void use_token(natsConnection *client) {
    natsConnection *refused = NULL;
    natsOptions *options = options_at(token_url);
    (void)client;
    must(natsOptions_SetToken(options, token), "token");
    natsConnection *holder = connect_with(options);
    flush(holder);
    natsConnection_Destroy(holder);
    options = options_at(token_url);
    must(natsOptions_SetToken(options, "wrong"), "token");
    want(try_connect(options, &refused) == NATS_CONNECTION_AUTH_FAILED, "a wrong token");
}

static void certificate(natsConnection *client) {
    natsConnection *refused = NULL;
    natsOptions *options = options_at(certificate_url);
    (void)client;
    must(natsOptions_LoadCertificatesChain(options, certificate_file, key_file), "certificate");
    natsConnection *named = connect_with(options);
    flush(named);
    natsConnection_Destroy(named);
    want(try_connect(options_at(certificate_url), &refused) != NATS_OK, "nobody's certificate was taken");
}

static natsStatus sign(char **problem, unsigned char **signature, int *size, const char *nonce, void *data) {
    (void)problem;
    (void)data;
    return nats_Sign(seed, nonce, signature, size);
}

static natsStatus sign_otherwise(char **problem, unsigned char **signature, int *size, const char *nonce,
                                 void *data) {
    (void)problem;
    (void)nonce;
    (void)data;
    return nats_Sign(seed, "another nonce", signature, size);
}

static void use_nkey(natsConnection *client) {
    natsConnection *refused = NULL;
    natsOptions *options = options_of(NULL);
    (void)client;
    must(natsOptions_SetNKey(options, nkey, sign, NULL), "nkey");
    natsConnection *signer = connect_with(options);
    flush(signer);
    natsConnection_Destroy(signer);
    options = options_of(NULL);
    must(natsOptions_SetNKey(options, nkey, sign_otherwise, NULL), "nkey");
    want(try_connect(options, &refused) == NATS_CONNECTION_AUTH_FAILED, "another signature");
}

static void use_tls(natsConnection *client) {
    natsConnection *refused = NULL;
    natsOptions *options = NULL;
    flush(client); /* it has been with TLS all the time */
    must(natsOptions_Create(&options), "options");
    must(natsOptions_SetURL(options, url), "URL");
    must(natsOptions_SetSecure(options, true), "TLS");
    must(natsOptions_SetUserInfo(options, "ann", password), "user");
    want(try_connect(options, &refused) == NATS_SSL_ERROR, "a certificate of nobody was taken");
}

static void reconnect(natsConnection *client) {
    static atomic_int back;
    natsOptions *options = options_of("ann");
    (void)client;
    must(natsOptions_SetReconnectWait(options, 10), "wait");
    must(natsOptions_SetMaxReconnect(options, -1), "attempts");
    must(natsOptions_SetReconnectedCB(options, count_connection, &back), "handler");
    natsConnection *staying = connect_with(options);
    natsSubscription *subscription = subscribe(staying, "again");
    flush(staying);
    (void)printf("restart\n");
    wait_for(&back, 1, "not connected again");
    publish(staying, "again", "subscribed");
    expect(subscription, "subscribed");
    natsSubscription_Destroy(subscription);
    natsConnection_Destroy(staying);
}

int main(int count, char **arguments) {
    static const struct {
        const char *name;
        void (*use)(natsConnection *client);
    } features[] = {
        { "publish and subscribe", publish_subscribe },
        { "unsubscribe", unsubscribe },
        { "no echo", no_echo },
        { "queue group", queue_group },
        { "request and reply", request_reply },
        { "no responders", no_responders },
        { "headers", headers },
        { "max payload", max_payload },
        { "drain", drain },
        { "users", users },
        { "permissions", permissions },
        { "answers", answers },
        { "accounts", accounts },
        { "token", use_token },
        { "nkey", use_nkey },
        { "TLS", use_tls },
        { "certificate", certificate },
        { "reconnect", reconnect },
    };
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    want(count == 11, "wrong arguments");
    url = arguments[1];
    ca_file = arguments[2];
    password = arguments[3];
    seed = arguments[4];
    nkey = arguments[5];
    token_url = arguments[6];
    token = arguments[7];
    certificate_url = arguments[8];
    certificate_file = arguments[9];
    key_file = arguments[10];
    for (size_t i = 0; i < sizeof features / sizeof features[0]; i++) {
        feature = features[i].name;
        natsConnection *client = connect_as("ann");
        features[i].use(client);
        natsConnection_Destroy(client);
        (void)printf("ok %s\n", feature);
    }
    nats_Close();
    return 0;
}
