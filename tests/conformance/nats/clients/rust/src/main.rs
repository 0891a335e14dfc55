//! The official Rust client of NATS uses each feature of core NATS that is claimed, against the server at URL, and says
//! "ok <feature>" for each. It asks for the server's restart by the line "restart", and by "lame duck" for its becoming one.
//! Two more servers ask for a token, and for a certificate that names the user.
//!
//!     client-rust URL CA-FILE PASSWORD-OF-USERS NKEY-SEED NKEY TOKEN-URL TOKEN CERTIFICATE-URL CERTIFICATE-FILE KEY-FILE

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use async_nats::{
    Client, ConnectErrorKind, ConnectOptions, Event, HeaderMap, Message, PublishErrorKind, RequestErrorKind, ServerError,
    Subscriber,
};
use futures_util::StreamExt;
use tokio::sync::mpsc::{unbounded_channel, UnboundedReceiver};
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(20); // of whatever must happen
const AGAIN: Duration = Duration::from_millis(100);

type Problem = Box<dyn std::error::Error + Send + Sync>;
type Done = Result<(), Problem>;

struct World {
    url: String,
    ca_file: String,
    password: String,
    seed: String,
    token_url: String,
    token: String,
    certificate_url: String,
    certificate_file: String,
    key_file: String,
}

impl World {
    fn anybody(&self) -> ConnectOptions {
        ConnectOptions::new().add_root_certificates(self.ca_file.clone().into()).connection_timeout(LIMIT)
    }

    fn user(&self, name: &str) -> ConnectOptions {
        self.anybody().user_and_password(name.into(), self.password.clone())
    }

    async fn connect(&self, options: ConnectOptions) -> Result<Client, async_nats::ConnectError> {
        options.connect(&self.url).await
    }

    async fn connect_as(&self, name: &str) -> Result<Client, Problem> {
        Ok(self.connect(self.user(name)).await?)
    }
}

fn want(holds: bool, what: &str) -> Done {
    if holds {
        Ok(())
    } else {
        Err(what.into())
    }
}

/// What the connection says of itself, in words.
fn told(options: ConnectOptions) -> (ConnectOptions, UnboundedReceiver<Event>) {
    let (sender, receiver) = unbounded_channel();
    let options = options.event_callback(move |event| {
        let _ = sender.send(event);
        async {}
    });
    (options, receiver)
}

async fn wait_for(events: &mut UnboundedReceiver<Event>, wanted: impl Fn(&Event) -> bool) -> Done {
    timeout(LIMIT, async {
        while let Some(event) = events.recv().await {
            if wanted(&event) {
                return Ok(());
            }
        }
        Err("the connection is gone".into())
    })
    .await?
}

async fn next(subscriber: &mut Subscriber) -> Result<Message, Problem> {
    timeout(LIMIT, subscriber.next()).await?.ok_or_else(|| "the subscription has ended".into())
}

async fn expect(subscriber: &mut Subscriber, data: &str) -> Result<Message, Problem> {
    let message = next(subscriber).await.map_err(|problem| format!("waiting for {data:?}: {problem}"))?;
    want(message.payload == data, &format!("{:?} in place of {data:?}", message.payload))?;
    Ok(message)
}

/// Whatever this client said before has been worked off when this ends.
async fn sync(client: &Client) -> Done {
    let answer = client.request("nobody.listens", "".into()).await;
    want(matches!(answer, Err(error) if error.kind() == RequestErrorKind::NoResponders), "somebody listens")
}

async fn expect_nothing(client: &Client, subscriber: &mut Subscriber) -> Done {
    sync(client).await?;
    want(timeout(Duration::ZERO, subscriber.next()).await.is_err(), "a message too many")
}

