//! Leases, order, attempts and the end of receivers.

use super::*;

/// However often receiving is given up, and whenever: each message comes, long before a lease ends.
pub(crate) async fn cancelled_receives(emulator: Arc<Emulator>) {
    let fresh = plain(&emulator).await;
    let mut missing = BTreeSet::new();
    let mut round: u64 = 0;
    for _ in 0..200 {
        missing.insert(fresh.topic.publish(message("one")).await.unwrap());
        round += 1;
        let time = Duration::from_micros(round * 37 % 3000);
        if let Ok(received) = timeout(time, fresh.subscription.receive(3, LONG)).await {
            for received in received.unwrap() {
                assert_eq!(received.attempt, 1);
                fresh.subscription.ack(&received.receipt).await.unwrap();
                missing.remove(&received.id);
            }
        }
    }
    while !missing.is_empty() {
        for received in fresh.subscription.receive(10, LONG).await.unwrap() {
            fresh.subscription.ack(&received.receipt).await.unwrap();
            missing.remove(&received.id);
        }
    }
}

/// Two programs receive from one ordered subscription: of each key one message at a time, in order.
pub(crate) async fn order_with_two_receivers(emulator: Arc<Emulator>) {
    const EACH: usize = 20;
    let fresh = fresh(&emulator, ORDERED, SubscriptionOptions::default()).await;
    let other = connect(&emulator).await;
    other.topic(&fresh.topic_name, ORDERED).await.unwrap();
    let options = SubscriptionOptions::default();
    let other = other
        .subscription(&fresh.topic_name, &fresh.name, options)
        .await
        .unwrap();
    let seen = Arc::new(std::sync::Mutex::new(BTreeMap::<String, Vec<usize>>::new()));
    let receive = |subscription: Arc<dyn Subscription>| {
        let seen = Arc::clone(&seen);
        async move {
            loop {
                for received in subscription.receive(4, LONG).await.unwrap() {
                    let number = std::str::from_utf8(&received.message.body).unwrap();
                    let number: usize = number.parse().unwrap();
                    let key = received.message.ordering_key.unwrap();
                    // The second message of each key fails once.
                    if number == 1 && received.attempt == 1 {
                        let delay = Duration::from_millis(20);
                        subscription.nack(&received.receipt, delay).await.unwrap();
                        continue;
                    }
                    let done = {
                        let mut seen = seen.lock().unwrap();
                        seen.entry(key).or_default().push(number);
                        seen.values().map(Vec::len).sum::<usize>() >= 4 * EACH
                    };
                    subscription.ack(&received.receipt).await.unwrap();
                    if done {
                        return;
                    }
                }
            }
        }
    };
    let publish = async {
        for number in 0..EACH {
            let batch = ["a", "b", "c", "d"].map(|key| keyed(key, &number.to_string()));
            fresh.topic.publish_batch(batch.to_vec()).await.unwrap();
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = receive(Arc::clone(&fresh.subscription)) => {}
        () = receive(other) => {}
        () = publish => {}
    }
    let seen = seen.lock().unwrap();
    for numbers in seen.values() {
        assert_eq!(*numbers, (0..EACH).collect::<Vec<_>>());
    }
}

pub(crate) async fn order_over_retries(emulator: Arc<Emulator>) {
    let fresh = fresh(&emulator, ORDERED, SubscriptionOptions::default()).await;
    let batch = (0..5).map(|number| keyed("a", &number.to_string()));
    let ids = fresh.topic.publish_batch(batch.collect()).await.unwrap();
    for id in ids {
        for attempt in 1..=3 {
            // By a nack and by a lease that ends.
            let lease = if attempt == 1 {
                LONG
            } else {
                Duration::from_millis(50)
            };
            let received = fresh.subscription.receive(10, lease).await.unwrap();
            assert_eq!(received.len(), 1);
            assert_eq!((&received[0].id, received[0].attempt), (&id, attempt));
            match attempt {
                1 => fresh
                    .subscription
                    .nack(&received[0].receipt, Duration::ZERO)
                    .await
                    .unwrap(),
                3 => fresh.subscription.ack(&received[0].receipt).await.unwrap(),
                _ => {}
            }
        }
    }
}

/// A subscription that others made has no dead-letter policy, so Google counts nothing.
pub(crate) async fn counted_here(emulator: Arc<Emulator>) {
    let fresh = plain(&emulator).await;
    let admin = subscriptions(&emulator).await;
    admin
        .delete_subscription()
        .set_subscription(&fresh.name)
        .send()
        .await
        .unwrap();
    let creating = admin.create_subscription().set_name(&fresh.name);
    let creating = creating.set_topic(&fresh.topic_name).send();
    creating.await.unwrap();
    let options = SubscriptionOptions::default();
    let subscription = fresh
        .broker
        .subscription(&fresh.topic_name, &fresh.name, options);
    let subscription = subscription.await.unwrap();
    fresh.topic.publish(message("one")).await.unwrap();
    for attempt in 1..=3 {
        let received = take_one(&*subscription).await;
        assert_eq!(received.attempt, attempt);
        subscription
            .nack(&received.receipt, Duration::ZERO)
            .await
            .unwrap();
    }
}

/// Google's own lease of ten seconds is kept up for as long as a receiver has a longer one.
pub(crate) async fn leases_longer_than_googles(emulator: Arc<Emulator>) {
    let options = SubscriptionOptions {
        lease: Duration::from_secs(1),
        ..SubscriptionOptions::default()
    };
    let fresh = fresh(&emulator, TopicOptions::default(), options).await;
    fresh.topic.publish(message("one")).await.unwrap();
    let received = take_one(&*fresh.subscription).await;
    let again = fresh.subscription.receive(1, LONG);
    assert!(timeout(Duration::from_secs(14), again).await.is_err());
    fresh
        .subscription
        .nack(&received.receipt, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(take_one(&*fresh.subscription).await.attempt, 2);
}

pub(crate) async fn foreign_receipts(emulator: Arc<Emulator>) {
    let (one, other) = (plain(&emulator).await, plain(&emulator).await);
    one.topic.publish(message("one")).await.unwrap();
    let receipt = take_one(&*one.subscription).await.receipt;
    for receipt in [receipt, Receipt("0-0".to_owned()), Receipt(String::new())] {
        for result in [
            other.subscription.ack(&receipt).await,
            other.subscription.nack(&receipt, LONG).await,
            other.subscription.extend(&receipt, LONG).await,
            other.subscription.dead_letter(&receipt, "bad").await,
        ] {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidArgument);
        }
    }
}

pub(crate) async fn closing(emulator: Arc<Emulator>) {
    let fresh = plain(&emulator).await;
    let subscription = Arc::clone(&fresh.subscription);
    let receiving = tokio::spawn(async move { subscription.receive(1, LONG).await });
    tokio::task::yield_now().await;
    fresh.broker.close().await.unwrap();
    let error = receiving.await.unwrap().expect_err("closed");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let error = fresh
        .subscription
        .receive(1, LONG)
        .await
        .expect_err("closed");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let error = fresh.topic.publish(message("late")).await;
    assert_eq!(error.expect_err("closed").kind(), ErrorKind::Unavailable);
}

/// What was acknowledged before the end stays so; what was not comes again.
pub(crate) async fn survives_a_restart_of_the_client(emulator: Arc<Emulator>) {
    // The emulator goes on delivering to a stream that is closed, so the shortest lease has to end.
    let options = SubscriptionOptions {
        lease: Duration::from_secs(10),
        ..SubscriptionOptions::default()
    };
    let fresh = fresh(&emulator, TopicOptions::default(), options.clone()).await;
    let batch = (0..10).map(|number| message(&number.to_string()));
    let ids = fresh.topic.publish_batch(batch.collect()).await.unwrap();
    let mut open: BTreeSet<String> = ids.into_iter().collect();
    for _ in 0..4 {
        let received = take_one(&*fresh.subscription).await;
        fresh.subscription.ack(&received.receipt).await.unwrap();
        open.remove(&received.id);
    }
    // One with a receiver, the others waiting.
    take_one(&*fresh.subscription).await;
    fresh.broker.close().await.unwrap();
    let broker = Broker::connect_to_emulator(&emulator.address, false)
        .await
        .unwrap();
    broker
        .topic(&fresh.topic_name, TopicOptions::default())
        .await
        .unwrap();
    let subscription = broker
        .subscription(&fresh.topic_name, &fresh.name, options)
        .await
        .unwrap();
    let mut again = BTreeSet::new();
    while again.len() < open.len() {
        again.insert(take_one(&*subscription).await.id);
    }
    assert_eq!(again, open);
}
