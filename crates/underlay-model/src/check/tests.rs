//! One model per rule, as JSON like a hand-edited document; expected texts beside it.

use serde_json::{Value, json};

use super::check;
use crate::model::{Declaration, Model};

/// Entries of one list, completed with what each kind needs, at lines 1, 2, 3 … of `src/{list}.rs`.
fn entries(list: &str, entries: &[Value]) -> Value {
    let complete = |(i, entry): (usize, &Value)| {
        let mut complete = match list {
            "databases" => json!({ "engine": "postgres" }),
            "topics" => json!({ "message": "Event" }),
            "subscriptions" => json!({
                "topic": "events", "handler": "handle", "max_concurrency": 100, "ack_deadline": "30s",
                "retention": "7d", "min_backoff": "10s", "max_backoff": "10m", "max_retries": 100,
            }),
            "crons" => json!({ "title": "", "schedule": "every:1h", "handler": "handle" }),
            "keyspaces" => {
                json!({ "cache": "main", "key": "Key", "key_fields": ["key"], "value": "i64" })
            }
            "endpoints" => json!({ "name": format!("handler{i}"), "methods": ["GET"] }),
            "references" => json!({ "kind": "bucket", "permissions": ["Uploader"] }),
            "services" => json!({ "package": "shop" }),
            _ => json!({}),
        };
        complete["source"] = json!({
            "package": "shop", "module": "shop", "file": format!("src/{list}.rs"), "line": i + 1, "column": 1,
        });
        for (key, value) in entry.as_object().unwrap() {
            complete[key] = value.clone();
        }
        complete
    };
    entries.iter().enumerate().map(complete).collect()
}

fn model(lists: &[(&str, &[Value])]) -> Model {
    let mut document =
        json!({ "underlay_model": 1, "application": { "name": "shop", "version": "0.1.0" } });
    for (list, items) in lists {
        document[*list] = entries(list, items);
    }
    serde_json::from_value(document).unwrap()
}

#[track_caller]
fn case(lists: &[(&str, &[Value])], expected: &[&str]) {
    let texts: Vec<String> = check(&model(lists))
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(texts, expected);
}

fn named(names: &[&str]) -> Vec<Value> {
    names.iter().map(|it| json!({ "name": it })).collect()
}

#[test]
fn a_right_model() {
    case(
        &[
            (
                "services",
                &[json!({ "name": "orders", "module": "shop::orders" })],
            ),
            ("databases", &named(&["orders", "order_items", "users-2"])),
            (
                "topics",
                &[
                    json!({ "name": "events", "ordered_by": "id", "attributes": ["id"] }),
                    json!({ "name": "quiet" }),
                ],
            ),
            ("subscriptions", &named(&["mail", "audit"])),
            ("crons", &named(&["nightly"])),
            ("buckets", &named(&["events", "orders"])),
            ("caches", &named(&["main"])),
            (
                "keyspaces",
                &[
                    json!({ "name": "a", "pattern": "a/:key", "expiry": "10s" }),
                    json!({ "name": "b", "pattern": "b/:key" }),
                ],
            ),
            ("secrets", &named(&["Stripe_Key"])),
            (
                "endpoints",
                &[
                    json!({ "path": "/orders/{id}" }),
                    json!({ "path": "/orders/{id}", "methods": ["PUT", "DELETE"] }),
                    json!({ "path": "/orders/new" }),
                    json!({ "path": "/" }),
                ],
            ),
            (
                "references",
                &[json!({ "name": "r", "resource": "events" })],
            ),
        ],
        &[],
    );
}

