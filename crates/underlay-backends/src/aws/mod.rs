//! The provider `aws_sns_sqs`: topics on Amazon SNS, with a queue of Amazon SQS for each subscription.
//!
//! A topic's name is its ARN, a subscription's its queue's URL. The SDK is set up in `broker.rs`; what is on the wire is
//! in `message.rs`, what is created in `provision.rs` and `policy.rs`. Nothing here knows the infra config.
//!
//! How each promise is kept:
//!
//! - **Stored**: `publish` returns when SNS has the message. SNS keeps it in several places and tries for days to put it
//!   into each queue. A queue gets what is published after its subscription was made.
//! - **Id**: ours, in the message attribute `underlay`, so that publisher and handler see the same one; SNS and SQS each
//!   have ids of their own. A message that another client published has SNS's, or SQS's without SNS.
//! - **Body and attributes**: text that SNS accepts passes as it is; anything else is base64, which takes a third more of
//!   the size. Attributes are message attributes, on which subscriptions can filter; a message with one that SNS does not
//!   accept (an empty one, say), or with more than nine, has all of them as JSON in one attribute, which every filter
//!   that is provisioned here lets through. Raw delivery and SNS's JSON envelope are both understood.
//! - **Lease**: SQS's visibility timeout, in whole seconds, rounded up, at most twelve hours after the delivery. A receive
//!   that is cancelled leaves its request running; what that brings goes to the next receiver within a second, or back.
//! - **Order**: a FIFO topic (`.fifo`) and FIFO queues, with the ordering key as message group. A group with a delivery
//!   that is neither acknowledged nor given up stands still, across all processes; other groups go on. Messages without a
//!   key have a group each. Order begins with the calls of `publish`: of two processes, or two tasks, that publish one key
//!   at the same time, SNS decides. Order ends where a part of a batch fails, which the error says; at a dead letter,
//!   which the next message of its key overtakes, also when it is released; and where SQS itself moves a message there.
//!   SQS would give several messages of a group at once, so an ordered subscription asks for one in each call.
//! - **Exactly once**: FIFO as well. A publish that the SDK repeats is stored once within five minutes. To acknowledge a
//!   delivery whose lease has ended is an error, which SQS says, too: the message is delivered again. What was acknowledged
//!   without an error is not.
//! - **Throughput** of FIFO, as Amazon documents it: 300 calls a second for each of sending, receiving and deleting in a
//!   queue, so 3,000 messages with batches of ten, and 300 where an ordered subscription receives; a topic takes 3,000
//!   messages a second. What is provisioned here has the high throughput mode, in which limits and deduplication are by
//!   message group, and which allows thousands of calls a second, by region; one group stays at 300 messages a second.
//!   Standard topics and queues have no such limit.
//! - **Dead letters**: a second queue, `<queue>-dead` (`-dead.fifo`), or the one that the queue's redrive policy names.
//!   SQS cannot be browsed: letters are received for a while and let go, so another reader at the same moment may miss
//!   some. What SQS moved there by itself is listed with a reason that says so; of FIFO messages of one key that were moved so,
//!   at most ten are seen before the first is released or discarded.
//! - **Delay**: SNS has none, so a receiver that gets the message early hides it until its time, as often as needed; at
//!   most four days, SQS's own retention where none is set. In an ordered topic the messages of its key wait for it.

mod broker;
mod dead_letters;
mod deletes;
mod error;
mod message;
mod name;
mod policy;
mod provision;
mod pull;
mod queue;
mod subscription;
mod topic;

use crate::capabilities::{Backend, Capabilities, TopicCapabilities};

pub use broker::Broker;

/// The provider's name.
pub const PROVIDER: &str = "aws_sns_sqs";

/// What a topic can do whose `MaximumMessageSize` is the default of 256 KiB.
///
/// That counts attributes, and a dead letter has a few more.
pub const TOPIC: TopicCapabilities = TopicCapabilities {
    ordering: true,
    exactly_once: true,
    delay: true,
    persistent: true,
    dead_letters: true,
    max_message_bytes: Some((message::DEFAULT_LIMIT - message::RESERVED) as u64),
};

/// This provider's backends.
pub(crate) const BACKENDS: [Backend; 1] = [Backend {
    provider: PROVIDER,
    variant: None,
    capabilities: Capabilities::Topic(TOPIC),
}];
