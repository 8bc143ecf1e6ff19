//! Pushed messages: requests as Google sends them, signed with keys that a server of the tests' own publishes.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use serde_json::{Value, json};
use underlay_backends::{
    ErrorKind,
    gcp::{Broker, MAX_PUSH_BYTES, PushOptions, PushSubscription},
    topic::{Broker as _, SubscriptionOptions, TopicOptions},
};

use super::{
    Emulator, LONG, connect, fresh_number, message, subscription_name, take_one, topic_name,
};

const AUDIENCE: &str = "https://orders.example.com/push";
const EMAIL: &str = "pusher@test.iam.gserviceaccount.com";
const KEY_ID: &str = "one";

/// A key to sign with.
fn fresh_key() -> EncodingKey {
    let size = rcgen::RsaKeySize::_2048;
    let pair = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size).unwrap();
    // The key itself follows 26 bytes that say what it is.
    EncodingKey::from_rsa_der(&pair.serialized_der()[26..])
}

static KEY: LazyLock<EncodingKey> = LazyLock::new(fresh_key);

/// A server of keys, which lives as long as the process; how often it was asked.
struct KeyServer {
    url: String,
    asked: Arc<AtomicUsize>,
    is_broken: Arc<Mutex<bool>>,
}

impl KeyServer {
    fn start() -> Self {
        let mut jwk = Jwk::from_encoding_key(&KEY, Algorithm::RS256).unwrap();
        jwk.common.key_id = Some(KEY_ID.to_owned());
        let body = json!({ "keys": [jwk] }).to_string();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/certs", listener.local_addr().unwrap());
        let (asked, is_broken) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(false)));
        let (counter, broken) = (Arc::clone(&asked), Arc::clone(&is_broken));
        thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                counter.fetch_add(1, Ordering::Relaxed);
                let mut request = [0; 4096];
                let _ = stream.read(&mut request);
                let status = if *broken.lock().unwrap() {
                    "500 No"
                } else {
                    "200 OK"
                };
                let length = body.len();
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
            }
        });
        Self {
            url,
            asked,
            is_broken,
        }
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

fn claims() -> Value {
    json!({
        "aud": AUDIENCE, "iss": "https://accounts.google.com", "email": EMAIL,
        "email_verified": true, "iat": now(), "exp": now() + 3600, "sub": "1",
    })
}

fn signed(claims: &Value, key: &EncodingKey, id: Option<&str>) -> String {
    let mut header = Header::new(Algorithm::RS256);
    header.kid = id.map(str::to_owned);
    format!("Bearer {}", encode(&header, claims, key).unwrap())
}

fn token() -> String {
    signed(&claims(), &KEY, Some(KEY_ID))
}

struct Pushed {
    broker: Broker,
    name: String,
    push: Arc<PushSubscription>,
    keys: KeyServer,
}

async fn pushed(emulator: &Emulator) -> Pushed {
    let broker = connect(emulator).await;
    let number = fresh_number();
    let (topic, name) = (topic_name(number), subscription_name(number, "push"));
    broker.topic(&topic, TopicOptions::default()).await.unwrap();
    let keys = KeyServer::start();
    let options = PushOptions {
        audience: AUDIENCE.to_owned(),
        service_account: EMAIL.to_owned(),
        keys: Some(keys.url.clone()),
        // What the emulator pushes there is not signed; nothing is published to the topic itself.
        endpoint: Some("http://127.0.0.1:1/".to_owned()),
    };
    let subscription = SubscriptionOptions::default();
    let push = broker
        .push_subscription(&topic, &name, subscription, &options)
        .await
        .unwrap();
    Pushed {
        broker,
        name,
        push,
        keys,
    }
}

/// A request's body, as Google's documentation shows it.
fn body(subscription: &str, id: &str, text: &str) -> Vec<u8> {
    let data = BASE64_STANDARD.encode(text);
    let time = "2026-11-21T12:00:00.123Z";
    json!({
        "message": {
            "attributes": { "kind": "ü" }, "data": data, "messageId": id, "message_id": id,
            "publishTime": time, "publish_time": time, "orderingKey": "k",
        },
        "subscription": subscription, "deliveryAttempt": 3,
    })
    .to_string()
    .into_bytes()
}