#[test]
fn names_that_are_there_twice() {
    for (list, kind, kinds) in [
        ("databases", "database", "databases"),
        ("topics", "topic", "topics"),
        ("crons", "cron", "crons"),
        ("buckets", "bucket", "buckets"),
        ("caches", "cache", "caches"),
        ("secrets", "secret", "secrets"),
    ] {
        case(
            &[(list, &named(&["b", "a", "c", "b", "c", "c"]))],
            &[
                &format!(
                    "error: {kind} `b` is declared twice; a name is unique among {kinds}\n  \
                     --> src/{list}.rs:1:1\n  --> src/{list}.rs:4:1"
                ),
                &format!(
                    "error: {kind} `c` is declared 3 times; a name is unique among {kinds}\n  \
                     --> src/{list}.rs:3:1\n  --> src/{list}.rs:5:1\n  --> src/{list}.rs:6:1"
                ),
            ],
        );
    }
    case(
        &[("databases", &named(&["order-items", "order_items"]))],
        &[
            "error: databases `order-items` and `order_items` differ only in `-` and `_`; rename one\n  \
           --> src/databases.rs:1:1\n  --> src/databases.rs:2:1",
        ],
    );
}

#[test]
fn names_that_are_wrong() {
    for (list, kind) in [
        ("databases", "database"),
        ("topics", "topic"),
        ("crons", "cron"),
        ("buckets", "bucket"),
        ("caches", "cache"),
    ] {
        let style = if list == "databases" {
            "kebab-case or snake_case"
        } else {
            "kebab-case"
        };
        let allowed = if list == "databases" {
            "a digit, `-` nor `_`"
        } else {
            "a digit nor `-`"
        };
        case(
            &[(list, &named(&["CartEvents"]))],
            &[&format!(
                "error: the name of a {kind} is wrong: `CartEvents` is not {style}: \
                 `C` is neither a lower-case letter, {allowed}; try `cart-events`\n  --> src/{list}.rs:1:1"
            )],
        );
    }
    case(
        &[("secrets", &named(&["stripe-key"]))],
        &[
            "error: the name of a secret is wrong: `stripe-key` is not an identifier: `-` is neither a letter, a digit \
           nor `_`; try `stripe_key`\n  --> src/secrets.rs:1:1",
        ],
    );
}

#[test]
fn services() {
    case(
        &[(
            "services",
            &[
                json!({ "name": "orders", "module": "shop::a" }),
                json!({ "name": "orders", "module": "shop::b" }),
                json!({ "name": "Mail", "module": "shop::c" }),
                json!({ "name": "shop", "module": "shop", "source": null }),
            ],
        )],
        &[
            "error: service `orders` is declared twice; a name is unique among services\n  \
             --> src/services.rs:1:1\n  --> src/services.rs:2:1",
            "error: the name of a service is wrong: `Mail` is not kebab-case: `M` is neither a lower-case letter, a \
             digit nor `-`; try `mail`\n  --> src/services.rs:3:1",
        ],
    );
    case(
        &[
            (
                "services",
                &[json!({ "name": "shop", "module": "shop::inner" })],
            ),
            ("buckets", &[json!({ "name": "a", "service": "shop" })]),
        ],
        &[
            "error: service `shop` has the name of the package `shop`, which declares outside of it; \
           rename the service\n  --> src/services.rs:1:1\n  --> src/buckets.rs:1:1",
        ],
    );
}

#[test]
fn what_refers_to_nothing() {
    let names = |resource: &str| json!({ "name": "r", "resource": resource });
    case(
        &[
            ("topics", &named(&["cart-events"])),
            (
                "subscriptions",
                &[
                    json!({ "name": "mail", "topic": "cart-event" }),
                    json!({ "name": "x", "topic": "y" }),
                ],
            ),
            ("buckets", &named(&["uploads"])),
            (
                "keyspaces",
                &[json!({ "name": "k", "cache": "main", "pattern": ":key" })],
            ),
            (
                "references",
                &[
                    names("upload"),
                    json!({ "name": "t", "kind": "topic", "resource": "uploads" }),
                ],
            ),
        ],
        &[
            "error: subscription `mail` is to the topic `cart-event`, which nothing declares; \
             did you mean `cart-events`?\n  --> src/subscriptions.rs:1:1",
            "error: subscription `x` is to the topic `y`, which nothing declares\n  --> src/subscriptions.rs:2:1",
            "error: keyspace `k` is in the cache `main`, which nothing declares\n  --> src/keyspaces.rs:1:1",
            "error: reference `t` is to the topic `uploads`, which nothing declares\n  --> src/references.rs:2:1",
            "error: reference `r` is to the bucket `upload`, which nothing declares; did you mean `uploads`?\n  \
             --> src/references.rs:1:1",
        ],
    );
}

