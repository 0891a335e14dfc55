import io.nats.client.AuthenticationException;
import io.nats.client.Connection;
import io.nats.client.ConnectionListener;
import io.nats.client.Dispatcher;
import io.nats.client.ErrorListener;
import io.nats.client.Message;
import io.nats.client.NKey;
import io.nats.client.Nats;
import io.nats.client.Options;
import io.nats.client.Subscription;
import io.nats.client.impl.Headers;
import io.nats.client.impl.NatsMessage;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.time.Duration;
import java.util.Arrays;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/**
 * The official Java client of NATS uses each feature of core NATS that is claimed, against the server at URL, and says "ok
 * FEATURE" for each. It asks for the server's restart by the line "restart", and by "lame duck" for its becoming one. Two
 * more servers ask for a token, and for a certificate that names the user.
 *
 *     java Client URL CA-FILE PASSWORD-OF-USERS NKEY-SEED NKEY TOKEN-URL TOKEN CERTIFICATE-URL CERTIFICATE-FILE KEY-FILE
 */
public final class Client {
    private static final Duration LIMIT = Duration.ofSeconds(60); // of whatever must happen
    private static final Duration REFUSAL = Duration.ofSeconds(10); // the client waits for so long, though it has been told

    private final String url;
    private final String tokenUrl;
    private final String token;
    private final String certificateUrl;
    private final SSLContext authorities;
    private final SSLContext withCertificate;
    private final String password;
    private final NKey key;

    private interface Feature {
        void use(Connection client) throws Exception;
    }

    private Client(String[] arguments) throws Exception {
        url = arguments[0];
        Path caFile = Path.of(arguments[1]);
        password = arguments[2];
        key = NKey.fromSeed(arguments[3].toCharArray());
        tokenUrl = arguments[5];
        token = arguments[6];
        certificateUrl = arguments[7];
        KeyStore known = KeyStore.getInstance(KeyStore.getDefaultType());
        known.load(null);
        try (InputStream file = Files.newInputStream(caFile)) {
            known.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(file));
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(known);
        authorities = SSLContext.getInstance("TLS");
        authorities.init(null, trust.getTrustManagers(), null);
        KeyManagerFactory own = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        own.init(identity(Path.of(arguments[8]), Path.of(arguments[9])), new char[0]);
        withCertificate = SSLContext.getInstance("TLS");
        withCertificate.init(own.getKeyManagers(), trust.getTrustManagers(), null);
    }

