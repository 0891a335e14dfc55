// The official Go client of NATS uses each feature of core NATS that is claimed, against the server at URL, and says
// "ok <feature>" for each. It asks for the server's restart by the line "restart", and by "lame duck" for its becoming one.
// Two more servers ask for a token, and for a certificate that names the user.
//
//	client-go URL CA-FILE PASSWORD-OF-USERS NKEY-SEED NKEY TOKEN-URL TOKEN CERTIFICATE-URL CERTIFICATE-FILE KEY-FILE
package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

const limit = 20 * time.Second // of whatever must happen

var url, caFile, password, seed, tokenURL, token, certificateURL, certificateFile, keyFile string

func connect(options ...nats.Option) (*nats.Conn, error) {
	return nats.Connect(url, append([]nats.Option{nats.RootCAs(caFile), nats.Timeout(limit)}, options...)...)
}

func asUser(name string) nats.Option {
	return nats.UserInfo(name, password)
}

// Something that must hold.
func want(holds bool, format string, values ...any) error {
	if holds {
		return nil
	}
	return fmt.Errorf(format, values...)
}

func expect(subscription *nats.Subscription, data string) (*nats.Msg, error) {
	message, err := subscription.NextMsg(limit)
	if err != nil {
		return nil, fmt.Errorf("waiting for %q: %w", data, err)
	}
	return message, want(string(message.Data) == data, "%q in place of %q", message.Data, data)
}

// Call it when the client has published whatever could come: what comes comes before the answer to its ping.
func expectNothing(client *nats.Conn, subscriptions ...*nats.Subscription) error {
	err := client.Flush()
	for _, subscription := range subscriptions {
		count, _, err1 := subscription.Pending()
		err = errors.Join(err, err1, want(count == 0, "%d messages too many for %s", count, subscription.Subject))
	}
	return err
}

func publishSubscribe(client *nats.Conn) error {
	all, err1 := client.SubscribeSync("orders.>")
	one, err2 := client.SubscribeSync("orders.*.paid")
	err := errors.Join(err1, err2, client.Publish("orders.7.paid", []byte("a")), client.Publish("orders.7", nil),
		client.Publish("order.7.paid", []byte("elsewhere")))
	if err != nil {
		return err
	}
	_, err1 = expect(all, "a")
	_, err2 = expect(all, "")
	_, err3 := expect(one, "a")
	return errors.Join(err1, err2, err3, expectNothing(client, all, one))
}

func unsubscribe(client *nats.Conn) error {
	two, err := client.SubscribeSync("two")
	if err != nil {
		return err
	}
	err = errors.Join(two.AutoUnsubscribe(2), client.Publish("two", []byte("1")), client.Publish("two", []byte("2")),
		client.Publish("two", []byte("3")), client.Flush())
	_, err1 := expect(two, "1")
	_, err2 := expect(two, "2")
	_, err3 := two.NextMsg(limit)
	return errors.Join(err, err1, err2, want(errors.Is(err3, nats.ErrMaxMessages), "after the last one: %v", err3))
}

func noEcho(client *nats.Conn) error {
	silent, err := connect(asUser("ann"), nats.NoEcho())
	if err != nil {
		return err
	}
	defer silent.Close()
	own, err := silent.SubscribeSync("echo")
	if err != nil {
		return err
	}
	err = errors.Join(silent.Publish("echo", []byte("own")), silent.Flush(), client.Publish("echo", []byte("other")))
	_, err1 := expect(own, "other")
	return errors.Join(err, err1)
}

func queueGroup(client *nats.Conn) error {
	const count = 1000
	arrived := make(chan int, count+1)
	members := make([]*nats.Subscription, 3)
	for member := range members {
		var err error
		members[member], err = client.QueueSubscribe("work", "workers", func(*nats.Msg) { arrived <- member })
		if err != nil {
			return err
		}
	}
	for range count {
		if err := client.Publish("work", nil); err != nil {
			return err
		}
	}
	done := [3]int{}
	for range count {
		select {
		case member := <-arrived:
			done[member]++
		case <-time.After(limit):
			return fmt.Errorf("messages are missing: %v", done)
		}
	}
	err := expectNothing(client, members...)
	return errors.Join(err, want(min(done[0], done[1], done[2]) > count/10, "shared as %v", done))
}

func requestReply(client *nats.Conn) error {
	answer := func(message *nats.Msg) { _ = message.Respond(append([]byte("re: "), message.Data...)) }
	if _, err := client.Subscribe("ask", answer); err != nil {
		return err
	}
	for _, options := range [][]nats.Option{nil, {nats.UseOldRequestStyle()}} {
		asker, err := connect(append(options, asUser("ann"))...)
		if err != nil {
			return err
		}
		defer asker.Close()
		reply, err := asker.Request("ask", []byte("x"), limit)
		if err != nil || string(reply.Data) != "re: x" {
			return fmt.Errorf("%v, %w", reply, err)
		}
	}
	return nil
}