#[test]
fn topics_and_subscriptions() {
    case(
        &[
            (
                "topics",
                &[
                    json!({ "name": "events", "ordered_by": "cart", "attributes": ["cart_id"] }),
                    json!({ "name": "carts", "ordered_by": "cart_ids", "attributes": ["cart_id", "underlay_id"] }),
                ],
            ),
            (
                "subscriptions",
                &[
                    json!({ "name": "mail" }),
                    json!({ "name": "mail" }),
                    json!({ "name": "mail", "topic": "carts" }),
                    json!({ "name": "slow", "ack_deadline": "0s", "max_backoff": "1s" }),
                ],
            ),
        ],
        &[
            "error: topic `events` is ordered by `cart`, which is not an attribute of its message; \
             did you mean `cart_id`?\n  --> src/topics.rs:1:1",
            "error: topic `carts` is ordered by `cart_ids`, which is not an attribute of its message; \
             did you mean `cart_id`?\n  --> src/topics.rs:2:1",
            "error: topic `carts` has the message attribute `underlay_id`; `underlay` is reserved as a start\n  \
             --> src/topics.rs:2:1",
            "error: subscription `mail` to topic `events` is declared twice; a name is unique among a topic's \
             subscriptions\n  --> src/subscriptions.rs:1:1\n  --> src/subscriptions.rs:2:1",
            "error: subscription `slow` to topic `events`: ack_deadline `0s` is shorter than `1s`, the least that it \
             may be\n  --> src/subscriptions.rs:4:1",
            "error: subscription `slow` to topic `events`: max_backoff `1s` is shorter than min_backoff, `10s`\n  \
             --> src/subscriptions.rs:4:1",
        ],
    );
}

#[test]
fn databases_and_crons() {
    let migration = |number: i64| json!({ "number": number, "description": "x", "checksum": "" });
    case(
        &[
            (
                "databases",
                &[json!({ "name": "a", "migrations": [migration(1), migration(2), migration(1)] })],
            ),
            (
                "crons",
                &[
                    json!({ "name": "a", "schedule": "every:7h" }),
                    json!({ "name": "b", "schedule": "schedule:0 9 * *" }),
                    json!({ "name": "c", "schedule": "schedule:0 9 * * 1" }),
                ],
            ),
        ],
        &[
            "error: migration number 1 of database `a` is there twice\n  --> src/databases.rs:1:1",
            "error: the schedule of cron `a` is wrong: `7h` does not divide 24 hours evenly; \
             the nearest that do are `6h` and `8h`\n  --> src/crons.rs:1:1",
            "error: the schedule of cron `b` is wrong: cron expression `0 9 * *` has 4 fields; it has exactly five: \
             minute, hour, day of the month, month, day of the week\n  --> src/crons.rs:2:1",
        ],
    );
}