    private static KeyStore identity(Path certificateFile, Path keyFile) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null);
        String pem = Files.readString(keyFile).replaceAll("-----[A-Z ]+-----|\\s", "");
        PrivateKey privateKey = KeyFactory.getInstance("EC")
            .generatePrivate(new PKCS8EncodedKeySpec(Base64.getDecoder().decode(pem)));
        try (InputStream file = Files.newInputStream(certificateFile)) {
            Certificate certificate = CertificateFactory.getInstance("X.509").generateCertificate(file);
            store.setKeyEntry("own", privateKey, new char[0], new Certificate[] {certificate});
        }
        return store;
    }

    private Options.Builder anybody() {
        return anybodyAt(url);
    }

    private Options.Builder anybodyAt(String where) {
        return new Options.Builder().server(where).sslContext(authorities).connectionTimeout(LIMIT).noReconnect()
            .errorListener(new ErrorListener() { });
    }

    private Options.Builder user(String name) {
        return anybody().userInfo(name.toCharArray(), password.toCharArray());
    }

    private Connection connectAs(String name) throws Exception {
        return Nats.connect(user(name).build());
    }

    private static void want(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static Message expect(Subscription subscription, String data) throws Exception {
        Message message = subscription.nextMessage(LIMIT);
        want(message != null, "nothing in place of " + data);
        want(Arrays.equals(message.getData(), bytes(data)), new String(message.getData()) + " in place of " + data);
        return message;
    }

    /** Call it when the client has published whatever could come: what comes comes before the answer to its ping. */
    private static void expectNothing(Connection client, Subscription... subscriptions) throws Exception {
        client.flush(LIMIT);
        for (Subscription subscription : subscriptions) {
            want(subscription.getPendingMessageCount() == 0, "a message too many for " + subscription.getSubject());
        }
    }

    private void publishSubscribe(Connection client) throws Exception {
        Subscription all = client.subscribe("orders.>");
        Subscription one = client.subscribe("orders.*.paid");
        client.publish("orders.7.paid", bytes("a"));
        client.publish("orders.7", null);
        client.publish("order.7.paid", bytes("elsewhere"));
        expect(all, "a");
        expect(all, "");
        expect(one, "a");
        expectNothing(client, all, one);
    }

    private void unsubscribe(Connection client) throws Exception {
        Subscription two = client.subscribe("two");
        two.unsubscribe(2);
        for (String data : List.of("1", "2", "3")) {
            client.publish("two", bytes(data));
        }
        client.flush(LIMIT);
        expect(two, "1");
        expect(two, "2");
        want(!two.isActive(), "active after the last one");
    }

    private void noEcho(Connection client) throws Exception {
        try (Connection silent = Nats.connect(user("ann").noEcho().build())) {
            Subscription own = silent.subscribe("echo");
            silent.publish("echo", bytes("own"));
            silent.flush(LIMIT);
            client.publish("echo", bytes("other"));
            expect(own, "other");
        }
    }

    private void queueGroup(Connection client) throws Exception {
        final int count = 1000;
        AtomicIntegerArray done = new AtomicIntegerArray(3);
        CountDownLatch left = new CountDownLatch(count);
        for (int i = 0; i < done.length(); i++) {
            final int member = i;
            Dispatcher dispatcher = client.createDispatcher(message -> {
                done.incrementAndGet(member);
                left.countDown();
            });
            dispatcher.subscribe("work", "workers");
        }
        for (int i = 0; i < count; i++) {
            client.publish("work", null);
        }
        want(left.await(LIMIT.toSeconds(), TimeUnit.SECONDS), "messages are missing: " + done);
        client.flush(LIMIT);
        int total = 0;
        for (int i = 0; i < done.length(); i++) {
            want(done.get(i) > count / 10, "shared as " + done);
            total += done.get(i);
        }
        want(total == count, "shared as " + done);
    }

    private void requestReply(Connection client) throws Exception {
        client.createDispatcher(message -> client.publish(message.getReplyTo(),
            bytes("re: " + new String(message.getData(), StandardCharsets.UTF_8)))).subscribe("ask");
        client.flush(LIMIT);
        for (Options.Builder options : List.of(user("ann"), user("ann").oldRequestStyle())) {
            try (Connection asker = Nats.connect(options.build())) {
                Message reply = asker.request("ask", bytes("x"), LIMIT);
                want(reply != null && Arrays.equals(reply.getData(), bytes("re: x")), "reply: " + reply);
            }
        }
    }

    private void noResponders(Connection client) throws Exception {
        CompletableFuture<Message> reply = client.request("nobody", null);
        try {
            want(false, "a reply of nobody: " + reply.get(LIMIT.toSeconds(), TimeUnit.SECONDS));
        } catch (java.util.concurrent.CancellationException none) {
            return; // so the client says that there are no responders
        }
    }

    private void headers(Connection client) throws Exception {
        Subscription subscription = client.subscribe("headers");
        Headers sent = new Headers().add("Several", "1", "2").put("lower-Case", "kept: as it is");
        client.publish(NatsMessage.builder().subject("headers").headers(sent).data("body").build());
        Headers got = expect(subscription, "body").getHeaders();
        want(got.keySet().equals(sent.keySet()), got.keySet() + " in place of " + sent.keySet());
        for (String name : sent.keySet()) {
            want(got.get(name).equals(sent.get(name)), got.get(name) + " in place of " + sent.get(name));
        }
    }

    private void maxPayload(Connection client) throws Exception {
        Subscription subscription = client.subscribe("large");
        String large = "x".repeat((int) client.getMaxPayload());
        client.publish("large", bytes(large));
        expect(subscription, large);
        try {
            client.publish("large", bytes(large + "x"));
        } catch (IllegalArgumentException refused) {
            return;
        }
        want(false, "one byte more was taken");
    }

    /** What was subscribed is worked off before the connection ends. */
    private void drain(Connection client) throws Exception {
        final int count = 100;
        AtomicInteger done = new AtomicInteger();
        Connection leaving = connectAs("ann");
        leaving.createDispatcher(message -> {
            Thread.sleep(1);
            done.incrementAndGet();
        }).subscribe("drained");
        leaving.flush(LIMIT);
        for (int i = 0; i < count; i++) {
            client.publish("drained", null);
        }
        client.flush(LIMIT);
        leaving.flush(LIMIT);
        want(leaving.drain(LIMIT).get(LIMIT.toSeconds(), TimeUnit.SECONDS), "not drained");
        want(leaving.getStatus() == Connection.Status.CLOSED, "not closed");
        want(done.get() == count, done + " of " + count + " messages");
    }

    private void wantRefused(Options.Builder options, Class<? extends Exception> how, String who) throws Exception {
        try (Connection taken = Nats.connect(options.connectionTimeout(REFUSAL).build())) {
            want(false, who + " was taken: " + taken);
        } catch (Exception refused) {
            want(how.isInstance(refused), who + ": " + refused);
        }
    }

    private void users(Connection client) throws Exception {
        wantRefused(anybody().userInfo("ann", "wrong"), AuthenticationException.class, "a wrong password");
        connectAs("bob").close(); // by the password's bcrypt hash
    }

    private static void expectTold(BlockingQueue<String> told, String subject) throws Exception {
        String text = told.poll(LIMIT.toSeconds(), TimeUnit.SECONDS);
        want(text != null && text.toLowerCase().contains("permissions violation") && text.contains(subject),
            text + " in place of a violation for " + subject);
    }

    private void permissions(Connection client) throws Exception {
        BlockingQueue<String> told = new LinkedBlockingQueue<>();
        ErrorListener listener = new ErrorListener() {
            @Override
            public void errorOccurred(Connection connection, String error) {
                told.add(error);
            }
        };
        try (Connection bob = Nats.connect(user("bob").errorListener(listener).build())) {
            Subscription heard = client.subscribe("bob.*");
            client.flush(LIMIT);
            bob.subscribe("secret");
            expectTold(told, "\"secret\"");
            bob.publish("bob.denied", null);
            expectTold(told, "\"bob.denied\"");
            bob.publish("bob.allowed", bytes("a"));
            expect(heard, "a");
            want(bob.getStatus() == Connection.Status.CONNECTED, "the connection ended");
        }
    }

    /** Who may only answer does so, and can publish nothing else. */
    private void answers(Connection client) throws Exception {
        BlockingQueue<String> told = new LinkedBlockingQueue<>();
        ErrorListener listener = new ErrorListener() {
            @Override
            public void errorOccurred(Connection connection, String error) {
                told.add(error);
            }
        };
        try (Connection sue = Nats.connect(user("sue").errorListener(listener).build())) {
            sue.createDispatcher(message -> sue.publish(message.getReplyTo(), bytes("answer"))).subscribe("limited");
            sue.flush(LIMIT);
            Message reply = client.request("limited", null, LIMIT);
            want(reply != null && Arrays.equals(reply.getData(), bytes("answer")), "reply: " + reply);
            sue.publish("other", null);
            expectTold(told, "\"other\"");
        }
    }

    /** What others publish on the same subject does not come. */
    private void accounts(Connection client) throws Exception {
        try (Connection eve = connectAs("eve")) {
            Subscription own = eve.subscribe("private");
            eve.flush(LIMIT);
            client.publish("private", bytes("ann's"));
            client.flush(LIMIT);
            eve.publish("private", bytes("own"));
            expect(own, "own");
            expectNothing(eve, own);
        }
    }

    private static void visit(Options.Builder options) throws Exception {
        try (Connection client = Nats.connect(options.build())) {
            client.flush(LIMIT);
        }
    }

    private void useToken(Connection client) throws Exception {
        visit(anybodyAt(tokenUrl).token(token.toCharArray()));
        wantRefused(anybodyAt(tokenUrl).token("wrong".toCharArray()), AuthenticationException.class, "a wrong token");
    }

    private void handshakeFirst(Connection client) throws Exception {
        visit(anybodyAt(tokenUrl).token(token.toCharArray()).tlsFirst());
    }

    private void certificate(Connection client) throws Exception {
        visit(anybodyAt(certificateUrl).sslContext(withCertificate));
        wantRefused(anybodyAt(certificateUrl), java.io.IOException.class, "nobody's certificate");
    }

    private void lameDuck(Connection client) throws Exception {
        CountDownLatch told = new CountDownLatch(1);
        Options options = user("ann").connectionListener((connection, event) -> {
            if (event == ConnectionListener.Events.LAME_DUCK) {
                told.countDown();
            }
        }).build();
        try (Connection staying = Nats.connect(options)) {
            System.out.println("lame duck");
            want(told.await(LIMIT.toSeconds(), TimeUnit.SECONDS), "not told");
        }
    }

    private void nkey(Connection client) throws Exception {
        try (Connection signer = Nats.connect(anybody().authHandler(new Signer(key, key)).build())) {
            signer.flush(LIMIT);
        }
        wantRefused(anybody().authHandler(new Signer(key, NKey.createUser(null))), AuthenticationException.class,
            "another's signature");
    }

    private void tls(Connection client) throws Exception {
        want(client.getServerInfo().isTLSRequired(), "the server says nothing of TLS");
        wantRefused(user("ann").sslContext(SSLContext.getDefault()), java.io.IOException.class, "a certificate of nobody");
    }

    private void reconnect(Connection client) throws Exception {
        CountDownLatch back = new CountDownLatch(1);
        Options options = user("ann").reconnectWait(Duration.ofMillis(10)).maxReconnects(-1)
            .connectionListener((connection, event) -> {
                if (event == ConnectionListener.Events.RESUBSCRIBED) {
                    back.countDown();
                }
            }).build();
        try (Connection staying = Nats.connect(options)) {
            Subscription subscription = staying.subscribe("again");
            staying.flush(LIMIT);
            System.out.println("restart");
            want(back.await(LIMIT.toSeconds(), TimeUnit.SECONDS), "not connected again");
            staying.publish("again", bytes("subscribed"));
            expect(subscription, "subscribed");
        }
    }

    /** Says that it is `named`, and signs as `signing`. */
    private record Signer(NKey named, NKey signing) implements io.nats.client.AuthHandler {
        @Override
        public byte[] sign(byte[] nonce) {
            try {
                return signing.sign(nonce);
            } catch (Exception impossible) {
                throw new IllegalStateException(impossible);
            }
        }

        @Override
        public char[] getID() {
            try {
                return named.getPublicKey();
            } catch (Exception impossible) {
                throw new IllegalStateException(impossible);
            }
        }

        @Override
        public char[] getJWT() {
            return null;
        }
    }

    public static void main(String[] arguments) throws Exception {
        Client self = new Client(arguments);
        Map<String, Feature> features = new LinkedHashMap<>();
        features.put("publish and subscribe", self::publishSubscribe);
        features.put("unsubscribe", self::unsubscribe);
        features.put("no echo", self::noEcho);
        features.put("queue group", self::queueGroup);
        features.put("request and reply", self::requestReply);
        features.put("no responders", self::noResponders);
        features.put("headers", self::headers);
        features.put("max payload", self::maxPayload);
        features.put("drain", self::drain);
        features.put("users", self::users);
        features.put("permissions", self::permissions);
        features.put("answers", self::answers);
        features.put("accounts", self::accounts);
        features.put("token", self::useToken);
        features.put("nkey", self::nkey);
        features.put("TLS", self::tls);
        features.put("handshake first", self::handshakeFirst);
        features.put("certificate", self::certificate);
        features.put("reconnect", self::reconnect);
        features.put("lame duck", self::lameDuck);
        for (Map.Entry<String, Feature> feature : features.entrySet()) {
            try (Connection client = self.connectAs("ann")) {
                feature.getValue().use(client);
            } catch (Throwable problem) {
                System.out.println("failed " + feature.getKey() + ": " + problem);
                problem.printStackTrace();
                System.exit(1);
            }
            System.out.println("ok " + feature.getKey());
        }
    }
}