async fn publish_subscribe(_: &World, client: &Client) -> Done {
    let mut all = client.subscribe("orders.>").await?;
    let mut one = client.subscribe("orders.*.paid").await?;
    client.publish("orders.7.paid", "a".into()).await?;
    client.publish("orders.7", "".into()).await?;
    client.publish("order.7.paid", "elsewhere".into()).await?;
    expect(&mut all, "a").await?;
    expect(&mut all, "").await?;
    expect(&mut one, "a").await?;
    expect_nothing(client, &mut all).await?;
    expect_nothing(client, &mut one).await
}

async fn unsubscribe(_: &World, client: &Client) -> Done {
    let mut two = client.subscribe("two").await?;
    two.unsubscribe_after(2).await?;
    for data in ["1", "2", "3"] {
        client.publish("two", data.into()).await?;
    }
    expect(&mut two, "1").await?;
    expect(&mut two, "2").await?;
    want(timeout(LIMIT, two.next()).await?.is_none(), "one after the last")
}

async fn no_echo(world: &World, client: &Client) -> Done {
    let silent = world.connect(world.user("ann").no_echo()).await?;
    let mut own = silent.subscribe("echo").await?;
    silent.publish("echo", "own".into()).await?;
    sync(&silent).await?;
    client.publish("echo", "other".into()).await?;
    expect(&mut own, "other").await?;
    Ok(())
}

async fn queue_group(_: &World, client: &Client) -> Done {
    const COUNT: usize = 1000;
    let (sender, mut arrived) = unbounded_channel();
    for member in 0..3 {
        let mut subscriber = client.queue_subscribe("work", "workers".into()).await?;
        let sender = sender.clone();
        tokio::spawn(async move {
            while subscriber.next().await.is_some() {
                let _ = sender.send(member);
            }
        });
    }
    for _ in 0..COUNT {
        client.publish("work", "".into()).await?;
    }
    let mut done = [0; 3];
    for _ in 0..COUNT {
        done[timeout(LIMIT, arrived.recv()).await?.ok_or("no members")?] += 1;
    }
    sync(client).await?;
    want(arrived.try_recv().is_err(), "a message came twice")?;
    want(done.iter().all(|count| *count > COUNT / 10), &format!("shared as {done:?}"))
}

async fn request_reply(_: &World, client: &Client) -> Done {
    let mut asked = client.subscribe("ask").await?;
    let answerer = client.clone();
    tokio::spawn(async move {
        while let Some(message) = asked.next().await {
            let data = [b"re: ", &message.payload[..]].concat();
            let _ = answerer.publish(message.reply.expect("a request"), data.into()).await;
        }
    });
    let reply = client.request("ask", "x".into()).await?;
    want(reply.payload == "re: x", "the reply")?;
    let inbox = client.new_inbox(); // as older clients do
    let mut replies = client.subscribe(inbox.clone()).await?;
    client.publish_with_reply("ask", inbox, "y".into()).await?;
    expect(&mut replies, "re: y").await?;
    Ok(())
}

async fn no_responders(_: &World, client: &Client) -> Done {
    sync(client).await
}

async fn headers(_: &World, client: &Client) -> Done {
    let mut subscriber = client.subscribe("headers").await?;
    let mut headers = HeaderMap::new();
    headers.append("Several", "1");
    headers.append("Several", "2");
    headers.insert("lower-Case", "kept: as it is");
    client.publish_with_headers("headers", headers.clone(), "body".into()).await?;
    let message = expect(&mut subscriber, "body").await?;
    want(message.headers.as_ref() == Some(&headers), &format!("{:?} in place of {headers:?}", message.headers))
}

async fn max_payload(_: &World, client: &Client) -> Done {
    let mut subscriber = client.subscribe("large").await?;
    let large = "x".repeat(client.max_payload());
    client.publish("large", large.clone().into()).await?;
    expect(&mut subscriber, &large).await?;
    let more = client.publish("large", (large + "x").into()).await;
    want(matches!(more, Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded), "one byte more")
}