#[test]
fn what_subscriptions_ask_of_messages_and_databases() {
    case(
        &[
            (
                "databases",
                &[
                    json!({ "name": "orders", "service": "orders" }),
                    json!({ "name": "users", "service": "users" }),
                ],
            ),
            (
                "topics",
                &[json!({ "name": "events", "attributes": ["country"] })],
            ),
            (
                "subscriptions",
                &[
                    json!({ "name": "right", "service": "orders", "idempotent_in": "orders",
                            "filter": { "country": { "any_of": ["DE"] } } }),
                    json!({ "name": "other", "service": "orders", "idempotent_in": "users" }),
                    json!({ "name": "none", "service": "orders", "idempotent_in": "order" }),
                    json!({ "name": "attribute", "filter": { "contry": { "prefix": "D" } } }),
                ],
            ),
        ],
        &[
            "error: subscription `other` of service `orders` is idempotent in the database `users`, which belongs to \
             service `users`; name a database of its own\n  --> src/subscriptions.rs:2:1\n  --> src/databases.rs:2:1",
            "error: subscription `none` is idempotent in the database `order`, which nothing declares; \
             did you mean `orders`?\n  --> src/subscriptions.rs:3:1",
            "error: subscription `attribute` filters on `contry`, which is not an attribute of the message of topic \
             `events`; did you mean `country`?\n  --> src/subscriptions.rs:4:1",
        ],
    );
}

#[test]
fn keyspaces() {
    let fields = |pattern: &str, fields: &[&str]| json!({ "name": "k", "pattern": pattern, "key_fields": fields });
    case(
        &[
            ("caches", &named(&["main", "other"])),
            (
                "keyspaces",
                &[
                    json!({ "name": "one", "pattern": "foo/:key" }),
                    json!({ "name": "two", "pattern": "foo/bar/:key" }),
                    json!({ "name": "three", "pattern": "foo/:key" }),
                    json!({ "name": "four", "pattern": "foo/:key", "cache": "other" }),
                    json!({ "name": "five", "pattern": ":key" }),
                    json!({ "name": "six", "pattern": "x/:key", "expiry": "0s" }),
                    json!({ "name": "seven", "pattern": "seven", "expiry": "soon" }),
                    fields("y/:a/:user", &["a", "b", "user_"]),
                ],
            ),
        ],
        &[
            "error: the expiry of keyspace `six` is zero; leave it away if values shall never expire\n  \
             --> src/keyspaces.rs:6:1",
            "error: the expiry of keyspace `seven` is wrong: `soon` is not a duration; write numbers with units such \
             as `30s` or `1h30m`\n  --> src/keyspaces.rs:7:1",
            "error: the pattern of keyspace `seven` is wrong: key pattern `seven` has no parameter, so that all keys \
             would be one; add one, such as `seven/:key`\n  --> src/keyspaces.rs:7:1",
            "error: the pattern `y/:a/:user` of keyspace `k` has `:user`, which is not a field of the key `Key`; \
             did you mean `user_`?\n  --> src/keyspaces.rs:8:1",
            "error: the pattern `y/:a/:user` of keyspace `k` lacks `:b`, a field of the key `Key`, so that different \
             keys would be one\n  --> src/keyspaces.rs:8:1",
            "error: the pattern `y/:a/:user` of keyspace `k` lacks `:user_`, a field of the key `Key`, so that \
             different keys would be one\n  --> src/keyspaces.rs:8:1",
            "error: keyspaces `one` and `two` of cache `main` have conflicting patterns, `foo/:key` and \
             `foo/bar/:key`; start each with a text of its own\n  --> src/keyspaces.rs:2:1\n  --> src/keyspaces.rs:1:1",
            "error: keyspaces `one` and `three` of cache `main` have conflicting patterns, `foo/:key` and `foo/:key`; \
             start each with a text of its own\n  --> src/keyspaces.rs:3:1\n  --> src/keyspaces.rs:1:1",
            "error: keyspaces `one` and `five` of cache `main` have conflicting patterns, `foo/:key` and `:key`; \
             start each with a text of its own\n  --> src/keyspaces.rs:5:1\n  --> src/keyspaces.rs:1:1",
            "error: keyspaces `five` and `six` of cache `main` have conflicting patterns, `:key` and `x/:key`; \
             start each with a text of its own\n  --> src/keyspaces.rs:6:1\n  --> src/keyspaces.rs:5:1",
            "error: keyspaces `five` and `k` of cache `main` have conflicting patterns, `:key` and `y/:a/:user`; \
             start each with a text of its own\n  --> src/keyspaces.rs:8:1\n  --> src/keyspaces.rs:5:1",
        ],
    );
}

