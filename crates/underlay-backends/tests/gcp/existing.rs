//! What is at Google before a program starts, what is missing, and what is created.

use super::*;

pub(crate) async fn names_and_missing_things(emulator: Arc<Emulator>) {
    let broker = Broker::connect_to_emulator(&emulator.address, false)
        .await
        .unwrap();
    for name in [
        "",
        "orders",
        "projects/test/subscriptions/orders",
        "projects/test/topics/a b",
    ] {
        let error = broker
            .topic(name, TopicOptions::default())
            .await
            .err()
            .unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    }
    let number = fresh_number();
    let (topic, name) = (topic_name(number), subscription_name(number, "one"));
    let error = broker
        .topic(&topic, TopicOptions::default())
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    let hint = format!("`gcloud pubsub topics create topic-{number} --project test`");
    assert!(error.to_string().contains(&hint), "{error}");
    let subscribe = || broker.subscription(&topic, &name, SubscriptionOptions::default());
    let error = subscribe().await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    let creating = connect(&emulator).await;
    creating
        .topic(&topic, TopicOptions::default())
        .await
        .unwrap();
    broker.topic(&topic, TopicOptions::default()).await.unwrap();
    // First what the subscription names.
    let error = subscribe().await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(
        error
            .to_string()
            .contains(&format!("topics create one-{number}-dead")),
        "{error}"
    );
    let dead = format!("projects/test/topics/one-{number}-dead");
    creating
        .topic(&dead, TopicOptions::default())
        .await
        .unwrap();
    let error = subscribe().await.err().unwrap();
    assert!(
        error
            .to_string()
            .contains(&format!("subscriptions create one-{number}-dead"))
    );
    creating
        .subscription(&topic, &name, SubscriptionOptions::default())
        .await
        .unwrap();
    let admin = subscriptions(&emulator).await;
    admin
        .delete_subscription()
        .set_subscription(&name)
        .send()
        .await
        .unwrap();
    let error = subscribe().await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    let hint = format!("subscriptions create one-{number} --project test --topic {topic}");
    assert!(error.to_string().contains(&hint), "{error}");
}

pub(crate) async fn gone_while_used(emulator: Arc<Emulator>) {
    let fresh = plain(&emulator).await;
    let subscription = Arc::clone(&fresh.subscription);
    let receiving = tokio::spawn(async move { subscription.receive(1, LONG).await });
    tokio::task::yield_now().await;
    let admin = subscriptions(&emulator).await;
    admin
        .delete_subscription()
        .set_subscription(&fresh.name)
        .send()
        .await
        .unwrap();
    let error = receiving.await.unwrap().expect_err("no subscription");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    topics(&emulator)
        .await
        .delete_topic()
        .set_topic(&fresh.topic_name)
        .send()
        .await
        .unwrap();
    let error = fresh
        .topic
        .publish(message("lost"))
        .await
        .expect_err("no topic");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    // It is back: the same handle receives.
    let broker = connect(&emulator).await;
    let topic = broker
        .topic(&fresh.topic_name, TopicOptions::default())
        .await
        .unwrap();
    let options = SubscriptionOptions::default();
    broker
        .subscription(&fresh.topic_name, &fresh.name, options)
        .await
        .unwrap();
    topic.publish(message("again")).await.unwrap();
    assert_eq!(
        take_one(&*fresh.subscription).await.message,
        message("again")
    );
}

pub(crate) async fn what_is_there_is_kept(emulator: Arc<Emulator>) {
    let fresh = plain(&emulator).await;
    let again = SubscriptionOptions {
        lease: Duration::from_secs(300),
        ..SubscriptionOptions::default()
    };
    let (topic, name) = (&fresh.topic_name, &fresh.name);
    fresh
        .broker
        .subscription(topic, name, again.clone())
        .await
        .unwrap();
    let admin = subscriptions(&emulator).await;
    let there = admin
        .get_subscription()
        .set_subscription(name)
        .send()
        .await
        .unwrap();
    assert_eq!(there.ack_deadline_seconds, 30);
    // What cannot be what it is to be is an error that says what to do.
    let other = topic_name(fresh_number());
    fresh
        .broker
        .topic(&other, TopicOptions::default())
        .await
        .unwrap();
    let error = fresh
        .broker
        .subscription(&other, name, again.clone())
        .await
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::PreconditionFailed, "{error}");
    for (ordered, exactly_once, hint) in [
        (true, false, "--enable-message-ordering"),
        (false, true, "--enable-exactly-once"),
    ] {
        let options = TopicOptions {
            ordered,
            exactly_once,
            retention: None,
        };
        fresh.broker.topic(topic, options).await.unwrap();
        let error = fresh
            .broker
            .subscription(topic, name, again.clone())
            .await
            .err()
            .unwrap();
        assert_eq!(error.kind(), ErrorKind::PreconditionFailed, "{error}");
        assert!(error.to_string().contains(hint), "{error}");
    }
}

pub(crate) async fn provisioned(emulator: Arc<Emulator>) {
    let filter = BTreeMap::from([("c".to_owned(), Condition::AnyOf(vec!["DE".to_owned()]))]);
    let options = SubscriptionOptions {
        lease: Duration::from_millis(1500),
        retention: Some(Duration::from_secs(60)),
        max_deliveries: Some(7),
        filter: Filter(filter),
    };
    let topic_options = TopicOptions {
        ordered: true,
        exactly_once: true,
        retention: None,
    };
    let fresh = fresh(&emulator, topic_options, options.clone()).await;
    let admin = subscriptions(&emulator).await;
    let there = admin
        .get_subscription()
        .set_subscription(&fresh.name)
        .send()
        .await
        .unwrap();
    assert!(there.enable_message_ordering && there.enable_exactly_once_delivery);
    assert_eq!(there.ack_deadline_seconds, 10);
    assert_eq!(there.message_retention_duration.unwrap().seconds(), 600);
    assert_eq!(there.filter, r#"attributes:"c" AND attributes."c" = "DE""#);
    let dead = there.dead_letter_policy.unwrap();
    assert_eq!(dead.max_delivery_attempts, 7);
    let dead_topic = fresh.name.replace("/subscriptions/", "/topics/") + "-dead";
    assert_eq!(dead.dead_letter_topic, dead_topic);
    let dead_name = fresh.name.clone() + "-dead";
    let letters = admin
        .get_subscription()
        .set_subscription(&dead_name)
        .send()
        .await
        .unwrap();
    assert_eq!(letters.topic, dead_topic);
}

/// An address where nothing answers is an error that a caller may try again after, not a panic or a wait for ever.
pub(crate) async fn nobody_listens(_: Arc<Emulator>) {
    let error = match Broker::connect_to_emulator("127.0.0.1:1", true).await {
        Ok(broker) => broker
            .topic("projects/test/topics/none", TopicOptions::default())
            .await
            .err(),
        Err(error) => Some(error),
    };
    let error = error.unwrap();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let wrong = Broker::connect_to_emulator("https://127.0.0.1:1", true).await;
    assert_eq!(wrong.err().unwrap().kind(), ErrorKind::InvalidArgument);
}