/// Only what Google signed for us, now, in the name of that account, is let in.
pub(crate) async fn tokens(emulator: Arc<Emulator>) {
    let Pushed {
        name, push, keys, ..
    } = pushed(&emulator).await;
    let body = body(&name, "1", "one");
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        signed(&claims, &KEY, Some(KEY_ID))
    };
    let without = |name: &str| {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        signed(&claims, &KEY, Some(KEY_ID))
    };
    let part = |json: Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    let unsigned = format!(
        "Bearer {}.{}.",
        part(json!({ "alg": "none", "kid": KEY_ID, "typ": "JWT" })),
        part(claims())
    );
    let mut symmetric = Header::new(Algorithm::HS256);
    symmetric.kid = Some(KEY_ID.to_owned());
    let secret = EncodingKey::from_secret(b"public key");
    let symmetric = format!("Bearer {}", encode(&symmetric, &claims(), &secret).unwrap());
    let mut tampered = token();
    let half = tampered.len() / 2;
    let other = if &tampered[half..=half] == "A" {
        "B"
    } else {
        "A"
    };
    tampered.replace_range(half..=half, other);
    for (what, header, status) in [
        ("missing", None, 401),
        ("empty", Some(String::new()), 401),
        ("basic", Some("Basic dTpw".to_owned()), 401),
        ("nonsense", Some("Bearer a.b.c".to_owned()), 401),
        ("alg none", Some(unsigned), 401),
        ("symmetric", Some(symmetric), 401),
        ("tampered", Some(tampered), 401),
        (
            "another key",
            Some(signed(&claims(), &fresh_key(), Some(KEY_ID))),
            401,
        ),
        (
            "unknown key",
            Some(signed(&claims(), &KEY, Some("two"))),
            401,
        ),
        ("no key", Some(signed(&claims(), &KEY, None)), 401),
        (
            "audience",
            Some(with("aud", json!("https://other.example.com"))),
            401,
        ),
        ("no audience", Some(without("aud")), 401),
        (
            "issuer",
            Some(with("iss", json!("https://accounts.example.com"))),
            401,
        ),
        ("no issuer", Some(without("iss")), 401),
        ("expired", Some(with("exp", json!(now() - 60))), 401),
        ("no expiry", Some(without("exp")), 401),
        (
            "email",
            Some(with("email", json!("other@test.iam.gserviceaccount.com"))),
            403,
        ),
        ("no email", Some(without("email")), 403),
        (
            "unverified",
            Some(with("email_verified", json!(false))),
            403,
        ),
        (
            "not said to be verified",
            Some(without("email_verified")),
            403,
        ),
        // Nobody receives.
        ("right", Some(token()), 503),
    ] {
        assert_eq!(
            push.handle(header.as_deref(), &body).await,
            status,
            "{what}"
        );
    }
    // Once for the keys, and perhaps once more for the unknown one.
    assert!(keys.asked.load(Ordering::Relaxed) <= 2);
    // Without keys nobody is refused for good, and nobody let in.
    let other = pushed(&emulator).await;
    *other.keys.is_broken.lock().unwrap() = true;
    assert_eq!(other.push.handle(Some(&token()), &body).await, 503);
}

