//! Real input: a thousand orders over HTTP from sixteen connections, and the same with the process killed or stopped in
//! the middle. Afterwards everything that the shop has acknowledged must be there.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Instant,
};

use libtest_mimic::Trial;
use serde_json::json;
use sqlx::Row as _;
use tokio::{sync::watch, task::JoinSet};
use underlay_local::Pin;

use crate::{
    application::{Application, eventually, signal},
    database::Server,
    folder::Folder,
    http::{Connection, block_on},
    servers::{Need, trial},
};

/// How many orders are placed.
const ORDERS: usize = 1000;
/// From how many connections.
const CONNECTIONS: usize = 16;
/// By whom.
const CUSTOMERS: [&str; 7] = ["ann", "bob", "cem", "dora", "eve", "fritz", "gül"];

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "load::a_thousand_orders",
            &[Need::Native],
            a_thousand_orders,
        ),
        trial(
            "load::killed_in_the_middle",
            &[Need::Native],
            killed_in_the_middle,
        ),
        trial("load::terminated_in_the_middle", &[Need::Native], || {
            stopped_in_the_middle("TERM")
        }),
        trial("load::interrupted_in_the_middle", &[Need::Native], || {
            stopped_in_the_middle("INT")
        }),
    ]
}

/// The customer, the item and the quantity of the order with a number.
fn order(number: usize) -> (&'static str, String, i32) {
    let quantity = i32::try_from(number % 5).unwrap() + 1;
    (
        CUSTOMERS[number % CUSTOMERS.len()],
        format!("item {number}"),
        quantity,
    )
}

/// What became of orders.
#[derive(Default)]
struct Placed {
    /// The numbers of the orders that were acknowledged, by the id that each got.
    acknowledged: BTreeMap<i64, usize>,
    /// The numbers of those that were sent and got no answer: they may be stored or not.
    unanswered: BTreeSet<usize>,
}

/// Places orders until all are placed or the shop is gone. `on_half` is called once half of them are acknowledged.
fn place(
    address: SocketAddr,
    numbers: impl Iterator<Item = usize>,
    on_half: Option<&dyn Fn()>,
) -> Placed {
    let numbers: VecDeque<usize> = numbers.collect();
    let half = numbers.len() / 2;
    let left = Arc::new(Mutex::new(numbers));
    let placed = Arc::new(Mutex::new(Placed::default()));
    let (progress, mut seen) = watch::channel(0);
    let progress = Arc::new(progress);
    block_on(async {
        let mut connections = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let (left, placed, progress) = (
                Arc::clone(&left),
                Arc::clone(&placed),
                Arc::clone(&progress),
            );
            connections.spawn(async move {
                let mut connection = Connection::open(address).await?;
                loop {
                    let Some(number) = left.lock().unwrap().pop_front() else {
                        return Ok::<(), String>(());
                    };
                    let (customer, item, quantity) = order(number);
                    let body = json!({ "customer": customer, "item": item, "quantity": quantity });
                    let Ok(answer) = connection.send("POST", "/orders", Some(&body)).await else {
                        placed.lock().unwrap().unanswered.insert(number);
                        return Ok(());
                    };
                    let id = answer.expect(201).json().as_i64().unwrap();
                    let before = placed.lock().unwrap().acknowledged.insert(id, number);
                    assert_eq!(before, None, "the id {id} was given twice");
                    progress.send_modify(|count| *count += 1);
                }
            });
        }
        if let Some(on_half) = on_half {
            seen.wait_for(|count| *count >= half).await.unwrap();
            on_half();
        }
        while let Some(ended) = connections.join_next().await {
            ended.unwrap().unwrap();
        }
    });
    std::mem::take(&mut placed.lock().unwrap())
}

/// An order as the database has it.
struct Stored {
    number: usize,
    deliveries: i32,
}

/// All stored orders by id, each of them as it was sent.
fn stored(server: &Server) -> BTreeMap<i64, Stored> {
    let rows = server.query("SELECT id, customer, item, quantity, deliveries FROM orders");
    let row = |row: &sqlx::postgres::PgRow| {
        let item: String = row.get("item");
        let number = item.strip_prefix("item ").unwrap().parse().unwrap();
        let sent = order(number);
        assert_eq!(
            (row.get("customer"), &*item, row.get("quantity")),
            (sent.0, &*sent.1, sent.2)
        );
        (
            row.get("id"),
            Stored {
                number,
                deliveries: row.get("deliveries"),
            },
        )
    };
    rows.iter().map(row).collect()
}

/// Waits until the event of every acknowledged order was handled, then looks at everything that must be there. Returns
/// what is stored.
fn check(
    shop: &Application<'_>,
    server: &Server,
    acknowledged: &BTreeMap<i64, usize>,
) -> BTreeMap<i64, Stored> {
    let orders = eventually("the event of every acknowledged order is handled", || {
        let orders = stored(server);
        let is_handled = |id| orders.get(id).is_none_or(|order| order.deliveries > 0);
        acknowledged.keys().all(is_handled).then_some(orders)
    });
    for (id, number) in acknowledged {
        let order = orders
            .get(id)
            .unwrap_or_else(|| panic!("the acknowledged order {id} is lost"));
        assert_eq!(
            order.number, *number,
            "the order {id} is another than the one that was acknowledged"
        );
    }
    block_on(async {
        let mut connection = Connection::open(shop.address()).await.unwrap();
        for (id, number) in acknowledged {
            let (customer, item, quantity) = order(*number);
            let invoice = connection
                .send("GET", &format!("/orders/{id}/invoice"), None)
                .await
                .unwrap()
                .expect(200);
            assert_eq!(
                invoice.text(),
                format!("order {id}: {quantity} × {item} for {customer}\n")
            );
        }
    });
    orders
}