func noResponders(client *nats.Conn) error {
	_, err := client.Request("nobody", nil, limit)
	return want(errors.Is(err, nats.ErrNoResponders), "%v in place of no responders", err)
}

func headers(client *nats.Conn) error {
	subscription, err := client.SubscribeSync("headers")
	if err != nil {
		return err
	}
	message := nats.NewMsg("headers")
	message.Data = []byte("body")
	message.Header["Several"] = []string{"1", "2"}
	message.Header["lower-Case"] = []string{"kept: as it is"}
	if err := client.PublishMsg(message); err != nil {
		return err
	}
	got, err := expect(subscription, "body")
	if err != nil {
		return err
	}
	return want(fmt.Sprint(got.Header) == fmt.Sprint(message.Header), "%v in place of %v", got.Header, message.Header)
}

func maxPayload(client *nats.Conn) error {
	subscription, err := client.SubscribeSync("large")
	if err != nil {
		return err
	}
	large := bytes.Repeat([]byte("x"), int(client.MaxPayload()))
	err = client.Publish("large", large)
	_, err1 := expect(subscription, string(large))
	err2 := client.Publish("large", append(large, 'x'))
	return errors.Join(err, err1, want(errors.Is(err2, nats.ErrMaxPayload), "one byte more: %v", err2))
}

// What was subscribed is worked off before the connection ends.
func drain(client *nats.Conn) error {
	const count = 100
	closed, done := make(chan bool), make(chan bool, count)
	leaving, err := connect(asUser("ann"), nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	if err != nil {
		return err
	}
	_, err = leaving.Subscribe("drained", func(*nats.Msg) {
		time.Sleep(time.Millisecond)
		done <- true
	})
	err = errors.Join(err, leaving.Flush())
	for range count {
		err = errors.Join(err, client.Publish("drained", nil))
	}
	err = errors.Join(err, client.Flush(), leaving.Flush(), leaving.Drain())
	select {
	case <-closed:
		return errors.Join(err, want(len(done) == count, "%d of %d messages", len(done), count))
	case <-time.After(limit):
		return errors.New("not closed")
	}
}

func users(*nats.Conn) error {
	wrong, err := connect(nats.UserInfo("ann", "wrong"))
	if err == nil {
		wrong.Close()
	}
	bob, err1 := connect(asUser("bob")) // by the password's bcrypt hash
	if err1 == nil {
		bob.Close()
	}
	return errors.Join(err1, want(errors.Is(err, nats.ErrAuthorization), "a wrong password: %v", err))
}

func permissions(client *nats.Conn) error {
	told := make(chan error, 10)
	bob, err := connect(asUser("bob"), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { told <- err }))
	if err != nil {
		return err
	}
	defer bob.Close()
	heard, err := client.SubscribeSync("bob.*")
	_, err1 := bob.SubscribeSync("secret")
	err = errors.Join(err, err1, client.Flush(), bob.Publish("bob.denied", nil), bob.Publish("bob.allowed", []byte("a")))
	_, err1 = expect(heard, "a")
	for _, subject := range []string{`"secret"`, `"bob.denied"`} {
		select {
		case violation := <-told:
			err = errors.Join(err, want(errors.Is(violation, nats.ErrPermissionViolation) &&
				strings.Contains(violation.Error(), subject), "%v in place of a violation for %s", violation, subject))
		case <-time.After(limit):
			err = errors.Join(err, fmt.Errorf("not told about %s", subject))
		}
	}
	return errors.Join(err, err1, want(bob.IsConnected(), "the connection ended"))
}

// What others publish on the same subject does not come.
func accounts(client *nats.Conn) error {
	eve, err := connect(asUser("eve"))
	if err != nil {
		return err
	}
	defer eve.Close()
	private, err := eve.SubscribeSync("private")
	err = errors.Join(err, eve.Flush(), client.Publish("private", []byte("ann's")), client.Flush(),
		eve.Publish("private", []byte("own")))
	_, err1 := expect(private, "own")
	return errors.Join(err, err1, expectNothing(eve, private))
}