/// What was subscribed is worked off before the connection ends.
async fn drain(world: &World, client: &Client) -> Done {
    const COUNT: usize = 100;
    let (options, mut events) = told(world.user("ann"));
    let leaving = world.connect(options).await?;
    let mut drained = leaving.subscribe("drained").await?;
    sync(&leaving).await?;
    for _ in 0..COUNT {
        client.publish("drained", "".into()).await?;
    }
    sync(client).await?;
    sync(&leaving).await?;
    leaving.drain().await?;
    let mut done = 0;
    while timeout(LIMIT, drained.next()).await?.is_some() {
        done += 1;
    }
    wait_for(&mut events, |event| matches!(event, Event::Closed)).await?;
    want(done == COUNT, &format!("{done} of {COUNT} messages"))
}

async fn users(world: &World, _: &Client) -> Done {
    let wrong = world.connect(world.anybody().user_and_password("ann".into(), "wrong".into())).await;
    want(matches!(wrong, Err(error) if error.kind() == ConnectErrorKind::AuthorizationViolation), "a wrong password")?;
    world.connect_as("bob").await?; // by the password's bcrypt hash
    Ok(())
}

async fn permissions(world: &World, client: &Client) -> Done {
    let (options, mut events) = told(world.user("bob"));
    let bob = world.connect(options).await?;
    let violates = |event: &Event, subject: &str| {
        matches!(event, Event::ServerError(ServerError::Other(text))
            if text.to_lowercase().contains("permissions violation") && text.contains(subject))
    };
    let mut heard = client.subscribe("bob.*").await?;
    sync(client).await?;
    let _secret = bob.subscribe("secret").await?;
    wait_for(&mut events, |event| violates(event, "\"secret\"")).await?;
    bob.publish("bob.denied", "".into()).await?;
    wait_for(&mut events, |event| violates(event, "\"bob.denied\"")).await?;
    bob.publish("bob.allowed", "a".into()).await?;
    expect(&mut heard, "a").await?;
    want(bob.connection_state() == async_nats::connection::State::Connected, "the connection ended")
}

/// Who may only answer does so, and can publish nothing else.
async fn answers(world: &World, client: &Client) -> Done {
    let (options, mut events) = told(world.user("sue"));
    let sue = world.connect(options).await?;
    let mut limited = sue.subscribe("limited").await?;
    sue.flush().await?;
    let mut inbox = client.subscribe("answer").await?;
    let request = async {
        loop {
            client.publish_with_reply("limited", "answer", "".into()).await?; // until she is subscribed
            if let Ok(request) = timeout(AGAIN, limited.next()).await {
                return Ok::<_, Problem>(request.ok_or("the subscription has ended")?);
            }
        }
    };
    let request = timeout(LIMIT, request).await??;
    sue.publish(request.reply.ok_or("no request")?, "answer".into()).await?;
    expect(&mut inbox, "answer").await?;
    sue.publish("other", "".into()).await?;
    wait_for(&mut events, |event| {
        matches!(event, Event::ServerError(ServerError::Other(text)) if text.contains("\"other\""))
    })
    .await
}

/// What others publish on the same subject does not come.
async fn accounts(world: &World, client: &Client) -> Done {
    let eve = world.connect_as("eve").await?;
    let mut own = eve.subscribe("private").await?;
    sync(&eve).await?;
    client.publish("private", "ann's".into()).await?;
    sync(client).await?;
    eve.publish("private", "own".into()).await?;
    expect(&mut own, "own").await?;
    expect_nothing(&eve, &mut own).await
}

/// To another server, and back.
async fn visit(url: &str, options: ConnectOptions) -> Done {
    sync(&options.connect(url).await?).await
}

async fn token(world: &World, _: &Client) -> Done {
    visit(&world.token_url, world.anybody().token(world.token.clone())).await?;
    let wrong = world.anybody().token("wrong".into()).connect(&world.token_url).await;
    want(matches!(wrong, Err(error) if error.kind() == ConnectErrorKind::AuthorizationViolation), "a wrong token")
}