/// How many requests for orders the rate limit has counted, of all customers.
fn counted(shop: &Application<'_>) -> i64 {
    let customers = CUSTOMERS.iter().map(|it| it.replace('ü', "%C3%BC"));
    customers
        .map(|it| {
            shop.get(&format!("/requests/orders/{it}"))
                .expect(200)
                .json()
                .as_i64()
                .unwrap()
        })
        .sum()
}

/// One line on what happened.
fn tell(
    name: &str,
    begin: Instant,
    acknowledged: usize,
    orders: &BTreeMap<i64, Stored>,
    unhandled: usize,
) {
    let deliveries: i64 = orders
        .values()
        .map(|order| i64::from(order.deliveries))
        .sum();
    let again = orders.values().filter(|order| order.deliveries > 1).count();
    println!(
        "{name}: {acknowledged} orders acknowledged, {} stored without an answer ({unhandled} of them not announced); \
         {deliveries} deliveries, {again} orders' events delivered more than once; {:.1} s",
        orders.len() - acknowledged,
        begin.elapsed().as_secs_f64(),
    );
}

fn a_thousand_orders() {
    let folder = Folder::new();
    let shop = folder.shop().serve();
    let begin = Instant::now();
    let placed = place(shop.address(), 0..ORDERS, None);
    assert_eq!(placed.unanswered, BTreeSet::new());
    assert_eq!(placed.acknowledged.len(), ORDERS);
    let server = Server::of(&folder, Pin::Native);
    let orders = check(&shop, &server, &placed.acknowledged);
    assert_eq!(orders.len(), ORDERS, "only what was acknowledged is stored");
    assert_eq!(counted(&shop), i64::try_from(ORDERS).unwrap());
    tell("load", begin, placed.acknowledged.len(), &orders, 0);
    shop.stop();
}

fn killed_in_the_middle() {
    let folder = Folder::new();
    let shop = folder.shop().serve();
    let begin = Instant::now();
    let pid = shop.pid();
    let first = place(shop.address(), 0..ORDERS, Some(&|| signal(pid, "KILL")));
    shop.kill();
    assert!(first.acknowledged.len() >= ORDERS / 2);
    assert!(first.acknowledged.len() < ORDERS, "it was killed too late");

    let shop = folder.shop().serve();
    let done: BTreeSet<usize> = first.acknowledged.values().copied().collect();
    let second = place(
        shop.address(),
        (0..ORDERS).filter(|number| !done.contains(number)),
        None,
    );
    let counted = counted(&shop);
    assert!(
        counted >= i64::try_from(second.acknowledged.len()).unwrap(),
        "{counted} requests were counted"
    );
    let mut acknowledged = first.acknowledged;
    for (id, number) in second.acknowledged {
        assert_eq!(
            acknowledged.insert(id, number),
            None,
            "the id {id} was given twice"
        );
    }
    assert_eq!(acknowledged.len(), ORDERS);

    let server = Server::of(&folder, Pin::Native);
    let orders = check(&shop, &server, &acknowledged);
    let others: Vec<&Stored> = orders
        .iter()
        .filter(|(id, _)| !acknowledged.contains_key(id))
        .map(|(_, order)| order)
        .collect();
    assert!(
        others
            .iter()
            .all(|order| first.unanswered.contains(&order.number)),
        "an order that nobody has sent"
    );
    let unannounced = others.iter().filter(|order| order.deliveries == 0).count();
    tell(
        "load, killed",
        begin,
        acknowledged.len(),
        &orders,
        unannounced,
    );
    shop.stop();
}

fn stopped_in_the_middle(name: &str) {
    let folder = Folder::new();
    let shop = folder.shop().serve();
    let begin = Instant::now();
    let pid = shop.pid();
    let first = place(shop.address(), 0..ORDERS, Some(&|| signal(pid, name)));
    let ended = shop.ended();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.output);
    let said = if name == "INT" {
        "Ctrl-C: stopping"
    } else {
        "SIGTERM: stopping"
    };
    assert!(ended.output.contains(said), "{}", ended.output);
    assert!(first.acknowledged.len() < ORDERS, "it was stopped too late");
    // What was read was answered: nothing is stored that the client does not know of.
    let server = Server::of(&folder, Pin::Native);
    assert_eq!(
        stored(&server).into_keys().collect::<Vec<_>>(),
        first.acknowledged.keys().copied().collect::<Vec<_>>()
    );

    let shop = folder.shop().serve();
    let done: BTreeSet<usize> = first.acknowledged.values().copied().collect();
    let second = place(
        shop.address(),
        (0..ORDERS).filter(|number| !done.contains(number)),
        None,
    );
    let mut acknowledged = first.acknowledged;
    acknowledged.extend(second.acknowledged);
    check(&shop, &server, &acknowledged);
    // It stops only when everything that it has received is handled, so what is seen then is final.
    shop.stop();
    let orders = stored(&server);
    assert_eq!(orders.len(), ORDERS);
    // No handler has failed, no process has died: nothing explains a second delivery.
    let again: Vec<_> = orders
        .iter()
        .filter(|(_, order)| order.deliveries != 1)
        .map(|(id, _)| id)
        .collect();
    assert!(again.is_empty(), "delivered more than once: {again:?}");
    tell(
        &format!("load, {name}"),
        begin,
        acknowledged.len(),
        &orders,
        0,
    );
}