#[test]
fn endpoints() {
    let path = |path: &str| json!({ "path": path });
    case(
        &[(
            "endpoints",
            &[
                path("/orders/{id}"),
                json!({ "path": "/orders/{order}", "methods": ["POST"] }),
                json!({ "path": "/orders/{id}", "methods": ["PUT", "GET"] }),
                path("/files/{*path}"),
                path("/files/{id}/meta"),
                path("/files/list"),
                json!({ "path": "/any", "methods": ["*"] }),
                json!({ "path": "/any", "methods": ["PATCH"] }),
                path("/old/:id"),
                json!({ "path": "/typo", "methods": ["POTS", "get"] }),
                json!({ "path": "/none", "methods": [] }),
            ],
        )],
        &[
            "error: the path of endpoint `handler8` is wrong: path `/old/:id` has `:id`; a parameter is written \
             `{id}`\n  --> src/endpoints.rs:9:1",
            "error: endpoint `handler9` has the unknown method `POTS`; did you mean `POST`?\n  \
             --> src/endpoints.rs:10:1",
            "error: endpoint `handler9` has the unknown method `get`; did you mean `GET`?\n  \
             --> src/endpoints.rs:10:1",
            "error: endpoint `handler10` has no method\n  --> src/endpoints.rs:11:1",
            "error: endpoints `handler0` and `handler1` have the conflicting paths `/orders/{id}` and \
             `/orders/{order}`, which differ only in the names of parameters; use the same names\n  \
             --> src/endpoints.rs:2:1\n  --> src/endpoints.rs:1:1",
            "error: endpoints `handler0` and `handler2` both handle GET /orders/{id}; give one another path or \
             method\n  --> src/endpoints.rs:3:1\n  --> src/endpoints.rs:1:1",
            "error: endpoints `handler3` and `handler4` have the conflicting paths `/files/{*path}` and \
             `/files/{id}/meta`, of which one takes the rest where the other has a parameter\n  \
             --> src/endpoints.rs:5:1\n  --> src/endpoints.rs:4:1",
            "error: endpoints `handler6` and `handler7` both handle PATCH /any; give one another path or method\n  \
             --> src/endpoints.rs:8:1\n  --> src/endpoints.rs:7:1",
        ],
    );
}

#[test]
fn another_version() {
    let mut model = model(&[]);
    model.underlay_model = 2;
    let texts: Vec<String> = check(&model).iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        ["error: the model document has version 2, but this version of Underlay reads 1"]
    );
}

/// The order in which a linker leaves declarations does not show in what is reported.
#[test]
fn the_order_is_that_of_the_model() {
    let mut declarations: Vec<Declaration> = [("b", 2), ("a", 3), ("a", 1), ("b", 9)]
        .into_iter()
        .flat_map(|(name, line)| {
            let source = json!({ "package": "p", "module": "p", "file": "f.rs", "line": line, "column": 1 });
            [
                json!({ "declaration": "bucket", "name": name, "source": source }),
                json!({ "declaration": "endpoint", "name": name, "methods": ["GET"], "path": "/x", "source": source }),
            ]
        })
        .map(|it| serde_json::from_value(it).unwrap())
        .collect();
    let application = model(&[]).application;
    let reported = |declarations: &[Declaration]| {
        check(&Model::assemble(application.clone(), declarations.to_vec()))
    };
    let expected = reported(&declarations);
    assert_eq!(expected.len(), 5);
    for _ in 0..declarations.len() {
        declarations.rotate_left(1);
        assert_eq!(reported(&declarations), expected);
        declarations.swap(0, 3);
        assert_eq!(reported(&declarations), expected);
    }
}
