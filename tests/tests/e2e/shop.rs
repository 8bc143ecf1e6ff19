//! What a running application answers besides its orders: health, jobs by hand, who may call, secrets, signed URLs.

use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt as _, path::Path};

use libtest_mimic::Trial;
use serde_json::json;
use underlay_local::Pin;

use crate::{
    application::{Application, HIDDEN, Start, eventually, signal},
    database::{Server, is_running},
    folder::Folder,
    http::{call, call_url},
    servers::{Need, other_address, trial},
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "shop::an_order_and_its_invoice",
            &[Need::Native],
            an_order_and_its_invoice,
        ),
        trial("shop::health", &[Need::Native], health),
        trial(
            "shop::readiness_follows_the_database",
            &[Need::Native],
            readiness_follows_the_database,
        ),
        trial("shop::jobs_by_hand", &[Need::Native], jobs_by_hand),
        trial(
            "shop::private_endpoints",
            &[Need::Native, Need::Address],
            private_endpoints,
        ),
        trial(
            "shop::secrets_from_the_file",
            &[Need::Native],
            secrets_from_the_file,
        ),
        trial(
            "shop::secrets_from_the_environment",
            &[Need::Native],
            secrets_from_the_environment,
        ),
        trial("shop::signed_urls", &[], signed_urls),
        trial("shop::public_urls", &[], public_urls),
    ]
}

/// Places an order and waits for its invoice.
pub(crate) fn place_order(shop: &Application<'_>, item: &str) -> i64 {
    let order = json!({ "customer": "ann", "item": item, "quantity": 2 });
    let id = shop
        .post("/orders", order)
        .expect(201)
        .json()
        .as_i64()
        .unwrap();
    let invoice = eventually("the invoice is written", || {
        let answer = shop.get(&format!("/orders/{id}/invoice"));
        (answer.status != 404).then_some(answer)
    });
    assert_eq!(
        invoice.expect(200).text(),
        format!("order {id}: 2 × {item} for ann\n")
    );
    id
}

fn an_order_and_its_invoice() {
    let folder = Folder::new();
    let shop = folder.shop().serve();
    let id = place_order(&shop, "tea");
    let order = eventually("the delivery is counted", || {
        let order = shop.get(&format!("/orders/{id}")).expect(200).json();
        (order["deliveries"] != 0).then_some(order)
    });
    let expected = json!({ "id": id, "customer": "ann", "item": "tea", "quantity": 2, "status": "open", "deliveries": 1 });
    assert_eq!(order, expected);
    shop.get("/orders/999").expect(404);
    shop.get("/orders/999/invoice").expect(404);
    shop.post(
        "/orders",
        json!({ "customer": "ann", "item": "tea", "quantity": 0 }),
    )
    .expect(422);

    let token = shop
        .post("/sessions", json!({ "customer": "ann" }))
        .expect(200);
    let session = shop
        .get(&format!("/sessions/{}", token.text()))
        .expect(200)
        .json();
    assert_eq!(session, json!({ "customer": "ann" }));
    assert!(shop.get("/sessions/another").expect(200).json().is_null());
    shop.stop();

    // All but the cache outlives the process.
    let shop = folder.shop().serve();
    assert_eq!(
        shop.get(&format!("/orders/{id}")).expect(200).json(),
        expected
    );
    shop.get(&format!("/orders/{id}/invoice")).expect(200);
}

fn health() {
    let folder = Folder::new();
    let shop = folder.shop().serve();
    assert_eq!(
        shop.get("/__underlay/health/live").expect(200).json(),
        json!({ "status": "ok" })
    );
    let ready = shop.get("/__underlay/health/ready").expect(200).json();
    assert_eq!(ready["status"], "ok", "{ready}");
    assert!(
        ready.to_string().contains("orders"),
        "each dependency is named: {ready}"
    );
}

fn readiness_follows_the_database() {
    let folder = Folder::new();
    let shop = folder.shop().serve();
    let server = Server::of(&folder, Pin::Native);
    let pid = server.pid();
    shop.get("/__underlay/health/ready").expect(200);
    // As an administrator stops it: open connections are closed.
    signal(pid, "INT");
    eventually("the server stops", || (!is_running(pid)).then_some(()));
    let ready = shop.get("/__underlay/health/ready").expect(503).json();
    assert!(
        ready.to_string().contains("orders"),
        "what is not ready is named: {ready}"
    );
    shop.get("/__underlay/health/live").expect(200);
    shop.get("/orders/1").expect(503);
    let server = Server::of(&folder, Pin::Native);
    assert_ne!(server.pid(), pid);
    eventually("it is ready again", || {
        (shop.get("/__underlay/health/ready").status == 200).then_some(())
    });
    place_order(&shop, "tea");
}

fn jobs_by_hand() {
    let folder = Folder::new();
    let shop = folder.shop().serve();
    let server = Server::of(&folder, Pin::Native);
    let id = place_order(&shop, "tea");
    server.query("UPDATE orders SET placed_at = now() - interval '25 hours'");
    let done = shop
        .post("/__underlay/cron/expire-unpaid-orders", json!({}))
        .expect(200)
        .json();
    assert_eq!(
        done,
        json!({ "cron": "expire-unpaid-orders", "status": "ok" })
    );
    assert_eq!(
        shop.get(&format!("/orders/{id}")).expect(200).json()["status"],
        "expired"
    );

    let unknown = shop
        .post("/__underlay/cron/expire-unpaid-order", json!({}))
        .expect(404)
        .json();
    let expected =
        "no cron `expire-unpaid-order` is declared; did you mean `expire-unpaid-orders`?";
    assert_eq!(unknown, json!({ "error": expected }));
    shop.get("/__underlay/cron/expire-unpaid-orders")
        .expect(405);
}