// Who may only answer does so, and can publish nothing else.
func answers(client *nats.Conn) error {
	told := make(chan error, 10)
	sue, err := connect(asUser("sue"), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { told <- err }))
	if err != nil {
		return err
	}
	defer sue.Close()
	_, err = sue.Subscribe("limited", func(message *nats.Msg) { _ = message.Respond([]byte("answer")) })
	err = errors.Join(err, sue.Flush())
	reply, err1 := client.Request("limited", nil, limit)
	if err = errors.Join(err, err1); err != nil {
		return err
	}
	err = errors.Join(want(string(reply.Data) == "answer", "%q", reply.Data), sue.Publish("other", nil))
	select {
	case violation := <-told:
		return errors.Join(err, want(errors.Is(violation, nats.ErrPermissionViolation), "%v in place of a violation", violation))
	case <-time.After(limit):
		return errors.Join(err, errors.New("not told"))
	}
}

func otherServer(url string, options ...nats.Option) error {
	client, err := nats.Connect(url, append(options, nats.RootCAs(caFile), nats.Timeout(limit))...)
	if err != nil {
		return err
	}
	defer client.Close()
	return client.Flush()
}

func useToken(*nats.Conn) error {
	err := otherServer(tokenURL, nats.Token("wrong"))
	return errors.Join(otherServer(tokenURL, nats.Token(token)),
		want(errors.Is(err, nats.ErrAuthorization), "a wrong token: %v", err))
}

func handshakeFirst(*nats.Conn) error {
	return otherServer(tokenURL, nats.Token(token), nats.TLSHandshakeFirst())
}

func certificate(*nats.Conn) error {
	err := otherServer(certificateURL)
	return errors.Join(otherServer(certificateURL, nats.ClientCert(certificateFile, keyFile)),
		want(err != nil, "nobody's certificate was taken"))
}

func lameDuck(*nats.Conn) error {
	told := make(chan bool, 10)
	client, err := connect(asUser("ann"), nats.LameDuckModeHandler(func(*nats.Conn) { told <- true }))
	if err != nil {
		return err
	}
	defer client.Close()
	fmt.Println("lame duck")
	select {
	case <-told:
		return nil
	case <-time.After(limit):
		return errors.New("not told")
	}
}

func nkey(client *nats.Conn) error {
	pair, err := nkeys.FromSeed([]byte(seed))
	if err != nil {
		return err
	}
	public, _ := pair.PublicKey()
	signer, err := connect(nats.Nkey(public, pair.Sign))
	if err != nil {
		return err
	}
	defer signer.Close()
	stranger, _ := nkeys.CreateUser()
	_, err = connect(nats.Nkey(public, stranger.Sign))
	return errors.Join(signer.Flush(), want(errors.Is(err, nats.ErrAuthorization), "another's signature: %v", err))
}

func tls(client *nats.Conn) error {
	state, err := client.TLSConnectionState()
	if err != nil {
		return err
	}
	_, err = nats.Connect(url, asUser("ann")) // whose authorities do not know the server
	return errors.Join(want(state.HandshakeComplete, "no handshake"), want(err != nil, "a certificate of nobody was taken"))
}

func reconnect(*nats.Conn) error {
	back := make(chan bool, 10)
	client, err := connect(asUser("ann"), nats.ReconnectWait(10*time.Millisecond), nats.MaxReconnects(-1),
		nats.ReconnectHandler(func(*nats.Conn) { back <- true }))
	if err != nil {
		return err
	}
	defer client.Close()
	subscription, err := client.SubscribeSync("again")
	err = errors.Join(err, client.Flush())
	fmt.Println("restart")
	select {
	case <-back:
	case <-time.After(limit):
		return errors.New("not connected again")
	}
	err = errors.Join(err, client.Publish("again", []byte("subscribed")))
	_, err1 := expect(subscription, "subscribed")
	return errors.Join(err, err1)
}

func main() {
	url, caFile, password, seed = os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	tokenURL, token = os.Args[6], os.Args[7]
	certificateURL, certificateFile, keyFile = os.Args[8], os.Args[9], os.Args[10]
	for _, feature := range []struct {
		name string
		use  func(*nats.Conn) error
	}{
		{"publish and subscribe", publishSubscribe}, {"unsubscribe", unsubscribe}, {"no echo", noEcho},
		{"queue group", queueGroup}, {"request and reply", requestReply}, {"no responders", noResponders},
		{"headers", headers}, {"max payload", maxPayload}, {"drain", drain}, {"users", users},
		{"permissions", permissions}, {"answers", answers}, {"accounts", accounts}, {"token", useToken}, {"nkey", nkey},
		{"TLS", tls}, {"handshake first", handshakeFirst}, {"certificate", certificate}, {"reconnect", reconnect},
		{"lame duck", lameDuck},
	} {
		client, err := connect(asUser("ann"))
		if err == nil {
			err = feature.use(client)
			client.Close()
		}
		if err != nil {
			fmt.Printf("failed %s: %v\n", feature.name, err)
			os.Exit(1)
		}
		fmt.Println("ok", feature.name)
	}
}