async fn handshake_first(world: &World, _: &Client) -> Done {
    visit(&world.token_url, world.anybody().token(world.token.clone()).tls_first()).await
}

async fn certificate(world: &World, _: &Client) -> Done {
    let (file, key) = (world.certificate_file.clone().into(), world.key_file.clone().into());
    visit(&world.certificate_url, world.anybody().add_client_certificate(file, key)).await?;
    want(visit(&world.certificate_url, world.anybody()).await.is_err(), "nobody's certificate was taken")
}

async fn lame_duck(world: &World, _: &Client) -> Done {
    let (options, mut events) = told(world.user("ann"));
    let _client = world.connect(options).await?;
    println!("lame duck");
    wait_for(&mut events, |event| matches!(event, Event::LameDuckMode)).await
}

async fn nkey(world: &World, _: &Client) -> Done {
    sync(&world.connect(world.anybody().nkey(world.seed.clone())).await?).await?;
    let stranger = nkeys::KeyPair::new_user().seed()?;
    let refused = world.connect(world.anybody().nkey(stranger)).await;
    want(matches!(refused, Err(error) if error.kind() == ConnectErrorKind::AuthorizationViolation), "a stranger's nkey")
}

async fn tls(world: &World, client: &Client) -> Done {
    want(client.server_info().tls_required, "the server says nothing of TLS")?;
    let options = ConnectOptions::new().user_and_password("ann".into(), world.password.clone());
    want(world.connect(options).await.is_err(), "a certificate of nobody was taken")
}

async fn reconnect(world: &World, _: &Client) -> Done {
    let options = world.user("ann").reconnect_delay_callback(|_| Duration::from_millis(10)).max_reconnects(None);
    let (options, mut events) = told(options);
    let client = world.connect(options).await?;
    let mut subscriber = client.subscribe("again").await?;
    sync(&client).await?;
    println!("restart");
    wait_for(&mut events, |event| matches!(event, Event::Disconnected)).await?;
    wait_for(&mut events, |event| matches!(event, Event::Connected)).await?;
    client.publish("again", "subscribed".into()).await?;
    expect(&mut subscriber, "subscribed").await?;
    Ok(())
}

type Feature = for<'a> fn(&'a World, &'a Client) -> Pin<Box<dyn Future<Output = Done> + 'a>>;

macro_rules! features {
    ($($name:literal: $use:ident),* $(,)?) => {
        [$(($name, (|world, client| Box::pin($use(world, client))) as Feature)),*]
    };
}

#[tokio::main]
async fn main() -> Done {
    let mut arguments = std::env::args().skip(1);
    let mut argument = || arguments.next().ok_or("an argument is missing");
    let (url, ca_file, password, seed, _) = (argument()?, argument()?, argument()?, argument()?, argument()?);
    let (token_url, token_text) = (argument()?, argument()?);
    let (certificate_url, certificate_file, key_file) = (argument()?, argument()?, argument()?);
    let world = World {
        url, ca_file, password, seed, token_url, token: token_text, certificate_url, certificate_file, key_file,
    };
    for (name, feature) in features! {
        "publish and subscribe": publish_subscribe, "unsubscribe": unsubscribe, "no echo": no_echo,
        "queue group": queue_group, "request and reply": request_reply, "no responders": no_responders,
        "headers": headers, "max payload": max_payload, "drain": drain, "users": users,
        "permissions": permissions, "answers": answers, "accounts": accounts, "token": token, "nkey": nkey, "TLS": tls,
        "handshake first": handshake_first, "certificate": certificate, "reconnect": reconnect, "lame duck": lame_duck,
    } {
        let client = world.connect_as("ann").await?;
        if let Err(problem) = feature(&world, &client).await {
            println!("failed {name}: {problem}");
            std::process::exit(1);
        }
        println!("ok {name}");
    }
    Ok(())
}