pub(crate) async fn deliveries(emulator: Arc<Emulator>) {
    let Pushed { name, push, .. } = pushed(&emulator).await;
    let (subscription, token) = (push.subscription(), token());
    let send = |id: &str, text: &str| {
        let (push, token, body) = (Arc::clone(&push), token.clone(), body(&name, id, text));
        tokio::spawn(async move { push.handle(Some(&token), &body).await })
    };
    let receive = || {
        let subscription = Arc::clone(&subscription);
        tokio::spawn(async move { take_one(&*subscription).await })
    };
    // Acknowledged.
    let receiving = receive();
    tokio::task::yield_now().await;
    let request = send("1", "one");
    let received = receiving.await.unwrap();
    assert_eq!((&*received.id, received.attempt), ("1", 3));
    assert_eq!(&received.message.body[..], b"one");
    assert_eq!(received.message.attributes["kind"], "ü");
    assert_eq!(received.message.ordering_key.as_deref(), Some("k"));
    let published = received.published_at.duration_since(UNIX_EPOCH).unwrap();
    assert_eq!(published.subsec_millis(), 123);
    assert!(!request.is_finished());
    subscription.ack(&received.receipt).await.unwrap();
    assert_eq!(request.await.unwrap(), 204);
    // Given back: Google waits, whatever the delay.
    let request = send("2", "two");
    let received = take_one(&*subscription).await;
    subscription
        .nack(&received.receipt, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(request.await.unwrap(), 503);
    // The lease ends.
    let request = send("3", "three");
    let received = subscription
        .receive(1, Duration::from_millis(20))
        .await
        .unwrap();
    assert_eq!(request.await.unwrap(), 503);
    subscription.ack(&received[0].receipt).await.unwrap();
    // Given up.
    let request = send("4", "four");
    let received = take_one(&*subscription).await;
    subscription
        .dead_letter(&received.receipt, "bad")
        .await
        .unwrap();
    assert_eq!(request.await.unwrap(), 204);
    let letter = subscription.dead_letters(10).await.unwrap().remove(0);
    assert_eq!(
        (&*letter.id, &*letter.reason, letter.attempts),
        ("4", "bad", 3)
    );
    // Not what Google sends.
    let another = body("projects/test/subscriptions/another", "5", "five");
    let large = vec![b' '; MAX_PUSH_BYTES + 1];
    for (body, status) in [
        (another, 404),
        (b"{}".to_vec(), 400),
        (b"five".to_vec(), 400),
        (large, 413),
    ] {
        assert_eq!(push.handle(Some(&token), &body).await, status);
    }
}

/// What waits is bounded, goes with its request, and is given back at the end.
pub(crate) async fn waiting(emulator: Arc<Emulator>) {
    let Pushed {
        broker, name, push, ..
    } = pushed(&emulator).await;
    let (subscription, token) = (push.subscription(), token());
    let send = |id: &str| {
        let (push, token, body) = (Arc::clone(&push), token.clone(), body(&name, id, id));
        tokio::spawn(async move { push.handle(Some(&token), &body).await })
    };
    // Somebody receives from now on.
    let request = {
        let subscription = Arc::clone(&subscription);
        let receiving = tokio::spawn(async move { take_one(&*subscription).await });
        tokio::task::yield_now().await;
        let request = send("first");
        let received = receiving.await.unwrap();
        push.subscription().ack(&received.receipt).await.unwrap();
        request
    };
    assert_eq!(request.await.unwrap(), 204);
    // One hundred may wait; the others are answered at once.
    let requests: Vec<_> = (0..105).map(|number| send(&number.to_string())).collect();
    let mut refused = 0;
    let mut open = Vec::new();
    while refused < 5 {
        tokio::task::yield_now().await;
        open.clear();
        refused = 0;
        for (number, request) in requests.iter().enumerate() {
            if request.is_finished() {
                refused += 1;
            } else {
                open.push(number);
            }
        }
    }
    assert_eq!((refused, open.len()), (5, 100));
    // Those whose request is given up do not come.
    let mut kept = Vec::new();
    for (number, request) in requests.into_iter().enumerate() {
        if open[1..].contains(&number) {
            request.abort();
            assert!(request.await.unwrap_err().is_cancelled());
        } else {
            kept.push(request);
        }
    }
    let received = subscription.receive(1000, LONG).await.unwrap();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].message.body, message(&open[0].to_string()).body);
    // The end.
    broker.close().await.unwrap();
    for request in kept {
        assert_eq!(request.await.unwrap(), 503);
    }
    let error = subscription.receive(1, LONG).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(send("late").await.unwrap(), 503);
}
