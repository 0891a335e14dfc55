// The official JavaScript client of NATS uses each feature of core NATS that is claimed, against the server at URL, and
// says "ok <feature>" for each. It asks for the server's restart by the line "restart", and by "lame duck" for its becoming
// one. Two more servers ask for a token, and for a certificate that names the user.
//
//     node client.js URL CA-FILE PASSWORD-OF-USERS NKEY-SEED NKEY TOKEN-URL TOKEN CERTIFICATE-URL CERTIFICATE-FILE KEY-FILE
"use strict";

const assert = require("node:assert/strict");
const nats = require("@nats-io/transport-node");

const LIMIT_MS = 20000; // of whatever must happen
const [url, caFile, password, seed, , tokenUrl, token, certificateUrl, certFile, keyFile] = process.argv.slice(2);

function connect(options) {
  return nats.connect({ servers: url, tls: { caFile }, timeout: LIMIT_MS, ...options });
}

// To another server, and back.
async function visit(servers, options, tls = {}) {
  const client = await connect({ servers, ...options, tls: { caFile, ...tls } });
  await client.flush();
  await client.close();
}

function connectAs(user, options) {
  return connect({ user, pass: password, ...options });
}

async function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing in ${LIMIT_MS} ms`)), LIMIT_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function next(subscription) {
  subscription.iterator ??= subscription[Symbol.asyncIterator]();
  return within(subscription.iterator.next(), subscription.getSubject());
}

async function expect(subscription, data) {
  const { value } = await next(subscription);
  assert.equal(value?.string(), data);
  return value;
}

// Call it when the client has published whatever could come: what comes comes before the answer to its ping.
async function expectNothing(client, ...subscriptions) {
  await client.flush();
  for (const subscription of subscriptions) {
    assert.equal(subscription.getPending(), 0, subscription.getSubject());
  }
}

// Wait for a status of this type of which `holds` is true.
async function status(statuses, type, holds = () => true) {
  for (;;) {
    const { value, done } = await within(statuses.next(), type);
    assert(!done, `the connection ended before ${type}`);
    if (value.type === type && holds(value)) {
      return value;
    }
  }
}

function statusesOf(client) {
  return client.status()[Symbol.asyncIterator]();
}

async function publishSubscribe(client) {
  const all = client.subscribe("orders.>");
  const one = client.subscribe("orders.*.paid");
  client.publish("orders.7.paid", "a");
  client.publish("orders.7");
  client.publish("order.7.paid", "elsewhere");
  await expect(all, "a");
  await expect(all, "");
  await expect(one, "a");
  await expectNothing(client, all, one);
}

async function unsubscribe(client) {
  const two = client.subscribe("two");
  two.unsubscribe(2);
  for (const data of ["1", "2", "3"]) {
    client.publish("two", data);
  }
  await expect(two, "1");
  await expect(two, "2");
  assert((await next(two)).done);
}

async function noEcho(client) {
  const silent = await connectAs("ann", { noEcho: true });
  const own = silent.subscribe("echo");
  silent.publish("echo", "own");
  await silent.flush();
  client.publish("echo", "other");
  await expect(own, "other");
  await silent.close();
}

async function queueGroup(client) {
  const count = 1000;
  const done = [0, 0, 0];
  const arrived = new Promise((resolve) => {
    const callback = (member) => () => {
      done[member]++;
      if (done[0] + done[1] + done[2] === count) {
        resolve();
      }
    };
    done.forEach((_, member) => client.subscribe("work", { queue: "workers", callback: callback(member) }));
  });
  for (let i = 0; i < count; i++) {
    client.publish("work");
  }
  await within(arrived, "work");
  await client.flush();
  assert.equal(done[0] + done[1] + done[2], count);
  assert(Math.min(...done) > count / 10, `shared as ${done}`);
}

async function requestReply(client) {
  client.subscribe("ask", { callback: (_, message) => message.respond(`re: ${message.string()}`) });
  for (const noMux of [false, true]) {
    const reply = await client.request("ask", "x", { timeout: LIMIT_MS, noMux });
    assert.equal(reply.string(), "re: x");
  }
}

async function noResponders(client) {
  await assert.rejects(client.request("nobody", "", { timeout: LIMIT_MS }),
    (error) => error instanceof nats.NoRespondersError || error.cause instanceof nats.NoRespondersError);
}

async function headers(client) {
  const subscription = client.subscribe("headers");
  const sent = nats.headers();
  sent.append("Several", "1");
  sent.append("Several", "2");
  sent.set("lower-Case", "kept: as it is");
  client.publish("headers", "body", { headers: sent });
  const got = (await expect(subscription, "body")).headers;
  assert.deepEqual([...got], [...sent]);
}

async function maxPayload(client) {
  const subscription = client.subscribe("large");
  const large = "x".repeat(client.info.max_payload);
  client.publish("large", large);
  await expect(subscription, large);
  assert.throws(() => client.publish("large", `${large}x`), /max_payload/);
}

// What was subscribed is worked off before the connection ends.
async function drain(client) {
  const count = 100;
  let done = 0;
  const leaving = await connectAs("ann");
  leaving.subscribe("drained", { callback: () => done++ });
  await leaving.flush();
  for (let i = 0; i < count; i++) {
    client.publish("drained");
  }
  await client.flush();
  await leaving.drain();
  await within(leaving.closed(), "closed");
  assert.equal(done, count);
}

async function users() {
  await assert.rejects(connect({ user: "ann", pass: "wrong" }), nats.AuthorizationError);
  await (await connectAs("bob")).close(); // by the password's bcrypt hash
}

async function permissions(client) {
  const bob = await connectAs("bob");
  const statuses = statusesOf(bob);
  const violates = (operation, subject) => ({ error }) =>
    error instanceof nats.PermissionViolationError && error.operation === operation && error.subject === subject;
  const heard = client.subscribe("bob.*");
  await client.flush();
  bob.subscribe("secret", { callback: () => {} });
  await status(statuses, "error", violates("subscription", "secret"));
  bob.publish("bob.denied");
  await status(statuses, "error", violates("publish", "bob.denied"));
  bob.publish("bob.allowed", "a");
  await expect(heard, "a");
  assert(!bob.isClosed());
  await bob.close();
}

// Who may only answer does so, and can publish nothing else.
async function answers(client) {
  const sue = await connectAs("sue");
  const statuses = statusesOf(sue);
  sue.subscribe("limited", { callback: (_, message) => message.respond("answer") });
  await sue.flush();
  assert.equal((await client.request("limited", "", { timeout: LIMIT_MS })).string(), "answer");
  sue.publish("other");
  await status(statuses, "error", ({ error }) => error instanceof nats.PermissionViolationError && error.subject === "other");
  await sue.close();
}

// What others publish on the same subject does not come.
async function accounts(client) {
  const eve = await connectAs("eve");
  const own = eve.subscribe("private");
  await eve.flush();
  client.publish("private", "ann's");
  await client.flush();
  eve.publish("private", "own");
  await expect(own, "own");
  await expectNothing(eve, own);
  await eve.close();
}

async function useToken() {
  await visit(tokenUrl, { token });
  await assert.rejects(visit(tokenUrl, { token: "wrong" }), nats.AuthorizationError);
}

async function handshakeFirst() {
  await visit(tokenUrl, { token }, { handshakeFirst: true });
}

async function certificate() {
  await visit(certificateUrl, {}, { certFile, keyFile });
  await assert.rejects(visit(certificateUrl));
}

async function lameDuck(client) {
  const statuses = statusesOf(client);
  console.log("lame duck");
  await status(statuses, "ldm");
}

async function nkey() {
  const encoder = new TextEncoder();
  const signer = await connect({ authenticator: nats.nkeyAuthenticator(encoder.encode(seed)) });
  await signer.flush();
  await signer.close();
  const stranger = nats.nkeys.createUser();
  await assert.rejects(connect({ authenticator: nats.nkeyAuthenticator(stranger.getSeed()) }), nats.AuthorizationError);
}

async function tls(client) {
  assert(client.info.tls_required);
  await assert.rejects(nats.connect({ servers: url, user: "ann", pass: password }), /certificate/);
}

async function reconnect() {
  const client = await connectAs("ann", { reconnectTimeWait: 10, maxReconnectAttempts: -1 });
  const statuses = statusesOf(client);
  const subscription = client.subscribe("again");
  await client.flush();
  console.log("restart");
  await status(statuses, "reconnect");
  client.publish("again", "subscribed");
  await expect(subscription, "subscribed");
  await client.close();
}

async function main() {
  for (const [name, use] of Object.entries({
    "publish and subscribe": publishSubscribe, unsubscribe, "no echo": noEcho, "queue group": queueGroup,
    "request and reply": requestReply, "no responders": noResponders, headers, "max payload": maxPayload, drain, users,
    permissions, answers, accounts, token: useToken, nkey, TLS: tls, "handshake first": handshakeFirst, certificate, reconnect,
    "lame duck": lameDuck,
  })) {
    const client = await connectAs("ann");
    try {
      await use(client);
    } catch (error) {
      console.log(`failed ${name}:`, error);
      process.exit(1);
    }
    await client.close();
    console.log(`ok ${name}`);
  }
}

main();