fn private_endpoints() {
    let folder = Folder::new();
    let shop = folder.shop().with("UNDERLAY_LISTEN", "0.0.0.0:0").serve();
    let port = shop.address().port();
    let here = SocketAddr::from(([127, 0, 0, 1], port));
    let elsewhere = SocketAddr::new(other_address().unwrap(), port);
    let cron = ("POST", "/__underlay/cron/expire-unpaid-orders");
    for (method, path) in [
        ("GET", "/requests/orders/ann"),
        ("GET", "/__underlay/model"),
        cron,
    ] {
        assert_eq!(call(here, method, path, None).status, 200, "{path}");
        assert_eq!(call(elsewhere, method, path, None).status, 404, "{path}");
    }
    for path in ["/sessions/x", "/__underlay/health/ready"] {
        assert_eq!(call(elsewhere, "GET", path, None).status, 200, "{path}");
    }
}

fn secrets_from_the_file() {
    let folder = Folder::new();
    let text = format!("PaymentSigningKey = \"{HIDDEN}-key\"\n");
    let file = folder.write(".underlay/secrets.local.toml", &text);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let shop = folder.shop().serve();
    let id = place_order(&shop, "tea");
    let link = shop.get(&format!("/orders/{id}/payment-link")).expect(200);
    assert!(
        link.text()
            .starts_with(&format!("https://pay.example/orders/{id}?signature=")),
        "{link:?}"
    );
    shop.get("/orders/999/payment-link").expect(404);
    assert!(!shop.output().contains("not set"), "{}", shop.output());
    // Others could read the file; that was mended and said.
    shop.line("secrets.local.toml could be read by other users (mode 644); it is 600 now");
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

fn secrets_from_the_environment() {
    let folder = Folder::new();
    folder.write(
        ".underlay/secrets.local.toml",
        "PaymentSigningKey = \"another\"\n",
    );
    let shop = folder
        .shop()
        .with("PaymentSigningKey", format!("{HIDDEN}-key"))
        .serve();
    let id = place_order(&shop, "tea");
    let from_environment = shop.get(&format!("/orders/{id}/payment-link")).expect(200);
    shop.stop();
    let shop = folder.shop().serve();
    let from_file = shop.get(&format!("/orders/{id}/payment-link")).expect(200);
    assert_ne!(from_environment, from_file, "the environment comes first");
}

/// A small application with a private and a public bucket, and no database.
fn links(folder: &Folder) -> Application<'_> {
    Start::new(folder, Path::new(env!("CARGO_BIN_EXE_links"))).serve()
}

fn signed_urls() {
    let folder = Folder::new();
    let links = links(&folder);
    let url = |method: &str, name: &str| {
        links
            .get(&format!("/{method}-url/{name}"))
            .expect(200)
            .text()
            .to_owned()
    };
    let upload = url("upload", "a.txt");
    assert!(
        upload.starts_with(&format!("http://{}/", links.address())),
        "{upload}"
    );
    call_url("PUT", &upload, b"one").expect(200);
    let download = url("download", "a.txt");
    assert_eq!(call_url("GET", &download, b"").expect(200).text(), "one");

    // Each is for one method, one name and one time, and nobody makes one up.
    call_url("PUT", &download, b"two").expect(403);
    call_url("GET", &upload, b"").expect(403);
    call_url("GET", &download.replace("a.txt", "b.txt"), b"").expect(403);
    call_url("GET", &later(&download), b"").expect(403);
    let (rest, _) = download.rsplit_once("signature=").unwrap();
    call_url("GET", &format!("{rest}signature={}", "0".repeat(64)), b"").expect(403);
    assert_eq!(call_url("GET", &download, b"").expect(200).text(), "one");
    call_url("GET", &url("download", "absent.txt"), b"").expect(404);
    let too_long = links.get("/download-url/a.txt?seconds=604801");
    assert_eq!(
        too_long.status, 400,
        "a signature for more than seven days: {too_long:?}"
    );
}

/// The URL with a later end.
fn later(url: &str) -> String {
    let (before, rest) = url.split_once("expires=").unwrap();
    let (expires, after) = rest.split_once('&').unwrap_or((rest, ""));
    format!(
        "{before}expires={}&{after}",
        expires.parse::<u64>().unwrap() + 60
    )
}

fn public_urls() {
    let folder = Folder::new();
    let links = links(&folder);
    let public = links
        .get("/public-url/logo.svg")
        .expect(200)
        .text()
        .to_owned();
    call_url("GET", &public, b"").expect(404);
    links.post("/public/logo.svg", json!({})).expect(200);
    assert_eq!(call_url("GET", &public, b"").expect(200).text(), "<svg/>");
    // What is not public cannot be had the same way.
    let upload = links
        .get("/upload-url/logo.svg")
        .expect(200)
        .text()
        .to_owned();
    call_url("PUT", &upload, b"private").expect(200);
    call_url("GET", &public.replace("/site/", "/papers/"), b"").expect(404);
}
